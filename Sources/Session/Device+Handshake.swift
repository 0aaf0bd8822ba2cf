internal import MeshCrypto
public import MeshPrimitives

extension Device {
  /// Whether handshake messages wait.
  public var hasQueuedHandshakes: Bool { !queue.isEmpty }

  /// Works off one queued handshake message: `false` when there was none.
  ///
  /// Costs up to four scalar multiplications, about 120 µs: the caller decides how often between packets.
  @discardableResult
  public mutating func serveHandshake(now: Instant) -> Bool {
    var message: [UInt8] = []
    swap(&message, &scratch)
    defer { swap(&message, &scratch) }
    guard let source = queue.popFirst(into: &message) else { return false }
    do throws(DropReason) {
      if message.count != WireGuard.cookieReplySize, queue.isUnderLoad(now: now) {
        try demandCookie(message.bytes, from: source, now: now)
      }
      switch message.count {
      case WireGuard.initiationSize: try consumeInitiation(message, from: source, now: now)
      case WireGuard.responseSize: try consumeResponse(message, from: source, now: now)
      default: try consumeCookieReply(message, now: now)
      }
    } catch { drops.count(error) }
    return true
  }

  /// Under load: only a source that has echoed a cookie is served, and that at a limited rate.
  private mutating func demandCookie(_ message: RawSpan, from source: SocketAddress, now: Instant) throws(DropReason) {
    guard checker.hasValidMAC2(message, from: source, now: now) else {
      let reply = checker.reply(to: message, from: source, now: now, entropy: &entropy)
      post(reply, Transmit(peer: nil, destination: source, kind: .cookieReply))
      throw .cookieRequired
    }
    guard limiter.allow(source.address, now: now) else { throw .rateLimited }
  }

  // MARK: - Responder

  private mutating func consumeInitiation(
    _ message: [UInt8], from source: SocketAddress, now: Instant
  ) throws(DropReason) {
    let bytes = message.bytes
    let offsets = MACOffsets(messageSize: message.count)
    var noise: NoiseResponder
    do { noise = try NoiseResponder(reading: bytes.extracting(8..<116), localStatic: privateKey) } catch {
      throw .forged
    }
    var reader = ByteReader(bytes.extracting(offsets.mac1..<offsets.mac2))
    guard let mac1 = try? Tag16(parsing: &reader) else { throw .wrongLength }
    let remoteIndex = bytes.uint32(at: 4)
    let peer: Peer
    if let slot = slotsByKey[noise.remoteStatic], let known = peers[Int(slot)] {
      peer = known
      if try answerAgain(peer, mac1: mac1, to: source, now: now) { return }
      try verifyTimestamp(of: peer, &noise, now: now)
    } else {
      peer = try admitStranger(&noise, from: source, now: now)
    }

    // From here on the initiation is accepted.
    peer.lastAcceptedInitiation = now
    let localIndex = makeIndex(for: peer)
    var keys: TransportKeys?
    var finishing: NoiseResponder? = consume noise
    var response: [UInt8]
    do throws(KeyError) {
      response = try Array(capacity: WireGuard.responseSize) { output throws(KeyError) in
        output.append(MessageType.response.rawValue, .little)
        output.append(localIndex, .little)
        output.append(remoteIndex, .little)
        keys = try finishing.take()!.respond(
          presharedKey: peer.presharedKey, entropy: &entropy, provider: provider, writing: &output)
        output.append(zeros: 32)
      }
    } catch {
      indices.remove(localIndex)
      throw .forged
    }
    peer.cookies.sign(&response, to: peer.publicKey, now: now)

    drop(peer.next)
    drop(peer.previous)
    peer.previous = nil
    peer.next = KeyPair(
      keys: keys.take()!, localIndex: localIndex, remoteIndex: remoteIndex, isInitiator: false,
      window: peer.replayWindow, began: now, now: now)
    peer.answered = AnsweredInitiation(mac1: mac1, response: response, at: now)
    peer.lastHandshakeSent = now
    if peer.timers.retransmit != .distantFuture {
      peer.timers.retransmit = now.advanced(nanoseconds: WireGuard.handshakeSpacing + jitter())
    }
    didReceive(peer, bytes: message.count, now: now)
    didSend(peer, bytes: response.count, now: now)
    sessionDerived(peer, now: now)
    if peer.endpoint == nil { peer.endpoint = source }
    post(response, Transmit(peer: peer.id, destination: source, kind: .response))
  }

