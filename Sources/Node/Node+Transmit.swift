public import MeshCrypto
internal import MeshPacket
public import MeshPrimitives
internal import MeshReliability
internal import MeshSession

/// Datagrams that ``Node/nextTransmit(into:now:wall:)`` wrote one behind the other, all for one destination.
public struct Burst: Equatable, Sendable {
  /// Where all of them go.
  public let destination: SocketAddress
  /// The address of this machine that they come from; `nil`: any.
  public let source: IPAddress?
  /// Bytes of each datagram; the last one may be shorter.
  public let segmentSize: Int
  /// The ECN bits to send them with.
  public let ecn: ECN
}

extension Node {
  /// The most datagrams in a burst: what one system call with segmentation offload takes.
  static let segmentsPerBurst = 64

  /// When ``handleTimeout(now:)`` is to be called next.
  public var deadline: Instant? { earliest(device.deadline, deadlines.earliest) }

  /// Whether handshake messages wait for ``serveHandshake(now:)``.
  public var hasQueuedHandshakes: Bool { device.hasQueuedHandshakes }

  /// Erases all session keys: to be called when the machine slept, or the process was stopped, for long. Connections stay;
  /// the next packet starts a handshake.
  public mutating func eraseAllKeys(now: Instant) {
    device.eraseAllKeys(now: now)
    pumpDevice(now: now)
  }

  /// Ends all connections and tells the peers. Then drain ``nextTransmit(into:now:wall:)`` once more.
  public mutating func closeAll(now: Instant) {
    for case let peer? in peers {
      peer.connection?.machine.close(code: .goingAway, reason: "")
      pumpConnection(of: peer, now: now)
    }
  }

  /// The kernel has refused to send from an address that this machine had: from now on it chooses, until packets come.
  public mutating func forgetLocalAddresses() { localAddresses.forgetAll() }

  /// Fires what is due at `now`. Then drain ``nextTransmit(into:now:wall:)`` and ``nextEvent()``.
  public mutating func handleTimeout(now: Instant) {
    device.handleTimeout(now: now)
    pumpDevice(now: now)
    while let slot = deadlines.popDue(at: now) {
      guard let peer = peers[Int(slot)] else { continue }
      if peer.connectDeadline <= now { giveUpConnecting(peer) }
      if peer.isConnected, peer.vanishing <= now {
        // It could not even ask whether the peer is there.
        peer.connection?.machine.peerVanished()
        pumpConnection(of: peer, now: now)
      }
      if peer.canAsk, let connection = peer.connection, let due = connection.machine.deadline, due <= now {
        connection.machine.handleTimeout(now: now)
        watchPath(of: peer, now: now)
        pumpConnection(of: peer, now: now)
      }
      markReady(peer)
    }
  }

  /// Appends the next datagrams to `output` and tells where they go; `nil` when nothing is to be sent at `now`.
  /// - Parameters:
  ///   - output: an empty buffer of ``longestPacket`` bytes at least; 64 KiB lets a burst be whole.
  ///   - wall: the time of day, for the timestamp of handshakes.
  public mutating func nextTransmit(into output: inout OutputRawSpan, now: Instant, wall: TAI64N) -> Burst? {
    transmitRoom = output.freeCapacity
    shareMemory()
    while true {
      if let burst = nextFromDevice(into: &output, now: now, wall: wall) { return burst }
      guard readyHead < ready.count else {
        ready.removeAll(keepingCapacity: true)
        readyHead = 0
        return nil
      }
      let slot = ready[readyHead]
      readyHead += 1
      if readyHead > 1024, readyHead * 2 > ready.count {
        ready.removeFirst(readyHead)
        readyHead = 0
      }
      guard let peer = peers[Int(slot)], peer.isReady else { continue }
      peer.isReady = false
      pumpConnection(of: peer, now: now)
      if let connection = peer.connection, connection.machine.longPacketsLost >= Self.mostLongLost {
        watchPacketSize(of: peer, now: now)
      }
      sendControl(to: peer, now: now)
      // First what is due beside the connection: before it has our Hello, the peer drops its packets.
      if let burst = nextFromDevice(into: &output, now: now, wall: wall) {
        markReady(peer)
        return burst
      }
      if let burst = nextBurst(to: peer, into: &output, now: now) {
        // Whoever had a turn goes to the end of the line.
        markReady(peer)
        return burst
      }
      let due = peer.deadline
      if due == .distantFuture { deadlines.cancel(slot) } else { deadlines.schedule(slot, at: due) }
    }
  }

  /// Works off what happened on connections without sending anything: for as long as the socket takes nothing.
  public mutating func pump(now: Instant) {
    for slot in ready[readyHead...] {
      if let peer = peers[Int(slot)] { pumpConnection(of: peer, now: now) }
    }
  }

  private mutating func nextFromDevice(into output: inout OutputRawSpan, now: Instant, wall: TAI64N) -> Burst? {
    while let transmit = device.nextTransmit(into: &output, now: now, wall: wall) {
      if let destination = transmit.destination {
        let source =
          switch output.bytes.byte(at: 0) {
          case 1: localAddresses.sourceOfInitiation(to: destination)
          case 2, 3: localAddresses.sourceOfAnswer(to: destination)
          default: localAddresses.source(for: destination)
          }
        return Burst(destination: destination, source: source, segmentSize: output.byteCount, ecn: .notECT)
      }
      // Nobody knows where the peer is.
      output.removeAll()
    }
    return nil
  }

