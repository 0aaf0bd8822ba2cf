internal import MeshCrypto
internal import MeshNode
internal import MeshPrimitives
internal import MeshReliability
internal import MeshSession

/// A call that waits for a connection to a peer, or for a stream that the peer allows.
struct PendingCall {
  enum Purpose {
    case open(service: String, StreamOptions)
    /// Senders of messages are settled with the gate that the case carries.
    case sender(service: String, lane: Lane, Gate<MessageSender>)
    /// Nothing but the connection: a ping follows.
    case ping
  }

  let id: UInt64
  let peer: PeerID
  let key: PublicKey
  let purpose: Purpose
  let deadline: Instant
  let gate: Gate<MeshStream?>
  /// The limit of the peer that it waits at.
  var streamLimit: UInt64?

  /// Its time is over.
  func expire() {
    let error = streamLimit.map { MeshError.tooManyStreams(limit: $0) } ?? .unreachable(key)
    gate.settle(.failure(error))
  }
}

struct PendingPing {
  let key: PublicKey
  let deadline: Instant
  let gate: Gate<Pong>
}

/// Where the streams that peers open to a service go.
final class IncomingService: Sendable {
  let continuation: AsyncStream<MeshStream>.Continuation

  init(_ continuation: AsyncStream<MeshStream>.Continuation) { self.continuation = continuation }
}

extension EngineCore {
  // MARK: - Connections

  /// Opens a stream as soon as the peer is connected; the gate gets the stream.
  func call(_ purpose: PendingCall.Purpose, id: UInt64, key: PublicKey, deadline: Instant, gate: Gate<MeshStream?>) {
    guard let peer = node.peer(for: key) else { return gate.settle(.failure(MeshError.unknownPeer(key))) }
    opening.append(PendingCall(id: id, peer: peer, key: key, purpose: purpose, deadline: deadline, gate: gate))
    node.connect(to: peer, now: now)
  }

  func cancelCall(_ id: UInt64) { opening.removeAll { $0.id == id } }

  /// Does what waited for the peer, in the order in which it was asked for. What finds no stream left waits on.
  func connected(_ id: PeerID) {
    // Of bidirectional and one-way streams.
    var limits: (UInt64?, UInt64?)
    for var call in take({ $0.peer == id }) {
      switch call.purpose {
      case .ping: call.gate.settle(.success(nil))
      case .sender(let service, let lane, let gate):
        gate.settle(
          Result { () throws(MeshError) -> MessageSender in
            do throws(MessageError) {
              return try makeSender(to: id, key: call.key, service: service, lane: lane)
            } catch { throw MeshError(error, peer: call.key) }
          }.mapError { $0 })
        call.gate.settle(.success(nil))
      case .open(let service, let options):
        if let limit = options.isOneWay ? limits.1 : limits.0 {
          call.streamLimit = limit
          opening.append(call)
          continue
        }
        do throws(StreamError) {
          let handle = try node.openStream(to: id, service: service, options: options)
          call.gate.settle(.success(makeStream(handle, service: service, peer: call.key)))
        } catch .tooManyStreams(let limit) {
          if options.isOneWay { limits.1 = limit } else { limits.0 = limit }
          call.streamLimit = limit
          opening.append(call)
        } catch {
          call.gate.settle(.failure(MeshError(error, peer: call.key)))
        }
      }
    }
  }

  func failCalls(to id: PeerID, _ error: (PublicKey) -> MeshError) {
    for call in take({ $0.peer == id }) { call.gate.settle(.failure(error(call.key))) }
  }

  /// The node gave up once; calls with time left let it try again.
  func retryCalls(to id: PeerID) {
    let over = take { $0.peer == id && $0.deadline <= now }
    for call in over { call.expire() }
    if opening.contains(where: { $0.peer == id }) { node.connect(to: id, now: now) }
  }

  /// The connection is over on which they waited for a stream: they wait for the next one.
  func retryBlockedCalls(to id: PeerID) {
    guard !isStopping else { return }
    for index in opening.indices where opening[index].peer == id { opening[index].streamLimit = nil }
    retryCalls(to: id)
  }

  func expireCalls() {
    for call in take({ $0.deadline <= now }) { call.expire() }
    for (token, ping) in pings where ping.deadline <= now {
      pings[token] = nil
      ping.gate.settle(.failure(MeshError.unreachable(ping.key)))
    }
  }

  private func take(_ isTaken: (PendingCall) -> Bool) -> [PendingCall] {
    guard opening.contains(where: isTaken) else { return [] }
    let taken = opening.filter(isTaken)
    opening.removeAll(where: isTaken)
    return taken
  }

  // MARK: - Pings

  func ping(_ key: PublicKey, deadline: Instant, gate: Gate<Pong>) {
    guard let peer = node.peer(for: key) else { return gate.settle(.failure(MeshError.unknownPeer(key))) }
    nextPing &+= 1
    guard node.ping(peer, token: nextPing, now: now) else {
      return gate.settle(.failure(MeshError.plainWireGuard(key)))
    }
    pings[nextPing] = PendingPing(key: key, deadline: deadline, gate: gate)
  }

