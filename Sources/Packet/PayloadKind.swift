internal import MeshPrimitives

/// What the decrypted payload of a WireGuard packet is, by its first byte.
///
///     empty                    keepalive
///     0x4? 0x6?                an IP packet
///     0x0P  bytes    zeros     a raw datagram
///     0x8P  varint   bytes  zeros    a typed frame
///
/// `P` is the number of zero bytes at the end, 0 to 15. A plain WireGuard peer drops what is not IP.
@frozen
public enum PayloadKind: Equatable, Sendable {
  case keepalive
  /// 4 or 6. The whole payload; it may have zeros behind the IP packet's own length.
  case ip(version: UInt8)
  case rawDatagram(Range<Int>)
  case typed(type: UInt64, body: Range<Int>)
  /// Another first byte, a type that is not a shortest varint, more padding than bytes, or padding that is not zero.
  case malformed

  /// The type of `pnet.mesh.v1.Packet`.
  @inlinable public static var packetType: UInt64 { 16 }

  public init(_ payload: RawSpan) {
    let count = payload.byteCount
    guard count > 0 else {
      self = .keepalive
      return
    }
    let first = payload.byte(at: 0)
    switch first >> 4 {
    case 4, 6: self = .ip(version: first >> 4)
    case 0, 8:
      let end = count - Int(first & 0xF)
      var offset = 1
      guard end >= offset else {
        self = .malformed
        return
      }
      for position in end..<count where payload.byte(at: position) != 0 {
        self = .malformed
        return
      }
      guard first >> 4 == 8 else {
        self = .rawDatagram(offset..<end)
        return
      }
      guard let type = try? Varint.read(payload.extracting(first: end), at: &offset) else {
        self = .malformed
        return
      }
      self = .typed(type: type, body: offset..<end)
    default: self = .malformed
    }
  }

  /// Bytes that ``writeTypedHeader(_:to:)`` appends.
  @inlinable public static func typedHeaderLength(_ type: UInt64 = packetType) -> Int { 1 &+ Varint.length(type) }

  /// Appends the header of a typed frame without padding.
  /// - Returns: `false`, and nothing is written, when it does not fit.
  @inlinable @discardableResult
  public static func writeTypedHeader(_ type: UInt64 = packetType, to output: inout OutputRawSpan) -> Bool {
    guard typedHeaderLength(type) <= output.freeCapacity else { return false }
    output.append(UInt8(0x80))
    Varint.write(type, to: &output)
    return true
  }

  /// Appends up to 15 zeros, so that the payload that begins at `start` of `output` is `length` bytes long, and notes them
  /// in its first byte. Does nothing when it is that long already, needs more than 15, or they do not fit.
  /// - Parameter start: offset of a header of ``writeTypedHeader(_:to:)`` whose frame ends with `output`.
  /// - Returns: whether the payload is now `length` bytes long.
  @discardableResult
  public static func pad(to length: Int, from start: Int, in output: inout OutputRawSpan) -> Bool {
    let count = length - (output.byteCount - start)
    guard (0...15).contains(count), count <= output.freeCapacity else { return false }
    guard count > 0 else { return true }
    output.append(zeros: count)
    var bytes = output.mutableBytes
    let first = bytes.bytes.byte(at: start)
    bytes.storeBytes(of: first & 0xF0 | UInt8(count), toByteOffset: start, as: UInt8.self)
    return true
  }
}
