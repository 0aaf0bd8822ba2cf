public import MeshPrimitives

/// Two candidates between which checks have passed both ways.
public struct CandidatePair: Hashable, Sendable {
  public let component: UInt16
  /// What the peer sees of us on this way; peer-reflexive when nobody knew.
  public let local: Candidate
  public let remote: Candidate
  /// The address to send from: a socket's, or a relayed one.
  public let base: SocketAddress
  /// The address to send to.
  public let destination: SocketAddress
  /// RFC 8445 §6.1.2.3.
  public let priority: UInt64
  /// Whether the controlling end has chosen it.
  public let isNominated: Bool
  /// Of the check that passed; `nil` when it was repeated, so that nobody knows.
  public let roundTrip: Duration?

  /// Whether either end is behind a relay.
  public var isRelayed: Bool { local.kind == .relayed || remote.kind == .relayed }
}

extension CandidatePair {
  /// The formula of RFC 8445 §6.1.2.3.
  static func priority(controlling: UInt32, controlled: UInt32) -> UInt64 {
    UInt64(min(controlling, controlled)) << 32 + 2 * UInt64(max(controlling, controlled))
      + (controlling > controlled ? 1 : 0)
  }
}
