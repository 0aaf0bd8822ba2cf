import MeshPrimitives
import MeshSTUN
import MeshSimulation
import MeshTURN

/// One datagram of 200 bytes through a server with 1,000 allocations, without the socket calls.
let turnCases: [Benchmark] = [
  Benchmark("turn/relay/channel-to-peer", bytes: 200, allocationFree: true) { relay { $0.toPeer(overChannel: true) } },
  Benchmark("turn/relay/peer-to-channel", bytes: 200, allocationFree: true) {
    relay { $0.toClient(overChannel: true) }
  },
  Benchmark("turn/relay/send-indication", bytes: 200, allocationFree: true) { relay { $0.toPeer(overChannel: false) } },
  Benchmark("turn/relay/data-indication", bytes: 200, allocationFree: true) {
    relay { $0.toClient(overChannel: false) }
  },
  Benchmark("turn/client/wrap-channel", bytes: 200, allocationFree: true) { relay { $0.wrap() } },
  Benchmark("turn/serve/create-permission") { relay { $0.permit() } },
]

private func relay(_ body: @escaping (RelayedPair) -> Void) -> Benchmark.Work {
  let pair = RelayedPair(allocations: 1000)
  return .loop { count in for _ in 0..<count { body(pair) } }
}

private final class RelayedPair {
  static let address = SocketAddress(IPAddress(v4: 0xC000_0201), port: 3478)
  static let peers = [9000, 9001].map { SocketAddress(IPAddress(v4: 0xCB00_7107), port: $0) }
  var server: TURNServer
  var client: TURNClient
  private var path = ClientPath(address)
  private var relayID: RelayID?
  private let now = Instant(nanoseconds: 1_000_000_000)
  private let buffer = memory(TURNServer.headroom + 512)
  private let payload = TURNServer.headroom..<TURNServer.headroom + 200
  private var channelData = [UInt8]()
  private var indication = [UInt8]()

  init(allocations: Int) {
    var configuration = TURNServer.Configuration()
    configuration.relayV4 = Self.address.address
    configuration.allocationsPerUser = allocations
    (configuration.requestsPerSecond, configuration.burst) = (1_000_000_000, 1_000_000)
    var users = UserDirectory(realm: "r")
    users.add("u", password: "p")
    server = TURNServer(configuration, users: users, entropy: SeededEntropy(seed: 1), now: now)
    client = TURNClient(
      TURNClient.Configuration(server: Self.address, username: "u", password: "p"), entropy: SeededEntropy(seed: 2),
      now: now)
    for number in 0..<allocations {
      path = ClientPath(SocketAddress(IPAddress(v4: 0xC633_6401), port: UInt16(1024 + number)))
      client = TURNClient(
        TURNClient.Configuration(server: Self.address, username: "u", password: "p"),
        entropy: SeededEntropy(seed: UInt64(number)), now: now)
      settle()
    }
    client.bindChannel(to: Self.peers[0], now: now)
    settle()
    precondition(client.isAllocated && server.allocationCount == allocations, "the allocations must be made")
    channelData = wrapped(for: Self.peers[0])
    indication = wrapped(for: Self.peers[1])
  }

  private func wrapped(for peer: SocketAddress) -> [UInt8] {
    var span = MutableRawSpan(_unsafeBytes: buffer)
    let range = client.wrap(&span, payload, for: peer, now: now)!
    return Array(copying: span.bytes.extracting(range))
  }

  private func settle() {
    for _ in 0..<8 {
      var isSent = false
      let request = [UInt8](capacity: TURNClient.maximumSize) {
        isSent = client.nextTransmit(into: &$0, now: now) != nil
      }
      if isSent { hand(request) }
      while client.nextEvent() != nil {}
    }
  }

  private func hand(_ message: [UInt8]) {
    var span = MutableRawSpan(_unsafeBytes: buffer)
    span.copy(message.bytes, at: TURNServer.headroom)
    let range = TURNServer.headroom..<TURNServer.headroom + message.count
    _ = server.handleClient(&span, range, from: path, now: now, wallSeconds: 0)
    while let event = server.nextEvent() {
      if case .open(let id, _) = event {
        relayID = id
        server.opened(id, now: now)
      }
    }
    while true {
      var isAnswer = false
      let answer = [UInt8](capacity: TURNServer.maximumSize) { isAnswer = server.nextTransmit(into: &$0) != nil }
      guard isAnswer else { return }
      _ = client.handle(answer.bytes, from: Self.address, now: now)
    }
  }

  @inline(never) func toPeer(overChannel: Bool) {
    var span = MutableRawSpan(_unsafeBytes: buffer)
    let message = overChannel ? channelData : indication
    span.copy(message.bytes, at: TURNServer.headroom)
    let range = TURNServer.headroom..<TURNServer.headroom + message.count
    guard
      case .toPeer(let data, _, let peer) = server.handleClient(&span, range, from: path, now: now, wallSeconds: 0)
    else { fatalError("data must be relayed") }
    use(UInt64(data.count) + UInt64(peer.port))
  }

  @inline(never) func toClient(overChannel: Bool) {
    var span = MutableRawSpan(_unsafeBytes: buffer)
    let peer = Self.peers[overChannel ? 0 : 1]
    guard case .toClient(let data, let path) = server.handlePeer(&span, payload, from: peer, to: relayID!, now: now)
    else {
      fatalError("data must be relayed")
    }
    use(UInt64(data.count) + UInt64(path.address.port))
  }

  @inline(never) func wrap() {
    var span = MutableRawSpan(_unsafeBytes: buffer)
    use(UInt64(client.wrap(&span, payload, for: Self.peers[0], now: now)!.count))
  }

  /// A whole request with its answer: what a refresh costs.
  func permit() {
    client.forget(Self.peers[0].address)
    client.permit(Self.peers[0].address, now: now)
    settle()
  }
}
