import MeshPrimitives
import MeshSTUN
import MeshSimulation

@testable import MeshTURN

func address(_ text: String) -> SocketAddress { SocketAddress(text)! }

/// A server, clients of it, and peers that send everything back, under one clock that is moved by hand.
final class Lab {
  static let serverAddress = address("192.0.2.1:3478")
  static let relayV4 = IPAddress("192.0.2.1")!
  static let relayV6 = IPAddress("2001:db8::1")!
  static let delay = Duration.milliseconds(10)

  var now = Instant(nanoseconds: 1_000_000_000_000)
  var wallSeconds: Int64 = 1_000_000
  var server: TURNServer
  var clients: [TURNClient] = []
  /// Where each client is.
  var paths: [ClientPath] = []
  var events: [[TURNClient.Event]] = []
  var received: [[(data: [UInt8], from: SocketAddress)]] = []
  var serverEvents: [TURNServer.Event] = []
  /// Open relayed sockets.
  var sockets: [RelayID: SocketAddress] = [:]
  /// Ports that cannot be opened.
  var taken: Set<UInt16> = []
  /// What peers got: from where, and what.
  var peerReceived: [(peer: SocketAddress, from: SocketAddress, data: [UInt8])] = []
  var echoes = true
  var loss = 0.0
  var entropy: SeededEntropy
  private var flights: [(at: Instant, order: Int, deliver: () -> Void)] = []
  private var order = 0

  init(
    seed: UInt64 = 1, _ configure: (inout TURNServer.Configuration) -> Void = { _ in },
    users configureUsers: (inout UserDirectory) -> Void = { _ in }
  ) {
    entropy = SeededEntropy(seed: seed)
    var configuration = TURNServer.Configuration()
    configuration.relayV4 = Self.relayV4
    configuration.relayV6 = Self.relayV6
    (configuration.requestsPerSecond, configuration.burst) = (1_000_000, 1_000_000)
    configure(&configuration)
    var users = UserDirectory(realm: "example.org")
    users.add("alice", password: "secret")
    users.add("bob", password: "hidden")
    configureUsers(&users)
    server = TURNServer(configuration, users: users, entropy: entropy.fork(), now: now)
  }

  @discardableResult
  func addClient(
    _ username: String = "alice", _ password: String = "secret", at path: ClientPath? = nil,
    _ configure: (inout TURNClient.Configuration) -> Void = { _ in }
  ) -> Int {
    var configuration = TURNClient.Configuration(
      server: Self.serverAddress, username: username, password: password)
    configure(&configuration)
    clients.append(TURNClient(configuration, entropy: entropy.fork(), now: now))
    paths.append(
      path
        ?? ClientPath(
          SocketAddress(IPAddress(v4: 0xC633_6401), port: UInt16(20_000 + clients.count)),
          transport: configuration.transport))
    events.append([])
    received.append([])
    return clients.count - 1
  }

  private func fly(_ deliver: @escaping () -> Void) {
    if entropy.chance(loss) { return }
    order += 1
    flights.append((now + Self.delay, order, deliver))
  }

  // MARK: Parts

  func toServer(_ bytes: [UInt8], from path: ClientPath) {
    let room = TURNServer.headroom
    var buffer = [UInt8](repeating: 0xEE, count: room) + bytes + [0xEE, 0xEE, 0xEE]
    var span = buffer.mutableBytes
    let action = server.handleClient(
      &span, room..<room + bytes.count, from: path, now: now, wallSeconds: wallSeconds)
    act(action, buffer)
    drainServer()
  }

  func act(_ action: TURNServer.Action, _ buffer: [UInt8]) {
    switch action {
    case .none: break
    case .toPeer(let range, let relay, let peer):
      let data = Array(buffer[range])
      guard let source = sockets[relay] else { fatalError("data for a socket that is not open") }
      fly { self.atPeer(data, peer: peer, from: source) }
    case .toClient(let range, let path):
      let data = Array(buffer[range])
      fly { self.toClient(data, path) }
    }
  }

