import MeshPrimitives
import MeshRuntime
import MeshSTUN
import MeshTraversal
import Testing

/// Our STUN server and our check of the network against each other, on loopback.
@Suite("Check of the network") struct NetCheckTests {
  static let hosts = [IPAddress("127.0.0.1")!, IPAddress("127.0.0.2")!]

  static func service(_ hosts: [IPAddress], rate: Int = 20, burst: Int = 40) throws -> STUNService {
    var configuration = STUNService.Configuration()
    configuration.port = 0
    configuration.otherPort = 0
    configuration.addresses = hosts
    configuration.requestsPerSecond = rate
    configuration.burst = burst
    return try STUNService(configuration)
  }

  @Test func `without a NAT the address is our own and nothing is filtered`() async throws {
    let service = try Self.service(Self.hosts)
    #expect(service.addresses.count == 4)
    let report = try await NetCheck(servers: [NetCheck.Server("here", [service.addresses[0]])]).run()
    await service.close()
    let family = try #require(report.ipv4)
    #expect(report.udp == true && report.ipv6 == nil)
    #expect(family.isTranslated == false && family.localAddress == "127.0.0.1")
    #expect(family.mapping == "endpoint-independent")
    // The answers to that came from the other address and the other ports.
    #expect(family.filtering == "endpoint-independent")
    #expect(family.views.count == 1 && family.views[0].mappedAddress?.hasPrefix("127.0.0.1:") == true)
    #expect(service.statistics.answered >= 3 && service.statistics.drops.total == 0)
  }

  @Test func `a server with one address tells the address and no more`() async throws {
    let service = try Self.service([Self.hosts[0]])
    let report = try await NetCheck(servers: [NetCheck.Server("here", [service.addresses[0]])]).run()
    await service.close()
    let family = try #require(report.ipv4)
    #expect(family.works && family.filtering == nil)
  }

  @Test func `a server on all addresses answers from the one that was asked`() async throws {
    let service = try Self.service([])
    let asked = SocketAddress(Self.hosts[1], port: service.addresses[0].port)
    let report = try await NetCheck(servers: [NetCheck.Server("here", [asked])]).run()
    await service.close()
    #expect(report.ipv4?.works == true)
  }

  @Test func `who asks too often gets no answer`() async throws {
    let service = try Self.service([Self.hosts[0]], rate: 1, burst: 1)
    let check = NetCheck(servers: [NetCheck.Server("here", [service.addresses[0]])])
    _ = try await check.run()
    await service.close()
    // The one token went to the first request; those of the behaviour test came behind it, and a token a second.
    #expect(service.statistics.answered <= 3)
    #expect(service.statistics.drops[.rateLimited] >= 1)
  }

  @Test func `a port that nobody listens on is no answer`() async throws {
    func freePort() throws -> SocketAddress { try UDPSocket(address: Self.hosts[0]).local }
    let free = try freePort()
    let report = try await NetCheck(servers: [NetCheck.Server("nobody", [free])]).run()
    #expect(report.udp == false)
    #expect(report.ipv4?.views.first?.problem == "no answer")
  }

  @Test func `a check that is cancelled ends at once`() async throws {
    let silent = try UDPSocket(address: Self.hosts[0])
    let check = NetCheck(servers: [NetCheck.Server("silent", [silent.local])])
    let task = Task { try await check.run() }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  @Test func `a port in use is an error that says so`() throws {
    let taken = try UDPSocket(address: Self.hosts[0])
    var configuration = STUNService.Configuration()
    configuration.port = taken.local.port
    configuration.addresses = [Self.hosts[0]]
    #expect(throws: SocketError.portInUse(taken.local.port)) { try STUNService(configuration) }
  }
}
