internal import MeshPrimitives

/// The bits of an address from the most significant end of 128, for both families: what prefixes are compared by.
struct AddressBits: Equatable {
  var high: UInt64
  var low: UInt64

  init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  @inline(__always)
  init(_ address: IPAddress) {
    let isV4 = address.family == .v4
    high = isV4 ? address.low << 32 : address.high
    low = isV4 ? 0 : address.low
  }

  func address(_ family: IPAddress.Family) -> IPAddress {
    family == .v4 ? IPAddress(v4: UInt32(truncatingIfNeeded: high >> 32)) : IPAddress(v6High: high, low: low)
  }

  /// The four bits at `index`, 0 being the first; `index` is 0 to 31.
  @inline(__always)
  func nibble(_ index: Int) -> Int {
    let half = index < 16 ? high : low
    return Int(truncatingIfNeeded: half &>> UInt64(truncatingIfNeeded: 60 &- 4 &* (index & 15)) & 0xF)
  }

  /// How many leading nibbles are the same: 0 to 32.
  func commonNibbles(_ other: AddressBits) -> Int {
    high == other.high
      ? 16 + (low ^ other.low).leadingZeroBitCount / 4 : (high ^ other.high).leadingZeroBitCount / 4
  }
}

/// The leading bits that an address shares with a prefix.
struct PrefixMask {
  let high: UInt64
  let low: UInt64

  /// - Parameter length: 0 to the family's width; IPv4 too lies at the most significant end.
  @inline(__always)
  init(length: Int) {
    // Swift's smart shift gives 0 when all bits go.
    high = length >= 64 ? .max : ~(UInt64.max >> UInt64(length))
    low = length <= 64 ? 0 : ~(UInt64.max >> UInt64(length - 64))
  }

  @inline(__always)
  func agree(_ left: AddressBits, _ right: AddressBits) -> Bool {
    (left.high ^ right.high) & high | (left.low ^ right.low) & low == 0
  }
}
