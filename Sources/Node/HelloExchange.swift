internal import MeshPrimitives

/// When a `Hello` is due to one peer, and what kind of peer its silence or its answer makes it.
///
/// On every new key pair each side repeats its `Hello` until the other says that it has heard it. A peer that never
/// answers is plain WireGuard: it gets three, 0, 1 and 5 s after the session was established, and nothing of ours after.
struct HelloExchange {
  enum Kind: Sendable { case unknown, plain, mesh }

  /// What a `Hello` that came in means.
  struct Outcome: Equatable {
    /// The peer is not the process that it was: all of the old connection is gone.
    var restarted = false
    /// Both sides know that they heard each other: numbered frames may flow.
    var completed = false
  }

  private(set) var kind = Kind.unknown
  private(set) var peerIncarnation: UInt64?
  /// The peer's `Hello` has come on the current key pair.
  private(set) var heard = false
  /// The peer's last `Hello` names us as we are called now: what it sends belongs to this connection, not to an earlier one.
  private(set) var knowsUs = false
  /// The peer has heard ours, with our incarnation in it.
  private(set) var acknowledged = false
  private(set) var due = Instant.distantFuture
  private var attempts = 0

  /// A handshake was asked for since the peer's last `Hello`.
  private var hasAskedForKeys = false

  /// A mesh peer has not answered three on this key pair: perhaps it knows other keys. If it answers none on those either, that
  /// was not it.
  var wantsKeys: Bool { kind == .mesh && !heard && attempts >= 3 && !hasAskedForKeys }

  private static let toStrangers: [Int64] = [1_000_000_000, 4_000_000_000]
  private static let patience: Int64 = 4_000_000_000
  private static let maximumAttempts = 30

  /// A new key pair: the exchange begins again. What is known of the peer stays, also that it knows us: one that started again
  /// sends nothing numbered before it has our answer to its `Hello`.
  mutating func begin(now: Instant) {
    heard = false
    acknowledged = false
    attempts = 0
    due = now
  }

  /// The connection is over: the next one begins with an exchange of its own, when either side wants it.
  mutating func connectionEnded() {
    heard = false
    knowsUs = false
    acknowledged = false
    due = .distantFuture
  }

  /// Whether the peer is plain WireGuard is open again: it does not answer as WireGuard either.
  mutating func reconsider() { if kind == .plain { kind = .unknown } }

  /// The peer has heard ours, as other things than its `Hello` tell.
  mutating func wasHeard() {
    acknowledged = true
    due = .distantFuture
  }

  mutating func askedForKeys() { hasAskedForKeys = true }

  /// The peer answers no handshakes.
  mutating func handshakeFailed() {
    hasAskedForKeys = false
    reconsider()
  }

  /// There is no session any more.
  mutating func end() { due = .distantFuture }

  /// Called when `due` has come: `true` when a `Hello` is to be sent now.
  mutating func isDue(now: Instant) -> Bool {
    guard due <= now else { return false }
    if kind == .mesh {
      guard attempts < Self.maximumAttempts else {
        due = .distantFuture
        return false
      }
      due =
        acknowledged
        ? .distantFuture : now.advanced(nanoseconds: min(250_000_000 << Int64(min(attempts, 5)), 5_000_000_000))
    } else {
      guard attempts <= Self.toStrangers.count else {
        kind = .plain
        due = .distantFuture
        return false
      }
      due = now.advanced(nanoseconds: attempts < Self.toStrangers.count ? Self.toStrangers[attempts] : Self.patience)
    }
    attempts += 1
    return true
  }

  /// Takes in a `Hello`.
  /// - Parameters:
  ///   - incarnation: the peer's, not 0.
  ///   - mirrored: what the peer believes ours is; 0 when it does not know.
  ///   - peerHeard: the peer says that ours has come on this key pair.
  ///   - peerSettled: the peer knows that we heard it: it needs no answer.
  mutating func receive(
    incarnation: UInt64, mirrored: UInt64, peerHeard: Bool, peerSettled: Bool, own: UInt64, now: Instant
  ) -> Outcome {
    var outcome = Outcome()
    if let known = peerIncarnation, known != incarnation {
      outcome.restarted = true
      heard = false
      acknowledged = false
    }
    peerIncarnation = incarnation
    kind = .mesh
    heard = true
    hasAskedForKeys = false
    // One that was sent before the peer knew us, and that comes late, takes nothing back.
    if mirrored == own { knowsUs = true } else if outcome.restarted { knowsUs = false }
    if peerHeard, mirrored == own, !acknowledged {
      acknowledged = true
      outcome.completed = true
      due = .distantFuture
    }
    // Three messages settle it, and whoever is not settled repeats its own until an answer comes.
    if !peerSettled { due = now }
    return outcome
  }
}
