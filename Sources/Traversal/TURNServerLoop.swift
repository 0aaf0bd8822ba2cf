internal import MeshCrypto
public import MeshPrimitives
public import MeshRuntime
public import MeshSTUN
public import MeshTURN

/// A TURN server over UDP: ``TURNServer`` and the loop around it, on one thread. Datagrams are received and sent in batches.
public final class TURNServerLoop {
  private let listener: LoopSocket
  private var relays: [RelayID: LoopSocket] = [:]
  private var server: TURNServer
  private var poller: Poller
  private var received: ReceiveBatch
  private var scratch = [UInt8](repeating: 0, count: TURNServer.headroom + 65_536 + TURNServer.tailroom)
  private let flag: StopFlag
  /// The relayed socket with datagrams that wait.
  private var pending: LoopSocket?

  private static let listenerToken = UInt64(1) << 40

  /// - Parameter configuration: `relayV4` and `relayV6` must be addresses of this machine.
  public init(
    port: UInt16, address: IPAddress? = nil, _ configuration: TURNServer.Configuration, users: UserDirectory,
    stop: StopFlag = StopFlag()
  ) throws(SocketError) {
    listener = try LoopSocket(address, port: port)
    server = TURNServer(configuration, users: users, entropy: SystemEntropy(), now: MonotonicClock.now)
    poller = try Poller()
    received = try ReceiveBatch()
    flag = stop
    try poller.add(listener.socket.descriptor, token: Self.listenerToken)
  }

  public var localAddress: SocketAddress { listener.socket.local }
  public var drops: ReasonCounters<TURNServer.Drop> { server.drops }

  /// Serves until the flag is set. Waits in the kernel: for a thread of its own.
  public func run() {
    flag.attach(poller.doorbell)
    while !flag.isSet {
      poller.wait(until: server.deadline)
      for index in 0..<poller.count {
        let token = poller.event(at: index).token
        if token == Self.listenerToken {
          receiveFromClients()
        } else {
          receiveFromPeers(RelayID(rawValue: UInt32(truncatingIfNeeded: token)))
        }
      }
      let now = MonotonicClock.now
      if let deadline = server.deadline, deadline <= now { server.handleTimeout(now: now) }
      drain(now)
      pending?.flush()
      pending = nil
      listener.flush()
    }
  }

  private func receiveFromClients() {
    for _ in 0..<4 {
      guard listener.socket.receive(into: &received) > 0 else { return }
      let now = MonotonicClock.now
      let wallSeconds = WallTime.now.seconds
      received.forEachDatagram { message, datagram in
        let action = server.handleClient(
          &datagram, 0..<datagram.byteCount, from: ClientPath(message.source), now: now, wallSeconds: wallSeconds)
        guard case .toPeer(let range, let relay, let peer) = action, let socket = relays[relay] else { return }
        if pending !== socket {
          pending?.flush()
          pending = socket
        }
        socket.send(datagram.bytes.extracting(range), Transmit(to: peer))
      }
      // Sockets that a request asks for are there before its client sends through them.
      drain(now)
    }
  }

  private func receiveFromPeers(_ relay: RelayID) {
    guard let socket = relays[relay] else { return }
    // Out of the class while it is in use: a span of it cannot be held otherwise.
    var memory: [UInt8] = []
    swap(&memory, &scratch)
    defer { swap(&memory, &scratch) }
    for _ in 0..<4 {
      guard socket.socket.receive(into: &received) > 0 else { return }
      let now = MonotonicClock.now
      received.forEachDatagram { message, datagram in
        // Headers go before the data, where the next datagram of the batch may lie: in a buffer of its own.
        let room = TURNServer.headroom
        let count = datagram.byteCount
        var buffer = memory.mutableBytes
        buffer.copy(datagram.bytes, at: room)
        let action = server.handlePeer(&buffer, room..<room + count, from: message.source, to: relay, now: now)
        guard case .toClient(let range, let path) = action else { return }
        listener.send(buffer.bytes.extracting(range), Transmit(to: path.address))
      }
    }
  }

  /// Opens and closes sockets, and sends answers.
  private func drain(_ now: Instant) {
    while let event = server.nextEvent() {
      switch event {
      case .open(let id, let address):
        do {
          let socket = try LoopSocket(address.address, port: address.port, runs: 4)
          try poller.add(socket.socket.descriptor, token: UInt64(id.rawValue))
          relays[id] = socket
          server.opened(id, now: now)
        } catch { server.failedToOpen(id, now: now) }
      case .close(let id):
        guard let socket = relays.removeValue(forKey: id) else { continue }
        if pending === socket { pending = nil }
        try? poller.remove(socket.socket.descriptor)
      case .allocated, .freed: break
      }
    }
    while true {
      var path: ClientPath?
      let answer = [UInt8](capacity: TURNServer.maximumSize) { path = server.nextTransmit(into: &$0) }
      guard let path else { return }
      listener.send(answer.bytes, Transmit(to: path.address))
    }
  }
}

// Made on one thread and run on another: never used by two at a time but for the flag.
extension TURNServerLoop: @unchecked Sendable {}
