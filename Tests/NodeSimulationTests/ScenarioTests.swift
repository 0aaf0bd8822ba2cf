import MeshNodeSimulation
import MeshSimulation
import Testing

@Suite("Scenario") struct ScenarioTests {
  @Test func `every statement is read`() throws {
    let scenario = try Scenario(
      parsing: """
        # A comment.
        name Two homes   # and another
        seed 7
        duration 1.5m
        nodes 6
        topology random degree 3
        link delay 20ms jitter 2ms reorders loss 1% duplicate 0.1% reorder 1% holdback 9ms rate 1.5M queue 64k mark 30k mtu 1392 icmp burst 2% length 5 aqm codel bleach ce
        path 0 1 loss 10%
        path 2 > 3 rate none
        access 3,5 up rate 1M
        access 4 down rate 2M delay 5ms
        nat 1-2 symmetric timeout 20s cgnat
        second 0,5 ipv6 delay 50ms
        messages 300B every 250ms as unordered
        congestion newreno
        keepalive 15s
        recovery 45s
        attacker
        clock 1 skew -200 wall -1h
        at 10s partition 0-2
        at 20s heal
        at 21s crash 3,4
        at 22s restart 3
        at 23s sleep 5
        at 24s wake 5
        at 25s move 1
        at 26s reset-nat 1
        at 27s link loss 5%
        at 28s path 0 > 1 loss 100%
        at 29s silence
        at 30s cut 0 second
        at 31s mend 0 second
        """)
    #expect(scenario.name == "Two homes" && scenario.seed == 7 && scenario.duration == .seconds(90))
    #expect(scenario.topology == Topology(.random, nodes: 6, degree: 3))
    var link = LinkConditions()
    link.delay = .milliseconds(20)
    link.jitter = .milliseconds(2)
    link.jitterReorders = true
    link.loss = 0.01
    link.duplication = 0.001
    link.reordering = 0.01
    link.reorderDelay = .milliseconds(9)
    link.rate = 1_500_000
    link.queue = 64_000
    link.markingThreshold = 30_000
    link.mtu = 1392
    link.reportsTooLong = true
    link.burstLoss = BurstLoss(average: 0.02, length: 5)
    link.discipline = .coDel()
    link.bleaching = .clearsCE
    #expect(scenario.conditions == link)
    var second = link
    second.delay = .milliseconds(50)
    #expect(scenario.secondWays == [0, 5].map { Scenario.SecondWay(of: $0, isIPv6: true, second) })
    #expect(scenario.events.suffix(2).map(\.action) == [.cut(0, .second), .mend(0, .second)])
    link.loss = 0.1
    #expect(scenario.paths[0] == Scenario.Path(from: 0, to: 1, link) && scenario.paths.count == 3)
    #expect(scenario.paths[2].sender == 2 && scenario.paths[2].conditions.rate == nil)
    #expect(scenario.accesses.map { $0.host } == [3, 5, 4] && !scenario.accesses[2].isUplink)
    #expect(scenario.homes.map { $0.host } == [1, 2] && scenario.homes[0].isBehindCarrier)
    #expect(scenario.homes[0].behaviour.timeout == .seconds(20))
    #expect(scenario.messages?.size == 300 && scenario.messages?.carrier == .unordered)
    #expect(scenario.congestion == .newReno && scenario.keepalive == .seconds(15) && scenario.hasAttacker)
    #expect(scenario.recovery == .seconds(45))
    #expect(scenario.events.count == 16 && scenario.lastFault == .seconds(31))
    #expect(scenario.events[0] == Scenario.Event(at: .zero, .skew(1, -200)))
    #expect(scenario.events[1] == Scenario.Event(at: .zero, .wall(1, -3_600_000_000_000)))
    #expect(scenario.events[2] == Scenario.Event(at: .seconds(10), .partition([0, 1, 2])))
  }

  static let wrong: [(String, Int, String)] = [
    ("seed 1\nnods 3", 2, "a line begins with one of name"), ("seed", 1, "the seed is missing"),
    ("seed x", 1, "a whole number"), ("duration 5", 1, "a time such as 5s"),
    ("link loss 200%", 1, "a share such as 1%"),
    ("link speed 4", 1, "allowed are delay, jitter"), ("link rate 5", 1, "bits per second"),
    ("topology tree", 1, "one of line, ring, star, grid, random, full"), ("nat 1 cone", 1, "one of full-cone"),
    ("at 5s crash 8", 1, "up to 7"), ("at 5s explode", 1, "one of crash, restart"), ("messages 0B", 1, "1 to 16384"),
    ("heal", 1, "a line begins with"), ("seed 1 2", 1, "'2' is not expected here"),
    ("path 0 9 loss 1%", 1, "from 0 to 7"),
    ("at 5s transfer 0 > 4 1k", 0, "no neighbours"), ("nodes 99999999999999999999", 1, "from 1 to"),
    ("duration 99999999999999999999h", 1, "a time such as"), ("at 9m heal", 0, "after the end"),
    ("nodes 1000000\ntopology full", 0, "pairs of neighbours: a scenario may have 4000000"),
  ]
  @Test(arguments: wrong)
  func `a mistake is told with its line and what is expected`(text: String, line: Int, words: String) {
    let error = #expect(throws: ScenarioError.self) { try Scenario(parsing: text) }
    #expect(error?.issues.first?.line == line)
    #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
  }

  @Test func `all mistakes are told at once`() {
    let error = #expect(throws: ScenarioError.self) { try Scenario(parsing: "a\nb\nseed 4\nc") }
    #expect(error?.issues.map { $0.line } == [1, 2, 4])
  }

  @Test(arguments: Topology.Kind.allCases)
  func `every topology is connected and names each pair once`(kind: Topology.Kind) {
    for nodes in [1, 2, 3, 7, 16, 50] {
      let edges = Topology(kind, nodes: nodes).edges(seed: 5)
      var group = Array(0..<nodes)
      for (left, right) in edges {
        #expect(left < right && right < nodes)
        let (from, to) = (group[right], group[left])
        for index in group.indices where group[index] == from { group[index] = to }
      }
      #expect(group.allSatisfy { $0 == group[0] }, "\(kind) of \(nodes)")
      #expect(Set(edges.map { $0.0 * nodes + $0.1 }).count == edges.count)
      #expect(zip(edges, edges.dropFirst()).allSatisfy { $0 < $1 })
    }
    #expect(Topology(.random, nodes: 50, degree: 4).edges(seed: 5).count == 100)
  }
}
