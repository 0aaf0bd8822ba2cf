internal import MeshPacket
public import MeshPrimitives
internal import MeshReliability
internal import MeshRouting
internal import MeshSession
internal import MeshWire

extension Node {
  /// Takes in one datagram of the port. What it contains is decrypted in place.
  /// - Parameters:
  ///   - datagram: the UDP payload; undefined afterwards.
  ///   - source: where it came from.
  ///   - local: the address of this machine that it came to; `nil`: unknown.
  ///   - ecn: the ECN bits of its IP header.
  public mutating func handle(
    _ datagram: inout MutableRawSpan, from source: SocketAddress, to local: IPAddress? = nil, ecn: ECN, now: Instant
  ) {
    switch DatagramKind(datagram.bytes) {
    case .stun: drops.count(.unexpectedSTUN)
    case .unknown: drops.count(.unknownDatagram)
    case .wireGuard:
      switch device.handle(&datagram, from: source, now: now) {
      case .dropped: break
      case .queued: if let local { localAddresses.ask(source, at: local) }
      case .keepalive:
        if let local { localAddresses.confirm(source, at: local) }
        pumpDevice(now: now)
      case .data(let id, let payload):
        if let local { localAddresses.confirm(source, at: local) }
        // Events first: this packet may have confirmed the session that it came on.
        pumpDevice(now: now)
        guard let peer = self[id] else { return }
        received(datagram.byteCount, from: source, of: peer, now: now)
        var content = datagram._mutatingExtracting(payload)
        receive(&content, of: peer, from: source, ecn: ecn, now: now)
      }
    }
  }

  /// Takes in what one system call gave: datagrams of `segmentSize` bytes one behind the other, the last one shorter, all from
  /// one source and with one mark.
  /// - Parameter segmentSize: 0: all of `run` is one datagram, which may be empty.
  public mutating func handle(
    _ run: inout MutableRawSpan, segmentSize: Int, from source: SocketAddress, to local: IPAddress? = nil, ecn: ECN,
    now: Instant
  ) {
    let segmentSize = segmentSize > 0 ? segmentSize : max(1, run.byteCount)
    var start = 0
    // An empty datagram is one, too.
    repeat {
      var rest = run._mutatingExtracting(start..<run.byteCount)
      if let (id, bytes) = device.open(&rest, segmentSize: segmentSize, from: source, now: now), bytes > 0 {
        // Events first: these packets may have confirmed the session that they came on.
        pumpDevice(now: now)
        if !device.opened.isEmpty, let peer = self[id] {
          // Only what was authenticated counts.
          if let local { localAddresses.confirm(source, at: local) }
          let authentic = device.opened.reduce(0) { $0 + $1.count + WireGuard.transportOverhead }
          received(authentic, from: source, of: peer, now: now)
          for index in 0..<device.opened.count {
            var content = rest._mutatingExtracting(device.opened[index])
            receive(&content, of: peer, from: source, ecn: ecn, now: now)
          }
        }
        start += bytes
      } else {
        let size = min(segmentSize, rest.byteCount)
        var datagram = rest._mutatingExtracting(0..<size)
        handle(&datagram, from: source, to: local, ecn: ecn, now: now)
        start += size
      }
    } while start < run.byteCount
  }

  /// Works off one queued handshake message: `false` when there was none. Costs about 120 µs.
  @discardableResult
  public mutating func serveHandshake(now: Instant) -> Bool {
    defer { pumpDevice(now: now) }
    return device.serveHandshake(now: now)
  }

  private mutating func receive(
    _ payload: inout MutableRawSpan, of peer: NodePeer, from source: SocketAddress, ecn: ECN, now: Instant
  ) {
    switch PayloadKind(payload.bytes) {
    case .keepalive: break
    case .typed(PayloadKind.packetType, let body):
      receivePacket(payload.bytes.extracting(body), of: peer, from: source, ecn: ecn, now: now)
    case .ip: receiveIP(&payload, of: peer, now: now)
    case .typed, .rawDatagram: drops.count(.unsupportedFrame)
    case .malformed: drops.count(.malformedPayload)
    }
  }

  // MARK: - IP

  /// Bytes of the largest echo request that is answered: with padding and WireGuard's 32 bytes it fits into 2,048.
  private static let largestEcho = 2000

  private mutating func receiveIP(_ payload: inout MutableRawSpan, of peer: NodePeer, now: Instant) {
    guard let header = try? IPPacketHeader(parsing: payload.bytes) else { return drops.count(.malformedIP) }
    guard allowedIPs.lookup(header.source) == peer.id.slot else { return drops.count(.sourceNotAllowed) }
    guard ownAddresses.contains(header.destination) else { return drops.count(.noDestination) }
    // A reply is as long as its request, and must fit into what `nextTransmit` is given at least.
    guard header.totalLength <= min(configuration.mtu, Self.largestEcho) else { return drops.count(.noDestination) }
    var packet = payload._mutatingExtracting(0..<header.totalLength)
    guard EchoResponder.answer(&packet) else { return drops.count(.noDestination) }
    guard enqueue(packet.bytes, ecn: header.ecn, for: peer, now: now) else { return drops.count(.queueFull) }
    echoesAnswered &+= 1
  }

  // MARK: - Packets

