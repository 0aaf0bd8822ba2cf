public import MeshPrimitives

/// The answer to a path probe.
@frozen
public struct PathReply: Equatable, Sendable {
  /// The probe's 64 random bits.
  public var data: UInt64
  /// Where the probe came from, as its receiver saw it.
  public var observed: SocketAddress?

  @inlinable public init(data: UInt64 = 0, observed: SocketAddress? = nil) {
    self.data = data
    self.observed = observed
  }
}
