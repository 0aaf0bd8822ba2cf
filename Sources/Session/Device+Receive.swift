internal import MeshCrypto
public import MeshPrimitives
internal import MeshReplay

extension Device {
  /// Takes in one datagram. Data is decrypted in place; handshake messages are queued.
  ///
  /// Costs one look-up, one decryption and no allocation for data. A datagram that does not authenticate changes nothing.
  /// - Parameters:
  ///   - datagram: the UDP payload. Its content is undefined after a drop.
  ///   - source: where it came from.
  public mutating func handle(
    _ datagram: inout MutableRawSpan, from source: SocketAddress, now: Instant
  ) -> Received {
    do throws(DropReason) {
      switch try MessageType.classify(datagram.bytes) {
      case .transport:
        return try receiveTransport(&datagram, from: source, now: now)
      case .response, .cookieReply:
        // Whether anybody waits for it costs less to know than its MAC.
        let receiver = datagram.bytes.uint32(at: datagram.bytes.uint32(at: 0) == 2 ? 8 : 4)
        guard indices[receiver] != nil else { throw .unknownReceiver }
        fallthrough
      case .initiation:
        try enqueue(datagram.bytes, from: source, now: now)
        return .queued
      }
    } catch {
      drops.count(error)
      return .dropped(error)
    }
  }

  private mutating func enqueue(_ message: RawSpan, from source: SocketAddress, now: Instant) throws(DropReason) {
    if message.byteCount != WireGuard.cookieReplySize, !checker.hasValidMAC1(message) { throw .invalidMAC1 }
    switch queue.append(message, from: source, now: now) {
    case .added: break
    case .displaced: drops.count(.handshakeQueueFull)
    case .refused: throw .handshakeQueueFull
    }
  }

  private mutating func receiveTransport(
    _ datagram: inout MutableRawSpan, from source: SocketAddress, now: Instant
  ) throws(DropReason) -> Received {
    let index = datagram.bytes.uint32(at: 4)
    let counter = datagram.bytes.uint64(at: 8)
    guard let slot = indices[index], let peer = peers[Int(slot)], let pair = peer.keyPair(index) else {
      throw .unknownReceiver
    }
    guard pair.age(at: now) < WireGuard.rejectAfter else { throw .expired }
    // Check, authenticate, commit: a forged counter does not move the window.
    switch pair.replay.check(counter) {
    case .fresh: break
    case .replayed: throw .replayed
    case .tooOld: throw .tooOld
    case .exhausted: throw .expired
    }
    let size = datagram.byteCount
    do throws(CryptoError) {
      var body = datagram._mutatingExtracting(WireGuard.transportHeaderSize..<size)
      try pair.opening.open(&body, counter: counter)
    } catch { throw .forged }
    _ = pair.replay.commit(counter)

    if peer.next === pair { confirm(peer, now: now) }
    if peer.roams, peer.endpoint != source, peer.current === pair, counter == pair.replay.highest {
      peer.endpoint = source
      events.append(.endpointChanged(peer.id, source))
    }
    let plaintextEnd = size - WireGuard.tagSize
    let hasContent = plaintextEnd > WireGuard.transportHeaderSize
    didReceive(peer, bytes: size, now: now)
    if hasContent { didReceiveContent(peer, now: now) }
    if pair.isInitiator, peer.current === pair, !peer.sentLastMinuteHandshake,
      pair.age(at: now) > WireGuard.lastMinuteRekeyAfter
    {
      peer.sentLastMinuteHandshake = true
      oweInitiation(peer, now: now)
    }
    return hasContent ? .data(peer.id, payload: WireGuard.transportHeaderSize..<plaintextEnd) : .keepalive(peer.id)
  }

  /// The first packet on `next`: the initiator has the keys too (key confirmation).
  private mutating func confirm(_ peer: Peer, now: Instant) {
    drop(peer.previous)
    peer.previous = peer.current
    peer.current = peer.next
    peer.next = nil
    handshakeCompleted(peer, isInitiator: false, now: now)
  }

  mutating func didReceive(_ peer: Peer, bytes: Int, now: Instant) {
    traffic.countReceived(bytes)
    peer.statistics.traffic.countReceived(bytes)
    peer.timers.didReceive(now: now, persistentKeepalive: peer.persistentKeepalive)
  }

  private mutating func didReceiveContent(_ peer: Peer, now: Instant) {
    if peer.timers.keepalive == .distantFuture {
      peer.timers.keepalive = now.advanced(nanoseconds: WireGuard.keepaliveAfter)
      deadlines.scheduleNoLater(peer.id.slot, than: peer.timers.keepalive)
    } else {
      peer.timers.needsAnotherKeepalive = true
    }
  }
}