  private mutating func receivePacket(
    _ message: RawSpan, of peer: NodePeer, from source: SocketAddress, ecn: ECN, now: Instant
  ) {
    guard let connection = peer.connection, peer.hello.knowsUs else {
      return receiveUnconnected(message, of: peer, from: source, now: now)
    }
    let outcome: PacketOutcome
    do throws(ConnectionError) {
      outcome = try connection.machine.handle(message, ecn: ecn, now: now)
    } catch .packet(.notCanonical) {
      // Nothing of it was recorded: the same packet is given again, in the form that the connection reads.
      guard let canonical = canonicalForm(of: message, from: peer, now: now) else { return }
      return receivePacket(canonical.bytes, of: peer, from: source, ecn: ecn, now: now)
    } catch {
      drops.count(.malformedPacket)
      return pumpConnection(of: peer, now: now)
    }
    switch outcome {
    case .unnumbered:
      return receiveUnconnected(message, of: peer, from: source, now: now)
    case .accepted(let hasForeignFrames):
      if !peer.isConnected {
        // It sends such packets only when it has heard our Hello. The one that says so was lost.
        peer.hello.wasHeard()
        completeConnection(with: peer, now: now)
      }
      if connection.machine.newestAsked { peerIsAt(source, peer, now: now) }
      if hasForeignFrames { receiveFrames(message, of: peer, from: source, now: now) }
    case .duplicate, .noRoom, .closed: break
    }
    // What happened on the connection is worked off once for all packets of a batch, when the peer has its turn.
    markReady(peer)
  }

  /// A packet that does not belong to a connection: it is checked as a whole before any of it is acted upon.
  private mutating func receiveUnconnected(
    _ message: RawSpan, of peer: NodePeer, from source: SocketAddress, now: Instant
  ) {
    do throws(PacketError) {
      let summary = try PacketReader.validate(message)
      guard summary.number == 0 else { return drops.count(.beforeHello) }
      receiveFrames(message, of: peer, from: source, now: now)
    } catch .notCanonical {
      guard let canonical = canonicalForm(of: message, from: peer, now: now) else { return }
      receiveUnconnected(canonical.bytes, of: peer, from: source, now: now)
    } catch {
      drops.count(.malformedPacket)
    }
  }

  /// The canonical form of a packet, read and written by the other codec; `nil`, and counted, when there is none or the
  /// peer asks for it too often.
  private mutating func canonicalForm(of message: RawSpan, from peer: NodePeer, now: Instant) -> [UInt8]? {
    guard peer.takeNonCanonical(now: now) else {
      drops.count(.tooManyNonCanonical)
      return nil
    }
    guard let canonical = Payload.canonical(message) else {
      drops.count(.malformedPacket)
      return nil
    }
    return canonical
  }

  /// The frames of a packet that do not belong to the connection.
  private mutating func receiveFrames(_ message: RawSpan, of peer: NodePeer, from source: SocketAddress, now: Instant) {
    var reader = PacketReader(message)
    var ack: AckFrame?
    while let frame = try? reader.next() {
      switch frame {
      case .ack(let frame): ack = frame
      case .pathProbe(let data):
        let reply = Payload.pathReply(PathReply(data: data, observed: source))
        // On the path that the probe came by, whatever is in use.
        device.send(reply.bytes, to: peer.id, at: source, now: now)
      case .pathReply(let reply): receive(reply, of: peer, from: source, now: now)
      case .other(FieldNumber.hello, let bytes): receiveHello(message.extracting(bytes), of: peer, now: now)
      case .other(FieldNumber.close, let bytes):
        receiveClose(message.extracting(bytes), ack, in: message, of: peer, now: now)
      case .relay: refuse(FieldNumber.relay, of: peer, now: now)
      case .ipFragment: refuse(FieldNumber.ipFragments, of: peer, now: now)
      case .other(let field, _): refuse(field, of: peer, now: now)
      case .number, .stream, .message, .datagram, .maxData, .streamMaxData, .resetStream, .stopSending, .ping,
        .maxStreams, .dataBlocked, .streamDataBlocked, .streamsBlocked, .refuseChannel:
        break  // the connection's
      }
    }
  }

  /// A field that our `Hello` does not list. It carries content, so it cannot be skipped and yet acknowledged.
  private mutating func refuse(_ field: UInt32, of peer: NodePeer, now: Instant) {
    drops.count(.unsupportedField)
    guard let connection = peer.connection else { return }
    peer.refusedField = field
    connection.machine.close(code: .unsupported, reason: "")
    pumpConnection(of: peer, now: now)
  }

  private mutating func receive(_ reply: PathReply, of peer: NodePeer, from source: SocketAddress, now: Instant) {
    if let observed = reply.observed { peer.observedAddress = observed }
    if pathReplied(reply.data, of: peer, now: now) { return }
    if let index = peer.pings.firstIndex(where: { $0.token == reply.data }) {
      let sent = peer.pings.remove(at: index).sent
      events.append(.pong(peer.id, token: reply.data, roundTrip: now - sent, from: source))
    }
  }

  private mutating func receiveClose(
    _ bytes: RawSpan, _ ack: AckFrame?, in message: RawSpan, of peer: NodePeer, now: Instant
  ) {
    guard let close = try? Wire.Close(decoding: bytes), close.incarnation == peer.hello.peerIncarnation else { return }
    if let ack { peer.connection?.machine.handleLastAck(ack, in: message, now: now) }
    peer.connection?.machine.peerClosed(code: close.code, reason: close.reason)
    pumpConnection(of: peer, now: now)
  }
}

extension NodePeer {
  /// Whether one more packet in other than canonical form may be read: 32 a second.
  fileprivate func takeNonCanonical(now: Instant) -> Bool {
    if now.nanoseconds(since: nonCanonicalSince) >= 1_000_000_000 {
      nonCanonicalSince = now
      nonCanonicalBudget = 32
    }
    guard nonCanonicalBudget > 0 else { return false }
    nonCanonicalBudget -= 1
    return true
  }
}
