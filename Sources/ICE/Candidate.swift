public import MeshPrimitives

/// A transport address at which one end may be reached (RFC 8445 §5.3). UDP only.
///
/// In SDP form (RFC 8839 §5.1), it is read by ``init(parsing:)`` and written by `description`:
///
///     candidate:1 1 UDP 2130706431 192.0.2.1 54321 typ host
public struct Candidate: Hashable, Sendable {
  /// How an address became known.
  public enum Kind: UInt8, CaseIterable, Sendable {
    /// It is the host's own.
    case host
    /// A STUN server sees it: what a NAT makes of the host's own.
    case serverReflexive
    /// The peer sees it, or was seen at it, in a check.
    case peerReflexive
    /// A TURN server forwards what comes there.
    case relayed

    /// 126, 100, 110 and 0 (RFC 8445 §5.1.2.2): 0 to 126, more is better.
    public var typePreference: UInt32 {
      switch self {
      case .host: 126
      case .peerReflexive: 110
      case .serverReflexive: 100
      case .relayed: 0
      }
    }
  }

  /// Candidates of one kind, one base address and one server share it: 1 to 32 letters, digits, `+` and `/`.
  public var foundation: String
  /// Which of the streams that are set up together, 1 to 256.
  public var component: UInt16
  /// More is better: 1 to 2^31 − 1.
  public var priority: UInt32
  public var address: SocketAddress
  public var kind: Kind
  /// What the address is derived from, for people who look for faults: of a reflexive candidate its base, of a relayed one
  /// what the server sees of the host. `nil` for host candidates, or when it is nobody's business.
  public var related: SocketAddress?

  public init(
    foundation: String, component: UInt16 = 1, priority: UInt32, address: SocketAddress, kind: Kind,
    related: SocketAddress? = nil
  ) {
    self.foundation = foundation
    self.component = component
    self.priority = priority
    self.address = address
    self.kind = kind
    self.related = related
  }

  /// The formula of RFC 8445 §5.1.2.1.
  /// - Parameters:
  ///   - localPreference: 0 to 65,535, more is better; see ``LocalPreference``.
  ///   - component: 1 to 256.
  public static func priority(kind: Kind, localPreference: UInt16, component: UInt16) -> UInt32 {
    precondition((1...256).contains(component), "a component is 1 to 256")
    return kind.typePreference << 24 | UInt32(localPreference) << 8 | (256 - UInt32(component))
  }

  /// The priority that a peer-reflexive candidate of the same base would have: what a check says (RFC 8445 §7.1.1).
  var peerReflexivePriority: UInt32 { Kind.peerReflexive.typePreference << 24 | priority & 0xFF_FFFF }
}
