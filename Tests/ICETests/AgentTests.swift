import MeshICE
import MeshPrimitives
import MeshSTUN
import MeshSimulation
import Testing

extension ICENetwork {
  var areCompleted: Bool { peers.allSatisfy { $0.state == .completed } }

  /// Connected and completed.
  static func completed(
    _ left: Access = .portRestricted, _ right: Access = .fullCone, seed: UInt64 = 1,
    configure: (Int, inout ICEConfiguration) -> Void = { _, _ in }
  ) -> ICENetwork {
    let network = ICENetwork(left, right, seed: seed, configure: configure)
    network.connect()
    #expect(network.run(for: .seconds(10)) { network.areCompleted })
    return network
  }
}

@Suite("Agent") struct AgentTests {
  // MARK: Roles (RFC 8445 §7.3.1.1)

  @Test(arguments: [ICERole.controlling, .controlled], 1...10 as ClosedRange<UInt64>)
  func `a role conflict is settled, and the session goes on`(role: ICERole, seed: UInt64) {
    let network = ICENetwork(.portRestricted, .portRestricted, seed: seed, roles: [role, role])
    network.connect()
    #expect(network.run(for: .seconds(20)) { network.areCompleted }, "seed \(seed)")
    #expect(Set(network.peers.map { $0.box.agent.role }).count == 2)
    let changes = network.peers.flatMap(\.events).count { if case .roleChanged = $0 { true } else { false } }
    #expect(changes == 1)
    let (left, right) = (network.peers[0].box.agent.pair()!, network.peers[1].box.agent.pair()!)
    #expect(left.local.address == right.destination && right.local.address == left.destination)
  }

  // MARK: Signalling

  @Test func `checks that come before the peer's credentials are answered, and checked back later`() {
    let network = ICENetwork(.portRestricted, .public)
    network.gather(0, relays: false)
    network.gather(1, relays: false)
    network.run(for: .seconds(1)) { network.peers.allSatisfy { $0.unanswered == 0 } }
    network.exchangeCredentials(of: [0])
    for candidate in network.peers[1].box.agent.localCandidates {
      _ = try? network.peers[0].box.agent.addRemoteCandidate(candidate, now: network.clock.now)
    }
    network.run(for: .seconds(3))
    #expect(network.peers[0].state == .connected || network.peers[0].state == .completed)
    #expect(network.peers[1].state == .new)
    network.exchangeCredentials(of: [1])
    #expect(network.run(for: .seconds(5)) { network.areCompleted })
    #expect(network.peers[1].box.agent.pair()?.remote.kind == .peerReflexive)
  }

  @Test func `nothing fails before all candidates are there, nor before the peer's may have come`() {
    let network = ICENetwork(.blocked, .public)
    network.gather(0)
    network.gather(1)
    network.exchange()
    network.run(for: .seconds(200))
    #expect(network.peers[0].state == .checking)
    for peer in network.peers {
      peer.box.agent.endOfLocalCandidates(now: network.clock.now)
      peer.box.agent.endOfRemoteCandidates(now: network.clock.now)
    }
    #expect(network.peers[0].state == .failed)
    let other = ICENetwork(.blocked, .blocked)
    other.connect()
    let start = other.clock.now
    other.run(for: .seconds(100)) { other.peers[0].state == .failed }
    #expect(other.clock.now - start >= .milliseconds(39_500))
  }

  @Test func `a late candidate is checked, and changes nothing that was chosen`() throws {
    let network = ICENetwork.completed(.public, .public)
    let chosen = network.peers[0].box.agent.pair()
    // The other end opens another socket and lists it.
    let base = SocketAddress(network.peers[1].addresses[0], port: 60_000)
    let listed = network.peers[1].box.agent.addLocalCandidate(.host, address: base, base: base)
    let late = try #require(listed)
    try network.peers[0].box.agent.addRemoteCandidate(late, now: network.clock.now)
    network.run(for: .seconds(2))
    #expect(network.peers[0].box.agent.pair() == chosen)
    #expect(network.peers[0].box.agent.validPairs.contains { $0.destination == base })
  }

  @Test func `a candidate that is listed after its check has come gets its true kind`() throws {
    let network = ICENetwork.completed(.portRestricted, .public)
    let remote = network.peers[1].box.agent.pair()!.destination
    let listed = Candidate(foundation: "9", priority: 1_694_498_815, address: remote, kind: .serverReflexive)
    let isNew = try network.peers[1].box.agent.addRemoteCandidate(listed, now: network.clock.now)
    #expect(!isNew)
    #expect(network.peers[1].box.agent.remoteCandidates.count { $0.address == remote } == 1)
    #expect(network.peers[1].box.agent.remoteCandidates.first { $0.address == remote }?.kind == .serverReflexive)
  }

