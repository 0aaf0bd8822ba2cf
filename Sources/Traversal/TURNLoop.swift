internal import MeshPrimitives
internal import MeshRuntime
internal import MeshTURN

/// The loop of a ``TURNService``: what its thread owns.
final class TURNLoop {
  private let group: SocketGroup
  private let listener: Int
  private let streams: StreamClients?
  private var server: TURNServer
  /// The local address that a client talks to, for a socket that has several: path number less 1.
  private var locals: [IPAddress] = []
  /// Relayed sockets by the number in the group, and numbers by the lower 20 bits of the relay's.
  private var relays: [RelayID?] = []
  private var numbers: [Int32] = []
  /// A datagram of a peer with room for what goes around it.
  private var buffer = [UInt8](repeating: 0, count: TURNServer.headroom + 65_536 + TURNServer.tailroom)
  private static let mostLocals = 1024
  private static let slotMask = UInt32(1 << 20 - 1)

  init(_ group: SocketGroup, listener: Int, streams: StreamClients?, _ server: TURNServer) {
    self.group = group
    self.listener = listener
    self.streams = streams
    self.server = server
  }

  func run(until stop: WorkerThread.Stop, report: (TURNService.Statistics) -> Void) {
    var told = MonotonicClock.now
    var hasNews = true
    while !stop.isRequested {
      let deadline = earliest(server.deadline, streams?.deadline)
      group.wait(until: earliest(deadline, hasNews ? told + .seconds(1) : nil))
      let now = MonotonicClock.now
      let wall = WallTime.now.seconds
      group.receive { number, message, datagram in
        hasNews = true
        if number == listener {
          let path = ClientPath(message.source, socket: pathNumber(message.local))
          let range = 0..<datagram.byteCount
          act(server.handleClient(&datagram, range, from: path, now: now, wallSeconds: wall), on: datagram.bytes)
        } else if number < relays.count, let relay = relays[number] {
          fromPeer(datagram.bytes, message.source, relay, now)
        }
      }
      streams?.work(now: now) { path, frame in
        hasNews = true
        var bytes = frame.mutableBytes
        let range = 0..<bytes.byteCount
        act(server.handleClient(&bytes, range, from: path, now: now, wallSeconds: wall), on: bytes.bytes)
        // One after the other: the next frame may need the socket that this one asks for.
        settle(now)
      } closed: { path in
        server.disconnected(path)
      }
      if let deadline = server.deadline, deadline <= now { server.handleTimeout(now: now) }
      streams?.expire(now: now) { server.hasAllocation($0) }
      settle(now)
      if hasNews, now >= told + .seconds(1) || stop.isRequested {
        told = now
        hasNews = false
        report(
          TURNService.Statistics(
            allocations: server.allocationCount, packetsToPeers: server.packetsToPeers,
            packetsToClients: server.packetsToClients, drops: server.drops))
      }
    }
    group.flush()
  }

  private func fromPeer(_ datagram: RawSpan, _ source: SocketAddress, _ relay: RelayID, _ now: Instant) {
    let start = TURNServer.headroom
    let end = start + datagram.byteCount
    // Both are the thread's own: the copy is small beside what the kernel does.
    unsafe buffer.withUnsafeMutableBytes { buffer in
      unsafe datagram.withUnsafeBytes {
        unsafe (buffer.baseAddress! + start).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
      }
    }
    let action = wrap(start..<end, source, relay, now)
    let bytes = buffer
    act(action, on: bytes.bytes)
  }

  private func wrap(
    _ range: Range<Int>, _ source: SocketAddress, _ relay: RelayID, _ now: Instant
  ) -> TURNServer.Action {
    var bytes = buffer.mutableBytes
    return server.handlePeer(&bytes, range, from: source, to: relay, now: now)
  }

  private func act(_ action: TURNServer.Action, on bytes: RawSpan) {
    switch action {
    case .none: break
    case .toPeer(let range, let relay, let peer):
      guard let number = number(relay) else { return }
      group.send(bytes.extracting(range), from: number, to: peer)
    case .toClient(let range, let path): send(bytes.extracting(range), to: path)
    }
  }

  private func send(_ bytes: RawSpan, to path: ClientPath) {
    if path.transport == .stream { return streams?.send(bytes, to: path) ?? () }
    let source = path.socket > 0 ? locals[Int(path.socket) - 1] : nil
    group.send(bytes, from: listener, to: path.address, source: source)
  }

  /// Opens and closes relayed sockets, and sends answers.
  private func settle(_ now: Instant) {
    while let event = server.nextEvent() {
      switch event {
      case .open(let relay, let address):
        if let number = try? group.open(port: address.port, address: address.address) {
          set(number, relay)
          server.opened(relay, now: now)
        } else {
          server.failedToOpen(relay, now: now)
        }
      case .close(let relay):
        guard let number = number(relay) else { continue }
        group.close(number)
        relays[number] = nil
        numbers[Int(relay.rawValue & Self.slotMask)] = -1
      case .allocated, .freed: break
      }
    }
    while true {
      var path: ClientPath?
      let answer = [UInt8](capacity: TURNServer.maximumSize) { path = server.nextTransmit(into: &$0) }
      guard let path else { return }
      send(answer.bytes, to: path)
    }
  }

  // MARK: - Numbers

  private func set(_ number: Int, _ relay: RelayID) {
    while relays.count <= number { relays.append(nil) }
    relays[number] = relay
    let slot = Int(relay.rawValue & Self.slotMask)
    while numbers.count <= slot { numbers.append(-1) }
    numbers[slot] = Int32(number)
  }

  private func number(_ relay: RelayID) -> Int? {
    let slot = Int(relay.rawValue & Self.slotMask)
    guard slot < numbers.count, numbers[slot] >= 0, relays[Int(numbers[slot])] == relay else { return nil }
    return Int(numbers[slot])
  }

  /// The number of the path to a local address; 0 when the kernel may choose where answers come from.
  private func pathNumber(_ local: IPAddress?) -> UInt32 {
    guard let local, group.local(listener).address.isUnspecified else { return 0 }
    if let index = locals.firstIndex(of: local) { return UInt32(index) + 1 }
    guard locals.count < Self.mostLocals else { return 0 }
    locals.append(local)
    return UInt32(locals.count)
  }
}
