public import MeshCrypto
public import MeshPrimitives

extension Device {
  /// Makes data packets of `run` in place: for the path of bulk data, where the plaintexts are already where they go.
  ///
  /// Costs one encryption each, and no allocation.
  /// - Parameters:
  ///   - run: one packet of each `segmentSize` bytes, the last one shorter: 16 bytes for the header, the plaintext, 16 bytes
  ///     for the tag. Padding is the caller's (``WireGuard/paddedSize(of:mtu:)``).
  ///   - segmentSize: by default there is one packet.
  /// - Throws: `.noKeys`, after which a handshake is under way and the plaintexts are unchanged.
  public mutating func seal(
    _ run: inout MutableRawSpan, segmentSize: Int = .max, to id: PeerID, now: Instant
  ) throws(SealError) {
    guard let peer = self[id] else { throw .unknownPeer }
    precondition(segmentSize >= WireGuard.transportOverhead, "a packet has a header and a tag")
    let packets = max(1, (run.byteCount - 1) / segmentSize + 1)
    guard let pair = peer.current, pair.canSend(packets, at: now) else {
      peer.retries = 0
      oweInitiation(peer, now: now)
      throw .noKeys
    }
    seal(&run, segmentSize: segmentSize, with: pair, to: peer, now: now)
  }

  /// Sends `plaintext` as a packet of its own, when there is a key: until then it is staged (128 packets at most, the
  /// oldest are dropped) and a handshake is started. The packet comes out of ``nextTransmit(into:now:wall:)``.
  /// - Parameters:
  ///   - plaintext: padded by the caller; not empty.
  ///   - address: where it goes instead of to the endpoint.
  public mutating func send(_ plaintext: RawSpan, to id: PeerID, at address: SocketAddress? = nil, now: Instant) {
    guard let peer = self[id] else { return }
    if peer.staged.count >= WireGuard.stagedPackets {
      peer.staged.removeFirst()
      peer.statistics.droppedStaged &+= 1
    }
    peer.staged.append((Array(copying: plaintext), address))
    if peer.current?.canSend(at: now) == true {
      markReady(peer)
    } else {
      peer.retries = 0
      oweInitiation(peer, now: now)
    }
  }

  /// Seals at once what was given to ``send(_:to:at:now:)``, if there is a key: for a peer that is about to be removed, and
  /// with it what is staged.
  public mutating func sealStaged(for id: PeerID, now: Instant) {
    guard let peer = self[id], let pair = peer.current, pair.canSend(at: now) else { return }
    for (plaintext, address) in peer.staged
    where outbox.count - outboxHead < Self.outboxCapacity && pair.canSend(at: now) {
      let message = Array(capacity: plaintext.count + WireGuard.transportOverhead) {
        append(plaintext.bytes, to: &$0, with: pair, of: peer, now: now)
      }
      outbox.append((Transmit(peer: id, destination: address ?? peer.endpoint, kind: .data), message))
    }
    peer.staged.removeAll()
  }

  /// Starts a handshake with the peer, 5 s after the last one at the earliest.
  /// - Parameter isUrgent: 250 ms after the last one, when that one is over: for a peer that is known to have lost its keys.
  public mutating func startHandshake(with id: PeerID, isUrgent: Bool = false, now: Instant) {
    guard let peer = self[id] else { return }
    let isOver = peer.next == nil && (peer.pending == nil || peer.timers.retransmit == .distantFuture)
    oweInitiation(peer, after: isUrgent && isOver ? Self.urgentSpacing : WireGuard.handshakeSpacing, now: now)
  }

  /// Starts a handshake with a peer that seems not to know the present keys. Does nothing within 5 s of the last one.
  /// - Returns: whether it was started.
  public mutating func renewKeys(with id: PeerID, now: Instant) -> Bool {
    guard let peer = self[id], !peer.owesInitiation else { return false }
    if let last = peer.lastHandshakeSent, now.nanoseconds(since: last) < WireGuard.handshakeSpacing { return false }
    oweInitiation(peer, now: now)
    return true
  }

  private static let urgentSpacing: Int64 = 250_000_000

  /// Appends the next datagram to `output` and tells where it goes; `nil` when there is none.
  /// - Parameters:
  ///   - output: with room for the largest packet that was given to ``send(_:to:now:)`` and 32 bytes, at least 148.
  ///   - wall: the time of day, for the timestamp of initiations.
  public mutating func nextTransmit(into output: inout OutputRawSpan, now: Instant, wall: TAI64N) -> Transmit? {
    if outboxHead < outbox.count {
      let (transmit, message) = outbox[outboxHead]
      outboxHead += 1
      if outboxHead == outbox.count {
        outbox.removeAll(keepingCapacity: true)
        outboxHead = 0
      }
      output.append(message.bytes)
      return transmit
    }
    while readyHead < ready.count {
      if let peer = peers[Int(ready[readyHead])], peer.isReady,
        let transmit = nextTransmit(for: peer, into: &output, now: now, wall: wall)
      {
        return transmit
      }
      peers[Int(ready[readyHead])]?.isReady = false
      readyHead += 1
    }
    ready.removeAll(keepingCapacity: true)
    readyHead = 0
    return nil
  }