  @Test func `redundant candidates are not listed`() {
    let network = ICENetwork(.public, .public)
    network.gather(0, relays: false)
    network.run(for: .seconds(1))
    // What the server saw is what the host has.
    #expect(network.peers[0].box.agent.localCandidates.map(\.kind) == [.host, .host])
    let foundations = network.peers[0].box.agent.localCandidates.map(\.foundation)
    #expect(Set(foundations).count == 2)
  }

  // MARK: Order and pace

  @Test func `of pairs with one foundation one is checked at a time`() throws {
    let network = ICENetwork(.public, .public)
    network.gather(0, relays: false)
    network.run(for: .seconds(1))
    network.exchangeCredentials(of: [0])
    for port in 1...5 as ClosedRange<UInt16> {
      let candidate = Candidate(
        foundation: "1", priority: 1000 + UInt32(port),
        address: SocketAddress(IPAddress("198.51.100.9")!, port: port), kind: .host)
      try network.peers[0].box.agent.addRemoteCandidate(candidate, now: network.clock.now)
    }
    network.run(for: .seconds(5))
    // The best one.
    #expect(Set(network.peers[0].sent.map(\.destination.port)) == [5])
    // Each failure lets in the next one.
    network.run(for: .seconds(300))
    #expect(Set(network.peers[0].sent.map(\.destination.port)) == [1, 2, 3, 4, 5])
  }

  @Test func `a check is sent seven times, at the times of RFC 8489`() throws {
    let network = ICENetwork(.public, .public)
    network.gather(0, relays: false)
    network.run(for: .seconds(1))
    network.exchangeCredentials(of: [0])
    let start = network.clock.now
    let candidate = Candidate(
      foundation: "1", priority: 1, address: endpoint("198.51.100.9:9"), kind: .host)
    try network.peers[0].box.agent.addRemoteCandidate(candidate, now: start)
    network.peers[0].box.agent.endOfLocalCandidates(now: start)
    network.peers[0].box.agent.endOfRemoteCandidates(now: start)
    network.run(for: .milliseconds(39_499))
    let times = network.peers[0].sent.map { ($0.time - start).wholeNanoseconds / 1_000_000 }
    #expect(times == [0, 500, 1500, 3500, 7500, 15_500, 31_500])
    #expect(Set(network.peers[0].sent.map(\.bytes)).count == 1)
    #expect(network.peers[0].state == .checking)
    network.run(for: .milliseconds(1))
    #expect(network.peers[0].state == .failed)
  }

  // MARK: Components

  @Test func `each component gets a pair of its own`() {
    let network = ICENetwork(.public, .public) { $1.components = 2 }
    for index in 0...1 {
      network.gather(index, relays: false, port: 50_000, component: 1)
      network.gather(index, relays: false, port: 50_001, component: 2)
    }
    network.run(for: .seconds(1)) { network.peers.allSatisfy { $0.unanswered == 0 } }
    network.exchange()
    for peer in network.peers {
      peer.box.agent.endOfLocalCandidates(now: network.clock.now)
      peer.box.agent.endOfRemoteCandidates(now: network.clock.now)
    }
    #expect(network.run(for: .seconds(5)) { network.areCompleted })
    for peer in network.peers {
      #expect(peer.box.agent.pair(component: 1)?.base.port == 50_000)
      #expect(peer.box.agent.pair(component: 2)?.destination.port == 50_001)
    }
  }

  // MARK: Lite (RFC 8445 §2.5)

  @Test(arguments: Access.allCases.filter { $0 != .blocked })
  func `a lite agent with a public address works with a full one behind any NAT`(access: Access) {
    let network = ICENetwork(access, .public, roles: [.controlled, .controlling]) { $1.isLite = $0 == 1 }
    network.connect(relays: false)
    #expect(network.run(for: .seconds(10)) { network.areCompleted })
    #expect(network.peers.map { $0.box.agent.role } == [.controlling, .controlled])
    // It answers, and asks nothing.
    #expect(network.peers[1].sent.allSatisfy { (try? STUNMessage($0.bytes.bytes))?.messageClass == .success })
    network.sendData([0xFF, 7], from: 1)
    network.run(for: .seconds(40))
    #expect(network.peers[0].data == [[0xFF, 7]])
    // And keeps NATs awake.
    #expect(network.peers[1].sent.contains { (try? STUNMessage($0.bytes.bytes))?.messageClass == .indication })
    #expect(network.areCompleted)
  }

  @Test func `two lite agents choose by priority`() {
    let network = ICENetwork(.public, .public) { $1.isLite = true }
    network.connect(relays: false)
    #expect(network.run(for: .seconds(1)) { network.areCompleted })
    #expect(network.peers[0].box.agent.pair()?.destination == network.peers[1].box.agent.pair()?.base)
  }

