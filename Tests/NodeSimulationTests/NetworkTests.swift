import MeshNodeSimulation
import MeshPrimitives
import MeshSimulation
import Testing

@Suite("Simulated network") struct NetworkTests {
  static func scenario(_ topology: Topology, seed: UInt64 = 1, seconds: Int = 30) -> Scenario {
    var scenario = Scenario()
    scenario.seed = seed
    scenario.duration = .seconds(seconds)
    scenario.topology = topology
    scenario.messages = .init()
    return scenario
  }

  static func run(_ scenario: Scenario) -> SimulatedNetwork {
    let network = SimulatedNetwork(scenario)
    network.run()
    return network
  }

  @Test(arguments: Scenario.Carrier.allCases)
  func `all messages arrive where nothing is in the way`(carrier: Scenario.Carrier) {
    var scenario = Self.scenario(Topology(.ring, nodes: 8))
    scenario.messages?.carrier = carrier
    let network = Self.run(scenario)
    let messages = network.report.messages
    #expect(network.violation == nil)
    #expect(messages.offered > 200 && messages.delivered >= messages.offered - 8)
    #expect(messages.latencyMillisecondsP50 >= 10 && messages.latencyMillisecondsP99 < 15)
  }

  @Test func `the same seed gives the same run, another seed another one`() {
    var scenario = Self.scenario(Topology(.random, nodes: 12))
    scenario.conditions.loss = 0.05
    scenario.conditions.jitter = .milliseconds(5)
    let first = Self.run(scenario)
    let again = Self.run(scenario)
    #expect(first.fingerprint == again.fingerprint)
    scenario.seed = 2
    #expect(first.fingerprint != Self.run(scenario).fingerprint)
  }

  @Test func `a run that is stopped and goes on is the same run`() {
    let scenario = Self.scenario(Topology(.grid, nodes: 9))
    let whole = Self.run(scenario)
    let pieces = SimulatedNetwork(scenario)
    for step in 1...300 { pieces.run(until: pieces.start + .milliseconds(step * 100)) }
    #expect(whole.fingerprint == pieces.fingerprint)
  }

  @Test func `a partition parts, and heals`() throws {
    let scenario = try Scenario(
      parsing: """
        nodes 6
        topology full
        duration 2m
        messages 100B every 500ms
        at 20s partition 0-2
        at 50s heal
        """)
    let network = Self.run(scenario)
    #expect(network.violation == nil)
    // Nine of the fifteen pairs lie across.
    #expect(network.report.disconnects == 18 && network.report.connects == 48)
    #expect(network.report.messages.ended > 0)
    #expect(network.edges.allSatisfy { $0.isConnected })
  }

  @Test(arguments: ["", "ipv6"])
  func `hosts with two ways lose nothing and no connection while one is open`(family: String) throws {
    let scenario = try Scenario(
      parsing: """
        nodes 3
        topology full
        duration 90s
        link delay 10ms rate 50M queue 200k
        second 0-1 \(family) delay 40ms jitter 5ms rate 20M queue 200k
        messages 200B every 100ms as stream
        at 5s transfer 0 > 1 10M
        at 6s cut 0 first
        at 20s mend 0 first
        at 30s cut 1 second
        at 40s cut 1 first
        at 40s mend 1 second
        at 70s mend 1 first
        """)
    let network = Self.run(scenario)
    #expect(network.violation == nil)
    // Host 2 has no IPv6: it does not reach the two while their first address is cut.
    #expect(family == "ipv6" ? network.report.disconnects <= 4 : network.report.disconnects == 0)
    #expect(network.report.transfers.first?.seconds ?? .infinity < 20)
    #expect(network.report.messages.latencyMillisecondsMax < (family == "ipv6" ? 60_000 : 3_000))
  }

