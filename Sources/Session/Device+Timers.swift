internal import MeshCrypto
public import MeshPrimitives

extension Device {
  /// Fires the timers that are due at `now`. Then drain ``nextTransmit(into:now:wall:)`` and ``nextEvent()``.
  public mutating func handleTimeout(now: Instant) {
    while let slot = deadlines.popDue(at: now) {
      guard let peer = peers[Int(slot)] else { continue }
      fire(peer, now: now)
      // Timers that were moved back while the slot waited are looked at again at their own time.
      guard peers[Int(slot)] === peer else { continue }
      let earliest = peer.timers.earliest
      if earliest != .distantFuture { deadlines.scheduleNoLater(slot, than: earliest) }
    }
  }

  private mutating func fire(_ peer: Peer, now: Instant) {
    if peer.timers.unconfirmed <= now {
      peer.timers.unconfirmed = .distantFuture
      if peer.isStranger, peer.current == nil { return removePeer(peer.id) }
    }
    if peer.timers.erase <= now {
      lapse(peer)
      return
    }
    if peer.timers.retransmit <= now { retryHandshake(peer, now: now) }
    if peer.timers.copy <= now { repeatInitiation(peer, now: now) }
    if peer.timers.deadPeer <= now {
      // Rule 6: data was sent and nothing came back.
      peer.timers.deadPeer = .distantFuture
      peer.retries = 0
      oweInitiation(peer, now: now)
    }
    if peer.timers.keepalive <= now {
      // Rule 5.
      peer.timers.keepalive = .distantFuture
      oweKeepalive(peer)
    }
    if peer.timers.persistentKeepalive <= now {
      // Rule 8.
      peer.timers.persistentKeepalive = now.advanced(nanoseconds: peer.persistentKeepalive)
      oweKeepalive(peer)
    }
  }

  /// Rule 4: a new initiation, or giving up.
  private mutating func retryHandshake(_ peer: Peer, now: Instant) {
    peer.timers.retransmit = .distantFuture
    guard peer.retries <= WireGuard.maximumRetries else {
      dropPending(of: peer)
      peer.statistics.droppedStaged &+= UInt64(peer.staged.count)
      peer.staged.removeAll()
      peer.timers.keepalive = .distantFuture
      peer.retries = 0
      if peer.timers.erase == .distantFuture {
        peer.timers.erase = now.advanced(nanoseconds: WireGuard.eraseAfter)
      }
      events.append(.handshakeFailed(peer.id))
      return
    }
    if peer.pending != nil { peer.retries += 1 }
    peer.owesInitiation = true
    markReady(peer)
  }

  /// The same initiation again, since it or its answer may have been lost.
  private mutating func repeatInitiation(_ peer: Peer, now: Instant) {
    peer.timers.copy = .distantFuture
    guard let pending = peer.pending else { return }
    pending.copies += 1
    if pending.copies < PendingInitiation.copyTimes.count {
      peer.timers.copy = pending.sent.advanced(nanoseconds: PendingInitiation.copyTimes[pending.copies])
    }
    peer.owesCopy = true
    markReady(peer)
  }
}