  // MARK: Consent (RFC 7675)

  @Test func `consent is asked for every four to six seconds and keeps a NAT of short timeouts open`() {
    let network = ICENetwork.completed(.shortTimeouts, .portRestricted)
    for peer in network.peers { peer.sent = [] }
    network.run(for: .seconds(300))
    #expect(network.areCompleted)
    let asked = network.peers[0].sent.filter { (try? STUNMessage($0.bytes.bytes))?.messageClass == .request }
    let gaps = zip(asked, asked.dropFirst()).map { $1.time - $0.time }
    #expect((50...75).contains(asked.count))
    #expect(gaps.allSatisfy { $0 >= .seconds(4) && $0 <= .milliseconds(6_050) })
    #expect(Set(gaps).count > 10)
    network.sendData([0xFF], from: 1)
    network.run(for: .seconds(1))
    #expect(network.peers[0].data == [[0xFF]])
  }

  @Test func `without answers consent ends after 30 s, and nothing more is sent`() {
    let network = ICENetwork(.portRestricted, .fullCone)
    network.connect(relays: false)
    network.run(for: .seconds(20))
    #expect(network.areCompleted)
    network.filter = { _, _, _ in false }
    let start = network.clock.now
    let destination = network.peers[0].box.agent.pair()!.destination
    network.run(for: .seconds(40)) { network.peers.allSatisfy { $0.state == .disconnected } }
    let elapsed = network.clock.now - start
    #expect(elapsed > .seconds(23) && elapsed <= .seconds(30))
    #expect(network.peers[0].events.contains { if case .consentExpired = $0 { true } else { false } })
    #expect(network.peers[0].box.agent.pair() == nil)
    for peer in network.peers { peer.sent = [] }
    network.run(for: .seconds(100))
    #expect(!network.peers[0].sent.contains { $0.destination == destination })
  }

  @Test func `authenticated packets of the application are consent`() {
    let network = ICENetwork.completed()
    network.filter = { _, _, _ in false }
    for _ in 0..<10 {
      network.run(for: .seconds(10))
      for peer in network.peers {
        let pair = peer.box.agent.pair()!
        peer.box.agent.confirmConsent(base: pair.base, source: pair.destination, now: network.clock.now)
      }
    }
    #expect(network.areCompleted)
    let pair = network.peers[0].box.agent.pair()!
    for _ in 0..<4 {
      network.run(for: .seconds(10))
      network.peers[0].box.agent.confirmConsent(
        base: pair.base, source: endpoint("198.51.100.9:9"), now: network.clock.now)
    }
    #expect(network.peers[0].state == .disconnected)
  }

  // MARK: Restart (RFC 8445 §9)

  @Test func `a restart leads to a new pair, and the old one works until then`() {
    let network = ICENetwork.completed()
    let old = network.peers.map { $0.box.agent.pair()! }
    for peer in network.peers {
      peer.events = []
      peer.box.agent.restart(
        ICECredentials(random: &network.entropy), keepsLocalCandidates: true, now: network.clock.now)
    }
    network.run(for: .seconds(60))
    #expect(network.peers.map(\.state) == [.new, .new])
    #expect(network.peers.map { $0.box.agent.pair()! } == old)
    network.exchange()
    for peer in network.peers { peer.box.agent.endOfRemoteCandidates(now: network.clock.now) }
    #expect(network.run(for: .seconds(5)) { network.areCompleted })
    #expect(network.peers[0].events.contains { if case .selected = $0 { true } else { false } })
    network.run(for: .seconds(60))
    #expect(network.areCompleted)
  }

  @Test func `a restart after lost consent brings the session back`() {
    let network = ICENetwork.completed()
    network.filter = { _, _, _ in false }
    network.run(for: .seconds(60))
    network.filter = { _, _, _ in true }
    for peer in network.peers {
      peer.box.agent.restart(
        ICECredentials(random: &network.entropy), keepsLocalCandidates: true, now: network.clock.now)
      #expect(peer.box.agent.pair() == nil)
    }
    network.exchange()
    #expect(network.run(for: .seconds(5)) { network.areCompleted })
  }

  @Test func `a closed agent says and hears nothing`() {
    let network = ICENetwork.completed()
    network.peers[0].box.agent.close()
    network.drain()
    for peer in network.peers { peer.sent = [] }
    network.run(for: .seconds(20))
    #expect(network.peers[0].sent.isEmpty)
    #expect(network.peers[0].box.agent.deadline == nil)
    #expect(network.peers[0].box.agent.drops[.closed] > 0)
    #expect(network.peers[0].events.last == .stateChanged(.closed))
  }
}
