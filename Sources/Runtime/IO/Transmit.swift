public import MeshPrimitives

/// Where a datagram goes, and how.
public struct Transmit: Equatable, Sendable {
  public var destination: SocketAddress
  /// The address of this machine to send from; `nil` leaves it to the kernel.
  public var source: IPAddress?
  public var ecn: ECN
  /// Bytes of each datagram but the last, when several were written; `nil`: one was.
  public var segmentSize: Int?
  /// Whether routers may fragment it (DF off). Such a datagram is always sent alone.
  public var mayFragment: Bool

  public init(
    to destination: SocketAddress, from source: IPAddress? = nil, ecn: ECN = .notECT, segmentSize: Int? = nil,
    mayFragment: Bool = false
  ) {
    self.destination = destination
    self.source = source
    self.ecn = ecn
    self.segmentSize = segmentSize
    self.mayFragment = mayFragment
  }
}