  private mutating func nextTransmit(
    for peer: Peer, into output: inout OutputRawSpan, now: Instant, wall: TAI64N
  ) -> Transmit? {
    if peer.owesInitiation {
      peer.owesInitiation = false
      peer.owesCopy = false
      if let message = try? makeInitiation(for: peer, now: now, wall: wall) {
        output.append(message.bytes)
        return Transmit(peer: peer.id, destination: peer.endpoint, kind: .initiation)
      }
      // No secret can be shared with it: nothing will ever leave.
      peer.owesKeepalive = false
      peer.statistics.droppedStaged &+= UInt64(peer.staged.count)
      peer.staged.removeAll()
      return nil
    }
    if peer.owesCopy {
      peer.owesCopy = false
      if let pending = peer.pending {
        // With the cookie that may have come meanwhile: all bytes before MAC2 stay the same.
        peer.cookies.signAgain(&pending.message, now: now)
        output.append(pending.message.bytes)
        return Transmit(peer: peer.id, destination: peer.endpoint, kind: .initiation)
      }
    }
    guard !peer.staged.isEmpty || peer.owesKeepalive else { return nil }
    guard let pair = peer.current, pair.canSend(at: now) else {
      peer.owesKeepalive = false
      oweInitiation(peer, now: now)
      return peer.owesInitiation ? nextTransmit(for: peer, into: &output, now: now, wall: wall) : nil
    }
    if !peer.staged.isEmpty {
      let (plaintext, address) = peer.staged.removeFirst()
      append(plaintext.bytes, to: &output, with: pair, of: peer, now: now)
      // It confirms the session and keeps it alive as well as an empty packet would.
      didKeepAlive(peer, now: now)
      return Transmit(peer: peer.id, destination: address ?? peer.endpoint, kind: .data)
    }
    append(RawSpan(), to: &output, with: pair, of: peer, now: now)
    didKeepAlive(peer, now: now)
    return Transmit(peer: peer.id, destination: peer.endpoint, kind: .keepalive)
  }

  /// An owed keepalive is paid. Data that came while its timer ran asks for another (rule 5).
  private mutating func didKeepAlive(_ peer: Peer, now: Instant) {
    guard peer.owesKeepalive else { return }
    peer.owesKeepalive = false
    guard peer.timers.needsAnotherKeepalive else { return }
    peer.timers.needsAnotherKeepalive = false
    peer.timers.keepalive = now.advanced(nanoseconds: WireGuard.keepaliveAfter)
    deadlines.scheduleNoLater(peer.id.slot, than: peer.timers.keepalive)
  }

  private mutating func append(
    _ plaintext: RawSpan, to output: inout OutputRawSpan, with pair: KeyPair, of peer: Peer, now: Instant
  ) {
    let start = output.byteCount
    output.append(zeros: WireGuard.transportHeaderSize)
    output.append(plaintext)
    output.append(zeros: WireGuard.tagSize)
    var written = output.mutableBytes
    var packet = written._mutatingExtracting(start..<written.byteCount)
    seal(&packet, with: pair, to: peer, now: now)
  }

  private mutating func seal(
    _ run: inout MutableRawSpan, segmentSize: Int = .max, with pair: KeyPair, to peer: Peer, now: Instant
  ) {
    let size = run.byteCount
    guard size > 0 else { return }
    let first = min(segmentSize, size)
    let counter = pair.seal(&run, segmentSize: first)
    didSend(peer, bytes: size, packets: (size - 1) / first + 1, now: now)
    if size > WireGuard.transportOverhead, peer.timers.deadPeer == .distantFuture {
      peer.timers.deadPeer = now.advanced(
        nanoseconds: WireGuard.keepaliveAfter + WireGuard.handshakeSpacing + jitter())
      deadlines.scheduleNoLater(peer.id.slot, than: peer.timers.deadPeer)
    }
    if counter > WireGuard.rekeyAfterMessages || (pair.isInitiator && pair.age(at: now) > WireGuard.rekeyAfter) {
      oweInitiation(peer, now: now)
    }
  }

  /// An authenticated packet of any kind leaves.
  mutating func didSend(_ peer: Peer, bytes: Int, packets: Int = 1, now: Instant) {
    traffic.countSent(bytes, packets: packets)
    peer.statistics.traffic.countSent(bytes, packets: packets)
    peer.timers.keepalive = .distantFuture
    if peer.persistentKeepalive > 0 {
      peer.timers.persistentKeepalive = now.advanced(nanoseconds: peer.persistentKeepalive)
      deadlines.scheduleNoLater(peer.id.slot, than: peer.timers.persistentKeepalive)
    }
  }

  /// A handshake is wanted: an initiation goes out unless handshake traffic left for the peer less than `spacing` ago.
  mutating func oweInitiation(_ peer: Peer, after spacing: Int64 = WireGuard.handshakeSpacing, now: Instant) {
    guard !peer.owesInitiation else { return }
    if let last = peer.lastHandshakeSent, now.nanoseconds(since: last) < spacing {
      // A response counts too, but its session may never be confirmed: then nothing else would start one.
      if peer.timers.retransmit == .distantFuture || spacing < WireGuard.handshakeSpacing {
        peer.timers.retransmit = min(peer.timers.retransmit, last.advanced(nanoseconds: spacing))
        deadlines.scheduleNoLater(peer.id.slot, than: peer.timers.retransmit)
      }
      return
    }
    peer.owesInitiation = true
    markReady(peer)
  }
}
