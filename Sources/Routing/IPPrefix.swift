public import MeshPrimitives

/// A block of IP addresses that share their first bits, such as `10.0.0.0/8`. The bits behind them are zero.
@frozen
public struct IPPrefix: Hashable, Sendable {
  /// The first address of the block.
  public let address: IPAddress
  /// How many leading bits the addresses share: 0 to 32 (IPv4) or 128 (IPv6).
  public let length: Int

  /// The block of `length` leading bits around `address`, whose other bits are masked off; `nil` when its family has no
  /// such length.
  public init?(_ address: IPAddress, length: Int) {
    guard (0...address.bitWidth).contains(length) else { return nil }
    let mask = PrefixMask(length: length)
    let bits = AddressBits(address)
    self.address = AddressBits(high: bits.high & mask.high, low: bits.low & mask.low).address(address.family)
    self.length = length
  }

  /// The block that holds `address` alone.
  public init(_ address: IPAddress) {
    self.address = address
    length = address.bitWidth
  }

  /// Reads `10.0.0.0/8`, `fd00::/8`, or an address alone, which is a block of its own. Bits behind the prefix are masked
  /// off, as `wg` does. `nil` unless all of `text` is one prefix; the length is decimal, without sign or leading zero.
  public init?(_ text: some StringProtocol) {
    guard let slash = text.firstIndex(of: "/") else {
      guard let address = IPAddress(text) else { return nil }
      self.init(address)
      return
    }
    let digits = text[text.index(after: slash)...].utf8
    guard let address = IPAddress(text[..<slash]), (1...3).contains(digits.count), digits.allSatisfy({ $0 &- 48 < 10 }),
      digits.count == 1 || digits.first != 48
    else { return nil }
    self.init(address, length: digits.reduce(0) { $0 * 10 + Int($1 - 48) })
  }

  /// Whether `other` lies in the block. No IPv4 address lies in an IPv6 block, nor the other way round.
  public func contains(_ other: IPAddress) -> Bool {
    guard other.family == address.family else { return false }
    let mask = PrefixMask(length: length)
    return mask.agree(AddressBits(other), AddressBits(address))
  }
}

extension IPPrefix: CustomStringConvertible {
  /// Always with the length: `192.0.2.1/32`.
  public var description: String { "\(address)/\(length)" }
}

extension IPPrefix: Comparable {
  /// IPv4 before IPv6, then by first address, a longer block last: an order for output, the same in every process.
  public static func < (left: IPPrefix, right: IPPrefix) -> Bool {
    left.address == right.address ? left.length < right.length : left.address < right.address
  }
}
