import MeshPrimitives
import MeshSTUN
import MeshSimulation
import MeshTURN
import Testing

// As in docs/layers.md.
private func makeServer(_ entropy: any Entropy, now: Instant) -> TURNServer {
  var configuration = TURNServer.Configuration()
  configuration.relayV4 = IPAddress("192.0.2.1")
  configuration.allocationsPerUser = 4
  var users = UserDirectory(realm: "example.org")
  users.add("alice", password: "secret")
  return TURNServer(configuration, users: users, entropy: entropy, now: now)
}

@Suite("Example") struct ExampleTests {
  @Test func `the example of docs/layers.md makes a server for its one user`() {
    let server = makeServer(SeededEntropy(seed: 1), now: Instant(nanoseconds: 1_000_000_000))
    #expect(server.users.count == 1 && server.configuration.allocationsPerUser == 4)
    #expect(TURNServer.headroom == 48 && TURNServer.tailroom == 3)
  }
}
