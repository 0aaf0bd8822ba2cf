import MeshPrimitives
import MeshRuntime
import MeshSTUN
import MeshTURN
import MeshTraversal
import Testing

/// Real sockets, on loopback only.
@Suite("STUN and TURN over sockets", .serialized) struct LoopbackTests {
  static let loopback = IPAddress("127.0.0.1")!

  @Test func `a STUN server tells a client its address`() throws {
    let stop = StopFlag()
    let loop = try STUNServerLoop(port: 0, address: Self.loopback, stop: stop)
    let server = loop.localAddresses[0]
    let thread = try EngineThread(name: "stun-test") { loop.run() }
    let result = try NetCheck.stun(server, lifetime: false)
    stop.stop()
    thread.join()
    #expect(result.report.mappedAddress != nil)
    #expect(result.report.mappedAddress == result.local)
    #expect(result.report.isTranslated == false)
    #expect(result.report.mapping == nil)
    #expect(loop.answered == 1)
  }

  @Test func `two allocations relay to one another`() throws {
    let stop = StopFlag()
    var configuration = TURNServer.Configuration()
    configuration.relayV4 = Self.loopback
    var users = UserDirectory(realm: "test")
    users.add("alice", password: "secret")
    let loop = try TURNServerLoop(port: 0, address: Self.loopback, configuration, users: users, stop: stop)
    let server = loop.localAddress
    let thread = try EngineThread(name: "turn-test") { loop.run() }
    let good = try NetCheck.turn(server, username: "alice", password: "secret")
    let bad = try NetCheck.turn(server, username: "alice", password: "guess")
    stop.stop()
    thread.join()
    #expect(good.failure == nil)
    #expect(good.roundTrip != nil)
    #expect(good.relayed.map(\.address) == [Self.loopback])
    #expect(bad.failure == .refused(.wrongCredentials))
    #expect(bad.roundTrip == nil)
  }

  @Test func `a stopped check ends at once`() throws {
    let stop = StopFlag()
    stop.stop()
    let result = try NetCheck.stun(SocketAddress(Self.loopback, port: 9), lifetime: false, stop: stop)
    #expect(result.report.mappedAddress == nil)
  }
}