  /// Answers an identical copy of the last accepted initiation, which came another way, with the same bytes.
  private mutating func answerAgain(
    _ peer: Peer, mac1: Tag16, to source: SocketAddress, now: Instant
  ) throws(DropReason) -> Bool {
    guard let answered = peer.answered, answered.mac1 == mac1,
      now.nanoseconds(since: answered.at) < AnsweredInitiation.lifetime
    else { return false }
    guard answered.ways < AnsweredInitiation.maximumWays else { throw .replayedTimestamp }
    peer.answered?.ways += 1
    post(answered.response, Transmit(peer: peer.id, destination: source, kind: .response))
    return true
  }

  private mutating func verifyTimestamp(
    of peer: Peer, _ noise: inout NoiseResponder, now: Instant
  ) throws(DropReason) {
    try computeStaticStatic(of: peer)
    let timestamp: TAI64N
    do { timestamp = try noise.readTimestamp(staticStatic: peer.staticStatic!) } catch { throw .forged }
    guard timestamp > peer.greatestTimestamp else { throw .replayedTimestamp }
    if let last = peer.lastAcceptedInitiation, now.nanoseconds(since: last) < WireGuard.initiationSpacing {
      throw .initiationFlood
    }
    peer.greatestTimestamp = timestamp
  }

  /// Lists a peer that the policy lets in, once it has proved that it holds its key. Leaves nothing behind otherwise.
  private mutating func admitStranger(
    _ noise: inout NoiseResponder, from source: SocketAddress, now: Instant
  ) throws(DropReason) -> Peer {
    let key = noise.remoteStatic
    guard key != publicKey else { throw .unknownPeer }
    switch configuration.acceptance {
    case .listed: throw .unknownPeer
    case .any: break
    case .predicate(let accepts): guard accepts(key) else { throw .unknownPeer }
    }
    guard strangers < configuration.maximumStrangers else { throw .tableFull }
    guard strangerLimiter.allow(source.address, now: now) else { throw .rateLimited }
    let staticStatic: SharedSecret
    let timestamp: TAI64N
    do { staticStatic = try privateKey.sharedSecret(with: key) } catch { throw .forged }
    do { timestamp = try noise.readTimestamp(staticStatic: staticStatic) } catch { throw .forged }
    let peer: Peer
    do { peer = try insert(PeerConfiguration(publicKey: key), isStranger: true, now: now) } catch { throw .tableFull }
    peer.staticStatic = consume staticStatic
    peer.greatestTimestamp = timestamp
    peer.timers.unconfirmed = now.advanced(nanoseconds: 15_000_000_000)
    deadlines.scheduleNoLater(peer.id.slot, than: peer.timers.unconfirmed)
    events.append(.strangerAdded(peer.id, key))
    return peer
  }

  // MARK: - Initiator

  /// Builds a new initiation for `peer`: 148 bytes.
  mutating func makeInitiation(for peer: Peer, now: Instant, wall: TAI64N) throws(DropReason) -> [UInt8] {
    try computeStaticStatic(of: peer)
    dropPending(of: peer)
    // Peers refuse a timestamp that is not greater than the last one, whatever our clock says.
    let timestamp = max(wall, lastTimestamp.successor)
    lastTimestamp = timestamp
    let localIndex = makeIndex(for: peer)
    var noise: NoiseInitiator?
    var message: [UInt8]
    do throws(KeyError) {
      message = try Array(capacity: WireGuard.initiationSize) { output throws(KeyError) in
        output.append(MessageType.initiation.rawValue, .little)
        output.append(localIndex, .little)
        noise = try NoiseInitiator(
          localStatic: privateKey, remoteStatic: peer.publicKey, staticStatic: peer.staticStatic!,
          timestamp: timestamp, entropy: &entropy, writing: &output)
        output.append(zeros: 32)
      }
    } catch {
      indices.remove(localIndex)
      throw .forged
    }
    peer.cookies.sign(&message, to: peer.publicKey, now: now)
    peer.pending = PendingInitiation(localIndex: localIndex, noise: noise.take()!, message: message, sent: now)
    peer.lastHandshakeSent = now
    didSend(peer, bytes: message.count, now: now)
    peer.timers.copy = now.advanced(nanoseconds: PendingInitiation.copyTimes[0])
    peer.timers.retransmit = now.advanced(nanoseconds: WireGuard.handshakeSpacing + jitter())
    deadlines.scheduleNoLater(peer.id.slot, than: peer.timers.copy)
    return message
  }

