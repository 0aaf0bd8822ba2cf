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

  /// Opens the data packets at the start of `run` that belong to one key pair, in place: what came in one system call from
  /// one source, cut into `segmentSize` bytes, the last one shorter. ``opened`` then tells where their plaintexts lie.
  ///
  /// Costs one look-up and one round of the timers for all of them.
  /// What does not authenticate is left out, and counted.
  /// - Returns: whose they are, and the bytes of `run` that are worked off, whole segments; `nil` when the first segment is
  ///   something else, which ``handle(_:from:now:)`` takes.
  public mutating func open(
    _ run: inout MutableRawSpan, segmentSize: Int, from source: SocketAddress, now: Instant
  ) -> (peer: PeerID, bytes: Int)? {
    opened.removeAll(keepingCapacity: true)
    // A shorter segment is no data, whatever follows it.
    guard segmentSize >= WireGuard.transportOverhead, KeyPair.isData(run.bytes) else { return nil }
    let index = run.bytes.uint32(at: 4)
    guard let slot = indices[index], let peer = peers[Int(slot)], let pair = peer.keyPair(index),
      pair.age(at: now) < WireGuard.rejectAfter
    else { return nil }
    let outcome = pair.open(&run, segmentSize: segmentSize, writing: &opened, counting: &drops)
    if outcome.packets > 0 {
      accepted(
        outcome.packets, bytes: outcome.bytes, by: pair, of: peer, from: source, isNewest: outcome.isNewest, now: now)
    }
    return (peer.id, outcome.end)
  }

  private mutating func receiveTransport(
    _ datagram: inout MutableRawSpan, from source: SocketAddress, now: Instant
  ) throws(DropReason) -> Received {
    let index = datagram.bytes.uint32(at: 4)
    guard let slot = indices[index], let peer = peers[Int(slot)], let pair = peer.keyPair(index) else {
      throw .unknownReceiver
    }
    guard pair.age(at: now) < WireGuard.rejectAfter else { throw .expired }
    let isNewest = try pair.open(&datagram)
    let end = datagram.byteCount - WireGuard.tagSize
    let hasContent = end > WireGuard.transportHeaderSize
    opened.removeAll(keepingCapacity: true)
    if hasContent { opened.append(WireGuard.transportHeaderSize..<end) }
    accepted(1, bytes: datagram.byteCount, by: pair, of: peer, from: source, isNewest: isNewest, now: now)
    return hasContent ? .data(peer.id, payload: WireGuard.transportHeaderSize..<end) : .keepalive(peer.id)
  }

  /// What authenticated packets do to the session; those with content are in ``opened``.
  private mutating func accepted(
    _ packets: Int, bytes: Int, by pair: KeyPair, of peer: Peer, from source: SocketAddress, isNewest: Bool,
    now: Instant
  ) {
    lastIndex = pair.localIndex
    if peer.next === pair { confirm(peer, now: now) }
    if isNewest, peer.roams, peer.endpoint != source, peer.current === pair {
      peer.endpoint = source
      events.append(.endpointChanged(peer.id, source))
    }
    didReceive(peer, bytes: bytes, packets: packets, now: now)
    // The first starts the timer of the keepalive, any other asks for one more.
    if opened.count > 0 { didReceiveContent(peer, now: now) }
    if opened.count > 1 { didReceiveContent(peer, now: now) }
    if pair.isInitiator, peer.current === pair, !peer.sentLastMinuteHandshake,
      pair.age(at: now) > WireGuard.lastMinuteRekeyAfter
    {
      peer.sentLastMinuteHandshake = true
      oweInitiation(peer, now: now)
    }
  }

  /// The first packet on `next`: the initiator has the keys too (key confirmation).
  private mutating func confirm(_ peer: Peer, now: Instant) {
    drop(peer.previous)
    peer.previous = peer.current
    peer.current = peer.next
    peer.next = nil
    handshakeCompleted(peer, isInitiator: false, now: now)
  }

  mutating func didReceive(_ peer: Peer, bytes: Int, packets: Int = 1, now: Instant) {
    traffic.countReceived(bytes, packets: packets)
    peer.statistics.traffic.countReceived(bytes, packets: packets)
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
