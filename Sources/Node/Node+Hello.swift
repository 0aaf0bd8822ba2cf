internal import MeshPacket
internal import MeshPrimitives
internal import MeshReliability
internal import MeshSession
internal import MeshWire

extension Node {
  /// Works off what happened in the session layer.
  mutating func pumpDevice(now: Instant) {
    while let event = device.nextEvent() {
      switch event {
      case .established(let id, _):
        guard let peer = self[id] else { continue }
        peer.hasLostKeys = false
        peer.hello.begin(now: now)
        markReady(peer)
      case .erased(let id):
        guard let peer = self[id] else { continue }
        peer.hello.end()
        restartConnecting(peer, now: now)
        markReady(peer)
      case .handshakeFailed(let id):
        guard let peer = self[id] else { continue }
        peer.egress = nil
        peer.hello.handshakeFailed()
        giveUpConnecting(peer)
      case .strangerAdded(let id, let key):
        store(NodePeer(id: id, publicKey: key, isStranger: true, incarnation: incarnation, firstNumber: firstNumber))
        events.append(.strangerAdded(id, key))
      case .strangerRemoved(let id, let key):
        if let peer = self[id] {
          disconnect(peer, .closed(.timedOut))
          forget(peer)
        }
        events.append(.strangerRemoved(id, key))
      case .endpointChanged(let id, _):
        guard let peer = self[id] else { continue }
        markReady(peer)
      }
    }
  }

  mutating func receiveHello(_ bytes: RawSpan, of peer: NodePeer, now: Instant) {
    guard let hello = try? Wire.Hello(decoding: bytes), hello.incarnation != 0 else {
      return drops.count(.malformedPacket)
    }
    let outcome = peer.hello.receive(
      incarnation: hello.incarnation, mirrored: hello.peerIncarnation, peerHeard: hello.heard,
      peerSettled: hello.settled, own: peer.ownIncarnation, now: now)
    markReady(peer)
    peer.frames = hello.frames.reduce(into: 0) { if $1 < 64 { $0 |= 1 << UInt64($1) } }
    peer.software = String(decoding: hello.software.utf8.prefix(64), as: UTF8.self)
    if let observed = hello.observed { peer.observedAddress = observed }
    let theirs = hello.limits.maxPacket > 0 ? Int(clamping: hello.limits.maxPacket) : .max
    peer.longestPacket = min(theirs, configuration.largestPacket)
    if outcome.restarted {
      pumpConnection(of: peer, now: now)
      disconnect(peer, .peerRestarted)
      // What the peer that was sent before it ended may still be on its way.
      device.dropPreviousKeys(of: peer.id)
    }
    if peer.connection == nil {
      var settings = configuration.connection
      if hello.limits.idleTimeout > 0 {
        let theirs = Duration.milliseconds(Int64(clamping: min(hello.limits.idleTimeout, 1 << 40)))
        settings.idleTimeout = min(settings.idleTimeout ?? theirs, theirs)
      }
      if hello.limits.maxAckDelay > 0 {
        settings.peerMaximumAckDelay = .microseconds(Int64(min(hello.limits.maxAckDelay, 1_000_000)))
      }
      settings.firstNumber = peer.firstNumber
      settings.skipSeed = entropy.nextUInt64()
      settings.peer = ConnectionLimits(hello.limits, frames: peer.frames)
      peer.connectionNumber &+= 1
      peer.connection = OpenConnection(
        Connection(configuration: settings, opensOddStreams: peer.publicKey < publicKey, pool: pool, now: now))
    }
    if peer.hello.knowsUs { peer.connection?.machine.ignoreNumbers(below: hello.firstNumber) }
    if outcome.completed, !peer.isConnected { completeConnection(with: peer, now: now) }
  }

  /// Both sides know that they have heard each other.
  mutating func completeConnection(with peer: NodePeer, now: Instant) {
    peer.isConnected = true
    peer.connectDeadline = .distantFuture
    device.setReplayWindow(32_704, of: peer.id)
    beginPaths(of: peer, now: now)
    events.append(.connected(peer.id))
  }

  /// Sends what the exchange of `Hello` owes the peer at `now`.
  mutating func sendHello(to peer: NodePeer, now: Instant) {
    let kind = peer.hello.kind
    if peer.hello.isDue(now: now) {
      var hello = Wire.Hello()
      hello.incarnation = peer.ownIncarnation
      hello.peerIncarnation = peer.hello.peerIncarnation ?? 0
      hello.heard = peer.hello.heard
      hello.settled = peer.hello.acknowledged
      hello.firstNumber = peer.firstNumber
      hello.frames = Payload.understood
      hello.limits = Wire.Limits(configuration.connection)
      hello.limits.maxPacket = UInt64(max(0, configuration.largestPacket))
      hello.observed = device.endpoint(of: peer.id)
      hello.software = configuration.software
      device.send(Payload.hello(hello).bytes, to: peer.id, now: now)
      // It may have started again, and know nothing of these keys.
      if peer.hello.wantsKeys, device.renewKeys(with: peer.id, now: now) { peer.hello.askedForKeys() }
    } else if device.isHandshaking(with: peer.id, now: now) {
      peer.hello.reconsider()
    } else if kind != .plain, peer.hello.kind == .plain, peer.connectDeadline != .distantFuture {
      peer.connectDeadline = .distantFuture
      events.append(.plain(peer.id))
    }
  }

