internal import MeshPrimitives

/// What a datagram on the one port is, by its first bytes.
public enum DatagramKind: Equatable, Sendable {
  /// `01..04 00 00 00`.
  case wireGuard
  /// Two zero bits and the magic cookie of RFC 8489 §5.
  case stun
  case unknown

  public init(_ datagram: RawSpan) {
    guard datagram.byteCount >= 4 else {
      self = .unknown
      return
    }
    let head = unsafe UInt32(littleEndian: datagram.unsafeLoadUnaligned(as: UInt32.self))
    if (1...4).contains(head) {
      self = .wireGuard
    } else if head & 0xC0 == 0, datagram.byteCount >= 8,
      unsafe UInt32(bigEndian: datagram.unsafeLoadUnaligned(fromByteOffset: 4, as: UInt32.self)) == 0x2112_A442
    {
      self = .stun
    } else {
      self = .unknown
    }
  }
}
