internal import MeshPrimitives

/// A 64-bit hash that is fed piece by piece. Not cryptographic: it tells two runs of a simulation apart.
///
/// Equal input gives an equal value in every process and build; each step is one multiplication and a shift.
public struct Fingerprint: Sendable, Equatable {
  public private(set) var value: UInt64

  public init(seed: UInt64 = 0) { value = seed ^ 0xCBF2_9CE4_8422_2325 }

  public mutating func mix(_ word: UInt64) {
    let product = (value ^ word).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
    value = product.high ^ product.low &+ 0x632B_E59B_D9B4_E019
  }

  public mutating func mix(_ bytes: RawSpan) {
    let count = bytes.byteCount
    var offset = 0
    while offset + 8 <= count {
      unsafe mix(UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)))
      offset += 8
    }
    var last = UInt64(count) << 56
    var shift: UInt64 = 0
    while offset < count {
      last ^= UInt64(bytes.byte(at: offset)) << shift
      shift += 8
      offset += 1
    }
    mix(last)
  }

  /// 16 hexadecimal digits.
  public var text: String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

/// A seed for one purpose of many, made from the one seed of a run.
func derivedSeed(_ seed: UInt64, _ purpose: UInt64, _ index: UInt64 = 0) -> UInt64 {
  var mix = Fingerprint(seed: seed)
  mix.mix(purpose)
  mix.mix(index)
  return mix.value
}