  /// Lets connections that found no memory go on, when others have given some back.
  mutating func shareMemory() {
    guard pool.takeRelief() else { return }
    for case let peer? in peers {
      if let connection = peer.connection, connection.machine.offerRoom() { markReady(peer) }
    }
  }

  /// What is due to a peer outside its connection.
  private mutating func sendControl(to peer: NodePeer, now: Instant) {
    if peer.hello.due <= now {
      // Without keys it waits for the next pair, with which the exchange begins again.
      if device.canSend(to: peer.id, now: now) {
        sendHello(to: peer, now: now)
      } else {
        peer.hello.end()
        restartConnecting(peer, now: now)
      }
    }
    if peer.isConnected { sendProbes(to: peer, now: now) }
  }

  /// Fills `output` with datagrams for the peer, all of one size but the last: from its connection, or from what waits beside
  /// it, in turn.
  private mutating func nextBurst(to peer: NodePeer, into output: inout OutputRawSpan, now: Instant) -> Burst? {
    let queue = peer.egress.flatMap { $0.isEmpty ? nil : $0 }
    guard peer.isConnected || queue != nil else { return nil }
    guard device.canSend(to: peer.id, now: now), let destination = device.endpoint(of: peer.id) else {
      waitForKeys(of: peer, hasQueued: queue != nil, now: now)
      return nil
    }
    if !peer.canAsk, peer.isConnected {
      peer.vanishing = .distantFuture
      peer.connection?.machine.resumed(now: now)
    }
    guard let queue else { return nextOfConnection(to: peer, at: destination, most: .max, into: &output, now: now) }
    var mayAsk = peer.isConnected && peer.connection?.machine.wantsToSend() ?? false
    while let flow = queue.next(connectionWants: mayAsk, now: now) {
      guard flow == .connection else {
        return nextQueued(flow, of: queue, to: peer, at: destination, into: &output, now: now)
      }
      let most = queue.connectionAllowance
      if let burst = nextOfConnection(to: peer, at: destination, most: most, into: &output, now: now) {
        queue.chargeConnection(output.byteCount)
        return burst
      }
      // Its window or its pacer holds it back.
      mayAsk = false
    }
    return nil
  }

  private mutating func waitForKeys(of peer: NodePeer, hasQueued: Bool, now: Instant) {
    let asks = peer.isConnected && peer.connection?.machine.wantsToSend() ?? false
    guard asks || hasQueued else { return }
    device.startHandshake(with: peer.id, now: now)
    if asks, peer.vanishing == .distantFuture { peer.vanishing = now + configuration.connection.vanishedAfter }
  }

  /// Fills `output` with packets of the peer's connection, about `most` bytes of them.
  private mutating func nextOfConnection(
    to peer: NodePeer, at destination: SocketAddress, most: Int, into output: inout OutputRawSpan, now: Instant
  ) -> Burst? {
    guard let connection = peer.connection else { return nil }
    // What asks again and again whether the peer is there must pass wherever anything does.
    let size =
      connection.machine.consecutiveProbeTimeouts >= 2
      ? min(peer.packetSize, MTUDiscovery.minimum) : peer.packetSize
    var segments = 0
    while segments < Self.segmentsPerBurst, output.freeCapacity >= size, output.byteCount < most {
      let written = appendPacket(of: connection, to: peer, size: size, into: &output, now: now)
      guard written > 0 else { break }
      segments += 1
      guard written == size else { break }
    }
    guard segments > 0 else { return nil }
    var run = output.mutableBytes
    // Where the keys are used up in the middle, nothing leaves: what was lost with it is found as any other loss is.
    guard (try? device.seal(&run, segmentSize: size, to: peer.id, now: now)) != nil else {
      output.removeAll()
      return nil
    }
    return Burst(
      destination: destination, source: localAddresses.source(for: destination),
      segmentSize: min(size, output.byteCount), ecn: connection.machine.outgoingECN)
  }

  /// Appends one packet of at most `size` bytes, to be sealed, and returns its size; 0 when the connection has nothing to
  /// send.
  private mutating func appendPacket(
    of connection: OpenConnection, to peer: NodePeer, size: Int, into output: inout OutputRawSpan, now: Instant
  ) -> Int {
    let header = WireGuard.transportHeaderSize
    let frame = PayloadKind.typedHeaderLength()
    return unsafe output.withUnsafeMutableBytes { buffer, count in
      let start = count
      let room = unsafe UnsafeMutableRawBufferPointer(
        rebasing: buffer[start + header + frame..<start + size - WireGuard.tagSize])
      var message = unsafe OutputRawSpan(buffer: room, initializedCount: 0)
      guard connection.machine.nextPacket(into: &message, now: now) else { return 0 }
      let length = unsafe message.finalize(for: room)
      let padding = -(frame + length) & 15
      unsafe (room.baseAddress! + length).initializeMemory(as: UInt8.self, repeating: 0, count: padding)
      let total = header + frame + length + padding + WireGuard.tagSize
      unsafe buffer[start + header] = 0x80 | UInt8(padding)
      unsafe buffer[start + header + 1] = UInt8(PayloadKind.packetType)
      count = start + total
      return total
    }
  }
}