  /// There are no keys any more, and somebody waits for the connection.
  mutating func restartConnecting(_ peer: NodePeer, now: Instant) {
    if peer.connectDeadline != .distantFuture { device.startHandshake(with: peer.id, now: now) }
  }

  mutating func giveUpConnecting(_ peer: NodePeer) {
    guard peer.connectDeadline != .distantFuture else { return }
    peer.connectDeadline = .distantFuture
    events.append(.unreachable(peer.id))
  }

  /// Ends the connection of a peer and says so once.
  mutating func disconnect(_ peer: NodePeer, _ reason: DisconnectReason) {
    guard let connection = peer.connection else { return }
    if reason == .peerRestarted { connection.machine.peerVanished() }
    if connection.machine.hasUnread { peer.remnant = (peer.connectionNumber, connection) }
    peer.firstNumber = connection.machine.nextNumber
    let wasConnected = peer.isConnected
    peer.isConnected = false
    peer.connection = nil
    peer.vanishing = .distantFuture
    peer.hasLostKeys = reason.losesKeys
    endPaths(of: peer)
    if reason != .peerRestarted {
      peer.ownIncarnation = max(entropy.nextUInt64(), 1)
      peer.hello.connectionEnded()
    }
    if wasConnected { events.append(.disconnected(peer.id, reason)) }
  }

  /// Works off what happened on the connection of a peer.
  mutating func pumpConnection(of peer: NodePeer, now: Instant) {
    while let connection = peer.connection, let event = connection.machine.nextEvent() {
      func handle(_ id: StreamID) -> StreamHandle {
        StreamHandle(peer: peer.id, connection: peer.connectionNumber, id: id)
      }
      switch event {
      case .streamOpened(let id, let service):
        guard allows(peer, to: service) else {
          try? connection.machine.stop(id, code: .refused)
          try? connection.machine.reset(id, code: .refused)
          continue
        }
        events.append(.streamOpened(handle(id), service: service, peer: peer.publicKey))
      case .readable(let id): events.append(.readable(handle(id)))
      case .writable(let id): events.append(.writable(handle(id)))
      case .streamFinished(let id): events.append(.finished(handle(id)))
      case .reset(let id, let code): events.append(.reset(handle(id), code: code))
      case .stopped(let id, let code): events.append(.stopped(handle(id), code: code))
      case .streamsAvailable: events.append(.streamsAvailable(peer.id))
      case .messages(let inbox, let service):
        let handle = InboxHandle(peer: peer.id, connection: peer.connectionNumber, inbox: inbox)
        if admits(peer, to: service, handle, datagrams: false) {
          events.append(.messages(handle, service: service, peer: peer.publicKey))
        }
      case .datagrams(let inbox, let service):
        let handle = InboxHandle(peer: peer.id, connection: peer.connectionNumber, inbox: inbox)
        if admits(peer, to: service, handle, datagrams: true) {
          events.append(.datagrams(handle, service: service, peer: peer.publicKey))
        }
      case .messagesWritable(let lane): events.append(.messagesWritable(peer.id, lane))
      case .refused(let channel, let datagrams, _):
        let handle = ChannelHandle(peer: peer.id, connection: peer.connectionNumber, channel: channel)
        events.append(.refused(handle, datagrams: datagrams))
      case .messagesDelivered: events.append(.messagesDelivered(peer.id))
      case .closed(let reason):
        if case .closedByPeer = reason {} else { sendClose(to: peer, reason, now: now) }
        disconnect(peer, .closed(reason))
      }
    }
  }

  /// Tells the peer that the connection is over: once, and not again; a peer that misses it finds out by itself.
  mutating func sendClose(to peer: NodePeer, _ reason: CloseReason, now: Instant) {
    guard peer.hello.kind == .mesh else { return }
    var close = Wire.Close()
    close.incarnation = peer.ownIncarnation
    close.field = peer.refusedField
    peer.refusedField = 0
    switch reason {
    case .closedLocally(let code, let text): (close.code, close.reason) = (code, text)
    case .violation(let error): close.code = error.code
    case .closedByPeer, .timedOut, .peerVanished: close.code = .noError
    }
    let payload = Payload.close(close) { output in
      peer.connection?.machine.writeLastAck(into: &output, now: now)
    }
    device.send(payload.bytes, to: peer.id, now: now)
  }
}