  func pong(_ id: PeerID, _ token: UInt64, _ roundTrip: Duration, _ source: SocketAddress) {
    guard let ping = pings.removeValue(forKey: token) else { return }
    ping.gate.settle(.success(Pong(roundTrip: roundTrip, path: .direct(source))))
  }

  // MARK: - Services

  func serve(_ service: String, access: ServiceAccess, _ incoming: IncomingService) {
    self.incoming[service]?.continuation.finish()
    self.incoming[service] = incoming
    node.setService(service, access: access)
  }

  /// Nobody takes the streams of `asked` any more. Somebody else may have asked for the service meanwhile.
  func stopServing(_ service: String, _ asked: ObjectIdentifier) {
    guard let known = incoming[service], ObjectIdentifier(known) == asked else { return }
    incoming[service] = nil
    closeIfUnused(service)
  }

  // MARK: - Status

  func status(addresses: [String], backends: [MeshStatus.Backend]) -> MeshStatus {
    var drops: [String: UInt64] = [:]
    for reason in DropReason.allCases { drops["session.\(reason)"] = node.sessionDrops[reason] }
    for reason in NodeDropReason.allCases { drops["node.\(reason)"] = node.drops[reason] }
    let counters = socket.counters
    drops["socket.truncated"] = counters.receivedTruncated
    drops["socket.tooLarge"] = counters.tooLarge
    drops["socket.unreachable"] = counters.unreachable
    drops["socket.refused"] = counters.refused
    drops["socket.denied"] = counters.denied
    drops["socket.noBuffers"] = counters.noBuffers
    drops["socket.other"] = counters.badAddress + counters.otherErrors
    return MeshStatus(
      publicKey: node.publicKey.description, port: socket.local.port,
      derivedAddress: node.derivedAddress.description, addresses: addresses, backends: backends, drops: drops,
      echoesAnswered: node.echoesAnswered,
      peers: node.peerIDs.compactMap { node.status(of: $0).map { MeshStatus.Peer($0, now: now) } })
  }
}

extension MeshStatus.Peer {
  init(_ peer: PeerStatus, now: Instant) {
    func milliseconds(_ duration: Duration) -> Double { Double(duration.wholeNanoseconds) / 1e6 }
    self.init(
      publicKey: peer.publicKey.description, kind: peer.kind.rawValue, isStranger: peer.isStranger,
      isConnected: peer.isConnected, endpoint: peer.endpoint?.description,
      allowedIPs: peer.allowedIPs.map(\.description),
      latestHandshakeSecondsAgo: peer.session.lastHandshake.map { milliseconds(now - $0) / 1000 },
      handshakes: peer.session.traffic.handshakes, droppedPackets: peer.session.droppedStaged,
      receivedBytes: peer.session.traffic.receivedBytes, sentBytes: peer.session.traffic.sentBytes,
      roundTripMilliseconds: peer.connection.flatMap {
        $0.smoothedRTT == .zero ? nil : milliseconds($0.smoothedRTT)
      }, packetSize: peer.packetSize, congestionWindow: peer.connection?.congestionWindow,
      lostPackets: peer.connection?.packetsLost ?? 0, retransmittedBytes: peer.connection?.bytesRetransmitted ?? 0,
      usesECN: peer.connection?.usesECN, congestionMarks: peer.connection?.congestionMarks ?? 0,
      streams: peer.streams, messagesSent: peer.connection?.messagesSent ?? 0,
      messagesReceived: peer.connection?.messagesReceived ?? 0, datagramsSent: peer.connection?.datagramsSent ?? 0,
      datagramsReceived: peer.connection?.datagramsReceived ?? 0,
      datagramsDropped: peer.connection?.datagramsDropped ?? 0, paths: peer.validatedPaths.map(\.description),
      pathChanges: peer.pathChanges, software: peer.software, observedAddress: peer.observedAddress?.description)
  }
}

extension MeshError {
  init(_ error: MessageError, peer: PublicKey) {
    self =
      switch error {
      case .tooLarge(let bytes, let limit): .tooLarge(bytes: bytes, limit: limit)
      case .full: .busy
      case .unsupported: .unsupported(peer, "messages")
      case .badServiceName(let bytes): .invalidService("a service name has 1 to 255 bytes, not \(bytes)")
      case .tooManyServices(let limit): .tooManyServices(limit: limit)
      case .closed(let reason): .disconnected(peer, .closed(reason))
      }
  }

  init(_ error: StreamError, peer: PublicKey) {
    self =
      switch error {
      case .tooManyStreams(let limit): .tooManyStreams(limit: limit)
      case .serviceTooLong(let bytes): .invalidService("a service name has up to 255 bytes, not \(bytes)")
      case .closed(let reason): .disconnected(peer, .closed(reason))
      case .stopped(let code): .reset(code: code.rawValue)
      case .unknownStream, .notWritable: .notWritable
      case .notReadable: .notReadable
      }
  }
}
