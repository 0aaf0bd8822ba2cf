internal import MeshPrimitives
internal import MeshSTUN

/// One Binding request of ours and its repetitions (RFC 8445 §7.2.4, RFC 8489 §6.2.1).
struct Check: Sendable {
  let id: TransactionID
  /// The role that it claims: what a role conflict is about.
  let role: ICERole
  let nominates: Bool
  /// What it says that a peer-reflexive candidate would have.
  let priority: UInt32
  let firstSent: Instant
  /// How often it has left.
  var sent = 0
  /// When it is to be repeated, or has failed once all repetitions have left.
  var due: Instant
  var timeout: Duration
}

/// Two candidates, and how far their check is (RFC 8445 §6.1.2).
struct Pair: Sendable {
  enum State: Sendable { case frozen, waiting, inProgress, succeeded, failed }

  /// Both foundations, as numbers that the agent gives them.
  struct Foundation: Hashable, Sendable {
    let local: UInt32
    let remote: UInt32
  }

  let id: UInt32
  let component: UInt16
  /// Positions in the agent's lists.
  var local: Int
  let remote: Int
  let base: SocketAddress
  let destination: SocketAddress
  let foundation: Foundation
  var priority: UInt64
  var state = State.frozen
  var check: Check?
  /// An earlier check that is not repeated any more, and whose answer still counts (§7.3.1.4).
  var superseded: Check?
  /// Controlling: the next check says USE-CANDIDATE. Controlled: the peer's did, while ours was under way.
  var nominates = false
  var isNominated = false
  /// The local candidate that the peer sees, once it has succeeded.
  var validLocal: Int?
  var roundTrip: Duration?

  var isPending: Bool { state == .frozen || state == .waiting || state == .inProgress }
}
