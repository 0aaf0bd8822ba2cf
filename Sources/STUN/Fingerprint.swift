internal import MeshPrimitives

/// The CRC-32 of ITU-T V.42, masked as FINGERPRINT wants it (RFC 8489 §14.7).
enum Fingerprint {
  static let mask: UInt32 = 0x5354_554E

  /// Eight tables of 256: `tables[n * 256 + byte]` is what a byte does to the sum when `n` bytes follow it.
  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var value = UInt32(byte)
      for _ in 0..<8 { value = value >> 1 ^ (value & 1 == 1 ? 0xEDB8_8320 : 0) }
      tables[byte] = value
    }
    for index in 256..<8 * 256 { tables[index] = tables[index - 256] >> 8 ^ tables[Int(tables[index - 256] & 0xFF)] }
    return tables
  }()

  static func compute(_ bytes: RawSpan) -> UInt32 {
    let tables = tables
    let table = tables.span
    var sum: UInt32 = 0xFFFF_FFFF
    var offset = 0
    // The indices are eight-bit numbers in each of the eight tables: in bounds.
    func entry(_ number: Int, _ value: UInt32) -> UInt32 {
      unsafe table[unchecked: number &* 256 &+ Int(truncatingIfNeeded: value & 0xFF)]
    }
    while offset &+ 8 <= bytes.byteCount {
      let low =
        unsafe sum
        ^ UInt32(
          littleEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self))
      let high = unsafe UInt32(
        littleEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset &+ 4, as: UInt32.self))
      sum =
        entry(7, low) ^ entry(6, low >> 8) ^ entry(5, low >> 16) ^ entry(4, low >> 24)
        ^ entry(3, high) ^ entry(2, high >> 8) ^ entry(1, high >> 16) ^ entry(0, high >> 24)
      offset &+= 8
    }
    while offset < bytes.byteCount {
      sum = sum >> 8 ^ entry(0, sum ^ UInt32(bytes.byte(at: offset)))
      offset &+= 1
    }
    return ~sum ^ mask
  }
}
