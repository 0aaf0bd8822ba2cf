import MeshICE
import MeshPrimitives
import MeshSimulation
import Testing

@Suite("Traversal") struct TraversalTests {
  enum Path { case direct, relayed, none }

  static let pairings: [(Access, Access)] = Access.allCases.flatMap { left in Access.allCases.map { (left, $0) } }

  /// What two kinds of NAT allow, by RFC 4787's words and no others.
  static func expected(_ left: Access, _ right: Access) -> Path {
    if left == .blocked || right == .blocked { return .none }
    if left.isV6 && right.isV6 { return .direct }
    guard left.isV4 && right.isV4 else { return .relayed }
    let portDependent: Set<Access> = [.portRestricted, .double, .shortTimeouts, .symmetric]
    if left == .symmetric && portDependent.contains(right) { return .relayed }
    if right == .symmetric && portDependent.contains(left) { return .relayed }
    return .direct
  }

  private func check(_ network: ICENetwork, _ expected: Path, limit: Duration = .seconds(20)) {
    let done = network.run(for: limit) { network.peers.allSatisfy { $0.state == .completed } }
    guard expected != .none else {
      #expect(!done)
      network.run(for: .seconds(60))
      #expect(network.peers.map(\.state) == [.failed, .failed])
      return
    }
    #expect(done, "\(network.peers.map(\.state))")
    guard done, let left = network.peers[0].box.agent.pair(), let right = network.peers[1].box.agent.pair() else {
      return
    }
    #expect(left.isRelayed == (expected == .relayed))
    #expect(right.isRelayed == (expected == .relayed))
    // Each end has chosen the way that the other has.
    #expect(left.local.address == right.destination && right.local.address == left.destination)
    network.sendData([0xFF, 1], from: 0)
    network.sendData([0xFF, 2], from: 1)
    network.run(for: .seconds(1))
    #expect(network.peers[0].data == [[0xFF, 2]])
    #expect(network.peers[1].data == [[0xFF, 1]])
  }

  @Test(arguments: pairings) func `two kinds of NAT have the path that they allow`(left: Access, right: Access) {
    let network = ICENetwork(left, right)
    network.connect()
    check(network, Self.expected(left, right))
  }

  @Test(arguments: pairings) func `trickling leads to the same path`(left: Access, right: Access) {
    let network = ICENetwork(left, right, seed: 2)
    network.trickles = true
    network.connect()
    check(network, Self.expected(left, right))
  }

  @Test(arguments: pairings) func `without a relay there is the direct path or none`(left: Access, right: Access) {
    let network = ICENetwork(left, right, seed: 3)
    network.connect(relays: false)
    let expected = Self.expected(left, right)
    check(network, expected == .relayed ? .none : expected)
  }

  @Test func `candidates are of the kind that the NATs make them`() {
    func kinds(_ left: Access, _ right: Access) -> [Candidate.Kind] {
      let network = ICENetwork(left, right)
      network.connect()
      network.run(for: .seconds(20)) { network.peers.allSatisfy { $0.state == .completed } }
      let pair = network.peers[0].box.agent.pair()!
      return [pair.local.kind, pair.remote.kind]
    }
    #expect(kinds(.public, .public) == [.host, .host])
    #expect(kinds(.fullCone, .public) == [.serverReflexive, .host])
    #expect(kinds(.portRestricted, .portRestricted) == [.serverReflexive, .serverReflexive])
    // What a symmetric NAT makes for the peer, only the peer has seen.
    #expect(kinds(.symmetric, .public) == [.peerReflexive, .host])
    #expect(kinds(.addressRestricted, .symmetric) == [.serverReflexive, .peerReflexive])
    #expect(kinds(.ipv6Only, .ipv6Only) == [.host, .host])
    #expect(kinds(.symmetric, .symmetric).contains(.relayed))
  }

  @Test func `a direct path takes half a second, a relayed one waits for better ones`() {
    func time(_ left: Access, _ right: Access) -> Duration {
      let network = ICENetwork(left, right)
      network.connect()
      let start = network.clock.now
      network.run(for: .seconds(30)) { network.peers.allSatisfy { $0.state == .completed } }
      return network.clock.now - start
    }
    #expect(time(.public, .public) < .milliseconds(200))
    #expect(time(.portRestricted, .portRestricted) < .milliseconds(1500))
    #expect(time(.symmetric, .symmetric) < .milliseconds(3500))
  }

  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func `a third of all packets lost delays the path and changes nothing`(seed: UInt64) {
    var conditions = LinkConditions()
    conditions.delay = .milliseconds(30)
    conditions.jitter = .milliseconds(10)
    conditions.loss = 0.33
    conditions.duplication = 0.05
    let network = ICENetwork(.portRestricted, .addressRestricted, seed: seed)
    network.connect()
    for peer in network.peers { network.network[link: peer.host].conditions = conditions }
    #expect(
      network.run(for: .seconds(60)) { network.peers.allSatisfy { $0.state == .completed } },
      "seed \(seed): \(network.peers.map { ($0.state, $0.box.agent.role, $0.box.agent.validPairs.count) })")
  }

  @Test func `the same seed gives the same session`() {
    func trace(_ seed: UInt64) -> [String] {
      var conditions = LinkConditions()
      conditions.loss = 0.2
      conditions.jitter = .milliseconds(30)
      let network = ICENetwork(.symmetric, .addressRestricted, seed: seed, conditions: conditions)
      network.connect()
      network.run(for: .seconds(10))
      return network.peers.flatMap { $0.sent.map { "\($0.destination) \($0.time.nanoseconds) \($0.bytes)" } }
    }
    #expect(trace(5) == trace(5))
    #expect(trace(5) != trace(6))
  }
}
