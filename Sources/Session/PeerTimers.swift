internal import MeshPrimitives

/// The timers of one peer (paper §6; the numbers are those of its rules). `.distantFuture` means "not armed".
struct PeerTimers {
  /// 4: a new initiation when no response has come.
  var retransmit = Instant.distantFuture
  /// The same initiation once more, in case it was lost.
  var copy = Instant.distantFuture
  /// 5: an empty packet when data came and nothing was sent since.
  var keepalive = Instant.distantFuture
  /// 5: data came while `keepalive` was armed.
  var needsAnotherKeepalive = false
  /// 6: a handshake when data was sent and nothing came since.
  var deadPeer = Instant.distantFuture
  /// 7: all keys are erased.
  var erase = Instant.distantFuture
  /// 8: an empty packet when nothing was sent or received.
  var persistentKeepalive = Instant.distantFuture
  /// A session that a stranger began and never confirmed.
  var unconfirmed = Instant.distantFuture

  var earliest: Instant {
    min(min(min(retransmit, copy), min(keepalive, deadPeer)), min(min(erase, persistentKeepalive), unconfirmed))
  }

  /// An authenticated packet came. `interval` is that of the persistent keepalive, 0 for none.
  mutating func didReceive(now: Instant, persistentKeepalive interval: Int64) {
    deadPeer = .distantFuture
    if interval > 0 { persistentKeepalive = now.advanced(nanoseconds: interval) }
  }

  mutating func disarmAll() { self = PeerTimers() }
}
