internal import MeshCrypto
internal import MeshPrimitives
internal import MeshReplay

/// The keys that one handshake gave, for both directions.
final class KeyPair {
  var sealing: SealingKey
  let opening: OpeningKey
  var replay: ReplayWindow
  let localIndex: UInt32
  let remoteIndex: UInt32
  let created: Instant
  /// Whether we sent the initiation: the initiator alone rekeys by age.
  let isInitiator: Bool

  init(
    keys: consuming TransportKeys, localIndex: UInt32, remoteIndex: UInt32, isInitiator: Bool, window: Int, now: Instant
  ) {
    sealing = keys.sealing
    opening = keys.opening
    replay = ReplayWindow(capacity: window)
    self.localIndex = localIndex
    self.remoteIndex = remoteIndex
    self.isInitiator = isInitiator
    created = now
  }

  /// Nanoseconds since the handshake.
  func age(at now: Instant) -> Int64 { now.nanoseconds(since: created) }

  /// Whether packets may still be sent (rule 3 of the timers).
  func canSend(at now: Instant) -> Bool {
    age(at: now) < WireGuard.rejectAfter && sealing.counter < WireGuard.rejectAfterMessages
  }
}
