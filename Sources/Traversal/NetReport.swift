/// What ``NetCheck`` found out about the network, for people and scripts. `nil` stands for "not known".
public struct NetReport: Codable, Equatable, Sendable {
  /// What one server saw.
  public struct View: Codable, Equatable, Sendable {
    /// As it was asked for, and its address.
    public var server: String
    public var serverAddress: String
    /// Our address as the server sees it; `nil` without an answer.
    public var mappedAddress: String?
    public var roundTripMilliseconds: Double?
    /// Why there is no address.
    public var problem: String?
  }

  /// How long an idle mapping of the NAT lives: at least, and less than.
  public struct Lifetime: Codable, Equatable, Sendable {
    public var atLeastSeconds: Double?
    public var lessThanSeconds: Double?
    public var isConclusive: Bool
  }

  /// One address family.
  public struct Family: Codable, Equatable, Sendable {
    /// The address of this machine that the first server is reached from; `nil`: no route leads there.
    public var localAddress: String?
    public var views: [View] = []
    /// Whether a NAT changes our address.
    public var isTranslated: Bool?
    /// Whether the NAT keeps the port.
    public var preservesPort: Bool?
    /// RFC 4787 §4.1: `endpoint-independent`, `address-dependent`, `address-and-port-dependent`.
    public var mapping: String?
    /// RFC 4787 §5, the same words.
    public var filtering: String?
    /// RFC 4787 §6.
    public var hairpins: Bool?
    public var lifetime: Lifetime?

    /// Whether UDP goes out and comes back.
    public var works: Bool { views.contains { $0.mappedAddress != nil } }
  }

  /// What a TURN server relayed.
  public struct Relay: Codable, Equatable, Sendable {
    public var server: String
    /// `udp`, `tcp` or `tls`.
    public var transport: String
    public var relayedAddress: String?
    /// Of a datagram to the relayed address and back through the relay.
    public var roundTripMilliseconds: Double?
    public var lifetimeSeconds: Double?
    public var problem: String?
  }

  /// Whether UDP works at all; `nil` when it was not tried.
  public var udp: Bool?
  public var ipv4: Family?
  public var ipv6: Family?
  public var relays: [Relay] = []

  public init() {}
}