  /// Data arrives at a peer: one of another relayed socket of the server, or one that echoes.
  private func atPeer(_ data: [UInt8], peer: SocketAddress, from source: SocketAddress) {
    peerReceived.append((peer, source, data))
    if let relay = sockets.first(where: { $0.value == peer })?.key {
      atRelay(data, relay: relay, from: source)
    } else if echoes {
      fly {
        if let relay = self.sockets.first(where: { $0.value == source })?.key {
          self.atRelay(data, relay: relay, from: peer)
        }
      }
    }
  }

  func atRelay(_ data: [UInt8], relay: RelayID, from peer: SocketAddress) {
    let room = TURNServer.headroom
    var buffer = [UInt8](repeating: 0xEE, count: room) + data + [0xEE, 0xEE, 0xEE]
    var span = buffer.mutableBytes
    act(server.handlePeer(&span, room..<room + data.count, from: peer, to: relay, now: now), buffer)
  }

  private func toClient(_ data: [UInt8], _ path: ClientPath) {
    guard let index = paths.firstIndex(of: path) else { return }
    if case .data(let range, let peer) = clients[index].handle(data.bytes, from: clients[index].server, now: now) {
      received[index].append((Array(data[range]), peer))
    }
  }

  func drainServer() {
    while let event = server.nextEvent() {
      serverEvents.append(event)
      switch event {
      case .open(let id, let address):
        if taken.contains(address.port) {
          server.failedToOpen(id, now: now)
        } else {
          sockets[id] = address
          server.opened(id, now: now)
        }
      case .close(let id): sockets[id] = nil
      case .allocated, .freed: break
      }
    }
    while true {
      var path: ClientPath?
      let bytes = [UInt8](capacity: TURNServer.maximumSize) { path = server.nextTransmit(into: &$0) }
      guard let path else { break }
      fly { self.toClient(bytes, path) }
    }
  }

  private func drainClients() {
    for index in clients.indices {
      while true {
        var destination: SocketAddress?
        let bytes = [UInt8](capacity: TURNClient.maximumSize) {
          destination = clients[index].nextTransmit(into: &$0, now: now)
        }
        guard let destination else { break }
        let path = paths[index]
        if destination == Self.serverAddress { fly { self.toServer(bytes, from: path) } }
      }
      while let event = clients[index].nextEvent() { events[index].append(event) }
    }
  }

  /// Runs until `end`, or until `condition` holds.
  @discardableResult
  func run(for duration: Duration, until condition: () -> Bool = { false }) -> Bool {
    let end = now + duration
    while true {
      drainServer()
      drainClients()
      if condition() { return true }
      var next = flights.map(\.at).min()
      next = earliest(next, server.deadline)
      for client in clients { next = earliest(next, client.deadline) }
      guard let next, next <= end else {
        wallSeconds += (end - now).components.seconds
        now = end
        return condition()
      }
      now = max(now, next)
      flights.sort { ($0.at, $0.order) < ($1.at, $1.order) }
      while let first = flights.first, first.at <= now {
        flights.removeFirst()
        first.deliver()
      }
      server.handleTimeout(now: now)
      for index in clients.indices where clients[index].deadline.map({ $0 <= now }) ?? false {
        clients[index].handleTimeout(now: now)
      }
    }
  }

  /// Sends data of a client, if it may.
  @discardableResult
  func send(_ data: [UInt8], _ client: Int = 0, to peer: SocketAddress) -> Int? {
    let room = TURNClient.headroom
    var buffer = [UInt8](repeating: 0xDD, count: room) + data + [0xDD, 0xDD, 0xDD]
    var span = buffer.mutableBytes
    guard let range = clients[client].wrap(&span, room..<room + data.count, for: peer, now: now) else { return nil }
    let bytes = Array(buffer[range])
    let path = paths[client]
    fly { self.toServer(bytes, from: path) }
    return range.count - data.count
  }

  func relayed(_ client: Int = 0) -> TURNClient.Relayed? {
    for case .allocated(let relayed) in events[client] { return relayed }
    return nil
  }

  func failure(_ client: Int = 0) -> TURNClient.Failure? {
    for case .failed(let failure) in events[client] { return failure }
    return nil
  }
}
