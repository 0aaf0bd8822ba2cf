public import MeshPrimitives

/// What the kernel says of one received message: one datagram, or several of one sender that it put together (UDP_GRO).
public struct ReceivedMessage: Equatable, Sendable {
  public let source: SocketAddress
  /// The address of this machine that it was sent to; what an answer should come from.
  public let local: IPAddress?
  /// The interface that it came by; 0 when unknown.
  public let interface: UInt32
  public let ecn: ECN
  /// Bytes of all its datagrams.
  public let byteCount: Int
  /// Bytes of each datagram but the last, which may be shorter.
  public let segmentSize: Int

  /// 1 or more; an empty message is one empty datagram.
  public var datagramCount: Int { segmentSize == 0 ? 1 : (byteCount + segmentSize - 1) / segmentSize }
}