  @Test(arguments: 1...3, ["port-restricted", "symmetric"])
  func `a NAT that loses its table in the middle of a download costs less than a second`(seed: UInt64, nat: String)
    throws
  {
    let scenario = { (event: String) in
      try Scenario(
        parsing: """
          seed \(seed)
          nodes 2
          topology full
          duration 15s
          link delay 15ms rate 20M queue 100k
          nat 1 \(nat)
          at 2s transfer 0 > 1 5M
          \(event)
          """)
    }
    let network = Self.run(try scenario("at 3s reset-nat 1"))
    #expect(network.violation == nil && network.report.disconnects == 0)
    let seconds = network.report.transfers.first?.seconds ?? .infinity
    let undisturbed = Self.run(try scenario("")).report.transfers.first?.seconds ?? 0
    #expect(undisturbed > 1.5 && seconds < undisturbed + 1, "\(seconds) s, \(undisturbed) s")
  }

  @Test func `hosts that crash, sleep and move come back`() throws {
    let scenario = try Scenario(
      parsing: """
        nodes 5
        topology star
        duration 3m
        messages 100B every 500ms
        clock 1 skew 400 wall 20h
        clock 2 skew -400
        at 20s crash 1
        at 30s restart 1
        at 40s sleep 2
        at 50s wake 2
        at 60s move 3
        at 70s restart 0
        at 80s clock 1 wall -20h
        at 81s restart 1
        """)
    let network = Self.run(scenario)
    #expect(network.violation == nil)
    #expect(network.hostFacts[1].restarts == 2 && network.hostFacts[3].moves == 1)
    #expect(network.edges.allSatisfy { $0.isConnected })
  }

  @Test func `homes behind NATs reach a server, and one behind a NAT that blocks does not`() throws {
    let scenario = try Scenario(
      parsing: """
        nodes 7
        topology star
        duration 4m
        recovery none
        messages 100B every 1s
        nat 1 full-cone
        nat 2 address-restricted
        nat 3 port-restricted timeout 20s
        nat 4 symmetric cgnat
        nat 5 port-restricted cgnat
        nat 6 blocked
        at 60s move 4
        at 70s reset-nat 3
        """)
    let network = Self.run(scenario)
    #expect(network.violation == nil)
    #expect(network.edges.map { $0.isConnected } == [true, true, true, true, true, false])
  }

  @Test func `two transfers share a bottleneck`() throws {
    let scenario = try Scenario(
      parsing: """
        nodes 3
        topology star
        duration 30s
        access 0 down rate 8M queue 100k
        at 1s transfer 1 > 0 4M
        at 1s transfer 2 > 0 4M
        """)
    let network = Self.run(scenario)
    let transfers = network.report.transfers
    #expect(network.violation == nil && transfers.count == 2)
    #expect(transfers.allSatisfy { $0.received == 4_000_000 && $0.megabitsPerSecond > 2.5 })
    #expect(network.transferSeries.allSatisfy { $0.samples.count > 10 })
  }

  @Test func `nobody is sent more than three times what seems to come from there`() {
    var scenario = Self.scenario(Topology(.full, nodes: 5), seconds: 60)
    scenario.hasAttacker = true
    scenario.messages?.interval = .milliseconds(100)
    var forged = 0
    let network = SimulatedNetwork(scenario)
    network.observer = { if $0.kind == .forged { forged += 1 } }
    network.run()
    #expect(network.violation == nil && forged > 100)
  }

  // MARK: - The model finds what is wrong

  @Test func `what never comes is found, with a diagram`() throws {
    let scenario = try Scenario(
      parsing: """
        nodes 2
        duration 60s
        recovery 20s
        messages 100B every 1s
        path 0 > 1 loss 100%
        """)
    let network = Self.run(scenario)
    let violation = try #require(network.violation)
    #expect(violation.kind == .stalled && violation.seed == 1)
    #expect(violation.diagram.hasPrefix("sequenceDiagram\n  participant H0\n  participant H1\n"))
    #expect(violation.diagram.contains("initiation 148 B"))
  }
}
