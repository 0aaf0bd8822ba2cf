public import MeshPrimitives

/// Which destinations share a mapping (RFC 4787 §4.1).
@frozen
public enum MappingBehavior: UInt8, Sendable {
  /// One mapping for all: what others learn of our address holds for them too.
  case endpointIndependent
  /// One mapping per address.
  case addressDependent
  /// One mapping per address and port ("symmetric").
  case addressAndPortDependent
}

/// Whose packets a mapping lets in (RFC 4787 §5).
@frozen
public enum FilteringBehavior: UInt8, Sendable {
  /// Everybody's.
  case endpointIndependent
  /// Those of addresses that were sent to.
  case addressDependent
  /// Those of addresses and ports that were sent to.
  case addressAndPortDependent
}

/// What ``BehaviorDiscovery`` found. `nil` stands for "not known".
public struct BehaviorReport: Equatable, Sendable {
  /// Our address as the server sees it; `nil` when UDP does not get through to it.
  public var mappedAddress: SocketAddress?
  /// The time to the first answer; `nil` when the first request was lost.
  public var roundTrip: Duration?
  /// Whether the mapped address differs from our own.
  public var isTranslated: Bool?
  /// The other address of the server. Without one only the mapped address and hairpinning can be found out.
  public var otherAddress: SocketAddress?
  public var mapping: MappingBehavior?
  public var filtering: FilteringBehavior?
  /// Whether a packet to our own mapped address comes back in (RFC 4787 §6).
  public var hairpinning: Bool?
  /// The error that the server gave in place of an address.
  public var rejected: STUNErrorCode?

  public init() {}
}
