public import MeshPrimitives

/// The 96 bits that tie a response to its request (RFC 8489 §5). Drawn at random, so that nobody off the path can answer.
@frozen
public struct TransactionID: Hashable, Sendable {
  /// The first four bytes on the wire as a big-endian number.
  public let high: UInt32
  /// The last eight bytes on the wire as a big-endian number.
  public let low: UInt64

  @inlinable public init(high: UInt32, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// A new one.
  public init(random entropy: inout some Entropy) {
    var bytes: InlineArray<12, UInt8> = InlineArray(repeating: 0)
    var elements = bytes.mutableSpan
    var span = unsafe elements.mutableBytes
    entropy.fill(&span)
    self.init(span.bytes, at: 0)
  }

  /// Reads the 12 bytes at `offset`. Traps when they are not there.
  @inlinable init(_ bytes: RawSpan, at offset: Int) {
    high = UInt32(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    low = UInt64(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset + 4, as: UInt64.self))
  }
}

extension TransactionID: CustomStringConvertible {
  /// 24 hexadecimal digits.
  public var description: String {
    func digits(_ value: UInt64, _ count: Int) -> String {
      let text = String(value, radix: 16)
      return String(repeating: "0", count: count - text.count) + text
    }
    return digits(UInt64(high), 8) + digits(low, 16)
  }
}
