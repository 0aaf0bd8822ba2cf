internal import MeshPrimitives

/// Cuts a TCP or TLS stream into STUN messages and ChannelData (RFC 8656 §3.1, §12.5). Bounded: it holds one frame at most.
///
/// ```swift
/// import MeshPrimitives
/// import MeshTURN
///
/// func read(_ deframer: inout StreamDeframer, _ received: [UInt8]) throws {
///   var offset = 0
///   while offset < received.count {
///     offset += try deframer.append(received.bytes.extracting(offset..<received.count))
///     while let frame = try deframer.nextFrame() { print(frame.count, "bytes") }
///   }
/// }
/// ```
public struct StreamDeframer: Sendable {
  /// Why a stream cannot go on: it is to be closed.
  public enum Failure: Error, Equatable, Sendable {
    /// Neither STUN nor ChannelData begins here.
    case notFrame
    /// A frame of more bytes than the limit.
    case tooLarge(Int)
  }

  /// Bytes that a frame may have.
  public let limit: Int
  private var buffer: [UInt8] = []
  private var start = 0

  /// - Parameter limit: bytes of a frame, at most, with header and padding; 65,555 is the greatest there can be.
  public init(limit: Int = 65_555) {
    precondition(limit >= 20 && limit <= 65_555, "a frame has 20 to 65,555 bytes")
    self.limit = limit
  }

  /// Bytes that wait for more.
  public var pending: Int { buffer.count - start }

  /// Takes in bytes of the stream, and says how many: fewer than there are when the buffer is full of frames that nobody has
  /// taken yet.
  public mutating func append(_ bytes: RawSpan) throws(Failure) -> Int {
    if start > 0 {
      buffer.removeSubrange(0..<start)
      start = 0
    }
    let count = min(bytes.byteCount, limit + 4 - buffer.count)
    guard count > 0 else { return 0 }
    let part = bytes.extracting(first: count)
    unsafe part.withUnsafeBytes { unsafe buffer.append(contentsOf: $0) }
    return count
  }

  /// The next whole frame, without the padding of ChannelData; `nil` until there is one.
  public mutating func nextFrame() throws(Failure) -> [UInt8]? {
    guard pending >= 4 else { return nil }
    let (first, second) = (buffer[start], Int(buffer[start + 2]) << 8 | Int(buffer[start + 3]))
    let size: Int
    let padded: Int
    if first < 4 {
      guard second & 3 == 0 else { throw .notFrame }
      size = 20 + second
      padded = size
      if pending >= 8 {
        guard buffer[start + 4] == 0x21, buffer[start + 5] == 0x12, buffer[start + 6] == 0xA4, buffer[start + 7] == 0x42
        else { throw .notFrame }
      }
    } else if ChannelData.isChannelData(firstByte: first) {
      size = 4 + second
      padded = (size + 3) & ~3
    } else {
      throw .notFrame
    }
    guard padded <= limit else { throw .tooLarge(padded) }
    guard pending >= padded else { return nil }
    let frame = Array(buffer[start..<start + size])
    start += padded
    return frame
  }
}
