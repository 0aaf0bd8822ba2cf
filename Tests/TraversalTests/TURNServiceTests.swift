import MeshPrimitives
import MeshRuntime
import MeshSTUN
import MeshTURN
import MeshTraversal
import Testing

/// Our TURN server and our clients against each other, on loopback.
@Suite("TURN on sockets") struct TURNServiceTests {
  static let host = IPAddress("127.0.0.1")!

  static func service(_ change: (inout TURNService.Configuration) -> Void = { _ in }) throws -> TURNService {
    var users = UserDirectory(realm: "test")
    users.add("user", password: "pass")
    var configuration = TURNService.Configuration(users: users)
    configuration.port = 0
    configuration.address = host
    configuration.server.relayV4 = host
    configuration.server.peers.allowed = [AddressBlock("127.0.0.0/8")!]
    change(&configuration)
    return try TURNService(configuration)
  }

  static func check(
    _ service: TURNService, _ transports: [TURNTransport] = [.udp, .tcp], password: String = "pass"
  ) async throws -> [NetReport.Relay] {
    var check = NetCheck(servers: [])
    check.turnServers = [
      NetCheck.TURNServer(
        "here", host: "127.0.0.1", [service.local], over: transports, username: "user", password: password)
    ]
    return try await check.run().relays
  }

  @Test func `data goes through two allocations and back, by UDP and by TCP`() async throws {
    let service = try Self.service()
    let relays = try await Self.check(service)
    #expect(relays.map(\.transport) == ["udp", "tcp"])
    for relay in relays {
      #expect(relay.problem == nil)
      #expect(relay.roundTripMilliseconds != nil)
      #expect(relay.relayedAddress?.hasPrefix("127.0.0.1:") == true)
    }
    await service.close()
    let statistics = service.statistics
    // There and back, for each transport, through two relayed sockets.
    #expect(statistics.packetsToPeers >= 4 && statistics.packetsToClients >= 4)
    #expect(statistics.allocations == 0, "allocations are given back")
  }

  @Test func `a wrong password is told as that`() async throws {
    let service = try Self.service()
    let relays = try await Self.check(service, password: "wrong")
    #expect(relays.allSatisfy { $0.problem == "user name or password are wrong" })
    await service.close()
  }

  @Test func `a quota is an error of the server`() async throws {
    let service = try Self.service { $0.server.allocationsPerUser = 1 }
    let relays = try await Self.check(service, [.udp])
    #expect(relays.first?.problem == "the server answers with error 486")
    await service.close()
  }

  @Test func `relays of one server reach each other, whatever the rules say of its address`() async throws {
    let service = try Self.service { $0.server.peers.allowed = [] }
    let relays = try await Self.check(service, [.udp])
    #expect(relays.first?.problem == nil)
    await service.close()
  }

  @Test func `a server that is not there`() async throws {
    let service = try Self.service()
    let gone = service.local
    await service.close()
    var check = NetCheck(servers: [])
    check.turnServers = [
      NetCheck.TURNServer("gone", host: "127.0.0.1", [gone], over: [.tcp, .tls], username: "user", password: "pass")
    ]
    let relays = try await check.run().relays
    #expect(relays.allSatisfy { $0.problem?.hasPrefix("no connection") == true })
  }

  @Test func `connections that say nothing of TURN are closed, and the others go on`() async throws {
    let service = try Self.service()
    var poller = try Poller()
    for garbage in [Array("GET / HTTP/1.1\r\n\r\n".utf8), [UInt8](repeating: 0xFF, count: 5000)] {
      let socket = try TCPSocket(connectingTo: service.local)
      try poller.add(socket.descriptor, token: 1, interest: .writable)
      poller.wait(until: MonotonicClock.now + .seconds(5))
      _ = socket.write(garbage.bytes)
      try poller.update(socket.descriptor, token: 1, interest: .readable)
      poller.wait(until: MonotonicClock.now + .seconds(5))
      var answer: [UInt8] = []
      let outcome = socket.read(into: &answer)
      #expect(outcome == .ended || outcome == .failed)
      try poller.remove(socket.descriptor)
    }
    #expect(try await Self.check(service, [.tcp]).first?.problem == nil)
    await service.close()
  }

  @Test func `TLS to a server that speaks none fails with words`() async throws {
    let service = try Self.service()
    let relays = try await Self.check(service, [.tls])
    #expect(relays.first?.problem != nil)
    await service.close()
  }
}