  private mutating func consumeResponse(
    _ message: [UInt8], from source: SocketAddress, now: Instant
  ) throws(DropReason) {
    let bytes = message.bytes
    let localIndex = bytes.uint32(at: 8)
    guard let slot = indices[localIndex], let peer = peers[Int(slot)] else { throw .unknownReceiver }
    guard let pending = peer.pending, pending.localIndex == localIndex, pending.isOpen(at: now) else {
      throw .noHandshake
    }
    let keys: TransportKeys
    do throws(CryptoError) {
      keys = try pending.noise.read(
        response: bytes.extracting(12..<60), localStatic: privateKey, presharedKey: peer.presharedKey,
        provider: provider)
    } catch { throw .forged }

    // From here on the response is accepted. Its index lives on in the key pair.
    peer.pending = nil
    peer.timers.copy = .distantFuture
    let pair = KeyPair(
      keys: keys, localIndex: localIndex, remoteIndex: bytes.uint32(at: 4), isInitiator: true,
      window: peer.replayWindow, began: pending.sent, now: now)
    drop(peer.previous)
    if let next = peer.next {
      drop(peer.current)
      peer.previous = next
      peer.next = nil
    } else {
      peer.previous = peer.current
    }
    peer.current = pair
    if peer.roams, peer.endpoint != source {
      peer.endpoint = source
      events.append(.endpointChanged(peer.id, source))
    }
    didReceive(peer, bytes: message.count, now: now)
    sessionDerived(peer, now: now)
    handshakeCompleted(peer, isInitiator: true, now: now)
    // The responder may not send before it has heard from us: what is staged goes at once, or an empty packet.
    if peer.staged.isEmpty { oweKeepalive(peer) }
  }

  private mutating func consumeCookieReply(_ message: [UInt8], now: Instant) throws(DropReason) {
    let bytes = message.bytes
    guard let slot = indices[bytes.uint32(at: 4)], let peer = peers[Int(slot)] else { throw .unknownReceiver }
    try peer.cookies.handle(reply: bytes, from: peer.publicKey, now: now)
  }

  /// Both sides have the keys of a new pair.
  mutating func handshakeCompleted(_ peer: Peer, isInitiator: Bool, now: Instant) {
    // An initiation of our own that crossed may still be answered; it is not sent again.
    peer.timers.retransmit = .distantFuture
    peer.timers.copy = .distantFuture
    peer.timers.unconfirmed = .distantFuture
    peer.retries = 0
    peer.sentLastMinuteHandshake = false
    traffic.handshakes &+= 1
    peer.statistics.traffic.handshakes &+= 1
    peer.statistics.lastHandshake = now
    events.append(.established(peer.id, isInitiator: isInitiator))
    if !peer.staged.isEmpty { markReady(peer) }
  }

  /// New keys exist on this side.
  private mutating func sessionDerived(_ peer: Peer, now: Instant) {
    peer.timers.erase = now.advanced(nanoseconds: WireGuard.eraseAfter)
    deadlines.scheduleNoLater(peer.id.slot, than: peer.timers.erase)
  }

  mutating func post(_ message: [UInt8], _ transmit: Transmit) {
    // Each entry answers one handshake message that was served, and the caller drains after each input.
    guard outbox.count - outboxHead < Self.outboxCapacity else { return }
    outbox.append((transmit, message))
  }

  private mutating func computeStaticStatic(of peer: Peer) throws(DropReason) {
    guard peer.staticStatic == nil else { return }
    do { peer.staticStatic = try privateKey.sharedSecret(with: peer.publicKey) } catch { throw .forged }
  }
}
