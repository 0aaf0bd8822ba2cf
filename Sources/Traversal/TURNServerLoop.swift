internal import MeshCrypto
public import MeshPrimitives
public import MeshRuntime
public import MeshSTUN
public import MeshTURN

/// A TURN server over UDP and, if wanted, TCP: ``TURNServer`` and the loop around it, on one thread. Datagrams are received and
/// sent in batches.
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
  private static let tcpToken = UInt64(2) << 40
  private static let connectionToken = UInt64(3) << 40
  /// Connections at a time, and how long one may be without an allocation.
  private static let maximumConnections = 1024
  private static let idleLimit = Duration.seconds(30)
  private var tcp: TCPListener?
  private var connections: [UInt32: TCPConnection] = [:]
  private var nextConnection: UInt32 = 1
  private var nextSweep = Instant.distantFuture
  private var chunk = [UInt8](repeating: 0, count: 65_536)

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

  /// Listens on TCP too, on the port of UDP.
  /// - Throws: `.portInUse` when the port is not to be had.
  public func listenOnTCP() throws(SocketError) {
    let local = listener.socket.local
    guard let tcp = TCPListener(local.address, port: local.port) else { throw .portInUse(local.port) }
    try poller.add(tcp.descriptor, token: Self.tcpToken)
    self.tcp = tcp
  }

  public var localAddress: SocketAddress { listener.socket.local }
  public var drops: ReasonCounters<TURNServer.Drop> { server.drops }

  /// Serves until the flag is set. Waits in the kernel: for a thread of its own.
  public func run() {
    flag.attach(poller.doorbell)
    while !flag.isSet {
      poller.wait(until: earliest(server.deadline, nextSweep))
      for index in 0..<poller.count {
        let token = poller.event(at: index).token
        if token == Self.listenerToken {
          receiveFromClients()
        } else if token == Self.tcpToken {
          acceptConnections()
        } else if token & Self.connectionToken == Self.connectionToken {
          serve(UInt32(truncatingIfNeeded: token))
        } else {
          receiveFromPeers(RelayID(rawValue: UInt32(truncatingIfNeeded: token)))
        }
      }
      let now = MonotonicClock.now
      if let deadline = server.deadline, deadline <= now { server.handleTimeout(now: now) }
      if nextSweep <= now { sweep(now) }
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
        send(buffer.bytes.extracting(range), to: path, isAnswer: false)
      }
    }
    for path in waiting { flush(path) }
    waiting.removeAll(keepingCapacity: true)
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
      guard let path else { break }
      send(answer.bytes, to: path, isAnswer: true)
    }
    for path in waiting { flush(path) }
    waiting.removeAll(keepingCapacity: true)
  }

  // MARK: TCP

  /// Connections with bytes that were added since they were last flushed.
  private var waiting: [UInt32] = []

  private func send(_ bytes: RawSpan, to path: ClientPath, isAnswer: Bool) {
    guard path.transport == .stream else { return listener.send(bytes, Transmit(to: path.address)) }
    guard let connection = connections[path.socket] else { return }
    if connection.send(bytes) {
      if waiting.last != path.socket { waiting.append(path.socket) }
    } else if isAnswer {
      end(path.socket)
    }
  }

  private func acceptConnections() {
    let now = MonotonicClock.now
    for _ in 0..<64 {
      guard let accepted = tcp?.accept() else { return }
      let id = nextConnection
      nextConnection &+= 1
      // Closed at once when there are too many.
      let connection = TCPConnection(
        accepted.descriptor, ClientPath(accepted.peer, socket: id, transport: .stream), now: now)
      guard connections.count < Self.maximumConnections, connections[id] == nil,
        (try? poller.add(accepted.descriptor, token: Self.connectionToken | UInt64(id))) != nil
      else { continue }
      connections[id] = connection
      nextSweep = min(nextSweep, now + Self.idleLimit)
    }
  }

  private func serve(_ id: UInt32) {
    guard let connection = connections[id] else { return }
    if connection.hasOutput { flush(id) }
    let now = MonotonicClock.now
    let wallSeconds = WallTime.now.seconds
    var rounds = 0
    while rounds < 4 {
      rounds += 1
      let count = connection.read(into: &chunk)
      if count == 0 { break }
      guard count > 0 else { return end(id) }
      var offset = 0
      do {
        while offset < count {
          offset += try connection.deframer.append(chunk.bytes.extracting(offset..<count))
          while var frame = try connection.deframer.nextFrame() {
            var span = frame.mutableBytes
            let action = server.handleClient(
              &span, 0..<span.byteCount, from: connection.path, now: now, wallSeconds: wallSeconds)
            if case .toPeer(let range, let relay, let peer) = action, let socket = relays[relay] {
              if pending !== socket {
                pending?.flush()
                pending = socket
              }
              socket.send(span.bytes.extracting(range), Transmit(to: peer))
            }
          }
        }
      } catch { return end(id) }
      drain(now)
      guard connections[id] != nil else { return }
    }
  }

  private func flush(_ id: UInt32) {
    guard let connection = connections[id] else { return }
    let hadOutput = connection.hasOutput
    guard connection.flush() else { return end(id) }
    if hadOutput || connection.hasOutput {
      try? poller.update(
        connection.descriptor, token: Self.connectionToken | UInt64(id),
        interest: connection.hasOutput ? [.readable, .writable] : .readable)
    }
  }

  private func end(_ id: UInt32) {
    guard let connection = connections.removeValue(forKey: id) else { return }
    try? poller.remove(connection.descriptor)
    server.disconnected(connection.path)
  }

  /// Ends connections that have held no allocation for too long.
  private func sweep(_ now: Instant) {
    let idle = connections.filter { now - $0.value.opened >= Self.idleLimit && !server.hasAllocation($0.value.path) }
    for id in idle.keys.sorted() { end(id) }
    nextSweep = connections.isEmpty ? .distantFuture : now + Self.idleLimit
  }
}

// Made on one thread and run on another: never used by two at a time but for the flag.
extension TURNServerLoop: @unchecked Sendable {}
