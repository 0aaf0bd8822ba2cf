public import MeshPrimitives

/// The four bytes before data on a channel (RFC 8656 §12.4).
///
///     0               2               4
///     | channel number | length        | data …
@frozen
public struct ChannelData: Equatable, Sendable {
  public static var headerSize: Int { 4 }
  /// The numbers that a channel can have.
  @inlinable public static var numbers: ClosedRange<UInt16> { 0x4000...0x4FFF }

  public let number: UInt16
  /// Bytes of data.
  public let length: Int

  /// Whether a datagram of this first byte may be one: STUN messages begin with 0 to 3.
  @inlinable public static func isChannelData(firstByte: UInt8) -> Bool { firstByte >> 4 == 4 }

  /// Reads the header at the beginning of `bytes`; `nil` when there is none, or the data does not lie in `bytes`. What follows
  /// the data is padding.
  @inlinable public init?(_ bytes: RawSpan) {
    guard bytes.byteCount >= 4 else { return nil }
    let word = UInt32(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: 0, as: UInt32.self))
    number = UInt16(truncatingIfNeeded: word >> 16)
    length = Int(truncatingIfNeeded: word & 0xFFFF)
    guard Self.numbers.contains(number), length <= bytes.byteCount &- 4 else { return nil }
  }

  /// Writes a header before `payload`, and behind it the padding that a stream needs; `nil` when there is no room.
  @inlinable static func wrap(
    _ bytes: inout MutableRawSpan, _ payload: Range<Int>, number: UInt16, isPadded: Bool
  ) -> Range<Int>? {
    let padding = isPadded ? -payload.count & 3 : 0
    guard payload.lowerBound >= 4, payload.count <= 0xFFFF, padding <= bytes.byteCount &- payload.upperBound else {
      return nil
    }
    bytes.store(UInt32(number) << 16 | UInt32(truncatingIfNeeded: payload.count), at: payload.lowerBound &- 4, .big)
    for offset in payload.upperBound..<payload.upperBound &+ padding {
      bytes.storeBytes(of: 0, toByteOffset: offset, as: UInt8.self)
    }
    return payload.lowerBound &- 4..<payload.upperBound &+ padding
  }
}
