internal import MeshPrimitives
internal import MeshReliability
internal import MeshSimulation

extension Scenario {
  /// A scenario made up from a seed: a few nodes, any kind of path and NAT, traffic, and faults that all end, so that at the
  /// end everything must flow again.
  public static func random(seed: UInt64) -> Scenario {
    var random = SeededEntropy(seed: derivedSeed(seed, 100))
    var scenario = Scenario()
    scenario.name = "random \(seed)"
    scenario.seed = seed
    let nodes = 2 + Int(random.upTo(random.chance(0.2) ? 10 : 4))
    scenario.topology = Topology(random.pick(Topology.Kind.allCases), nodes: nodes, degree: 3)
    scenario.conditions = random.conditions()
    // Not all: seeds keep their meaning.
    scenario.congestion = random.pick([CongestionAlgorithm.newReno, .cubic, .ledbat, .prague])
    scenario.hasAttacker = random.chance(0.3)
    for host in 1..<nodes where random.chance(0.25) {
      scenario.homes.append(Home(of: host, random.nat(), isBehindCarrier: random.chance(0.2)))
    }
    if scenario.homes.contains(where: { $0.behaviour.timeout < .seconds(30) }) { scenario.keepalive = .seconds(5) }
    for host in 0..<nodes where random.chance(0.2) {
      var conditions = LinkConditions()
      conditions.rate = 1_000_000 << random.upTo(5)
      conditions.queue = 20_000 << Int(random.upTo(4))
      scenario.accesses.append(Access(of: host, isUplink: random.chance(0.5), conditions))
    }
    var messages = MessageTraffic()
    messages.size = 1 + Int(random.upTo(random.chance(0.1) ? 20_000 : 1500))
    messages.interval = .milliseconds(50 + random.upTo(1500))
    messages.carrier = random.pick(Carrier.allCases)
    // More does not fit into the smallest packet.
    if messages.carrier == .datagram { messages.size = min(messages.size, 900) }
    scenario.limit(&messages)
    scenario.messages = messages
    scenario.addClocks(&random)
    scenario.addTransfers(&random)
    for _ in 0..<random.upTo(7) { scenario.addFault(&random) }
    scenario.addSecondWays()
    scenario.events = scenario.events.enumerated().sorted {
      ($0.element.time, $0.offset) < ($1.element.time, $1.offset)
    }
    .map { $0.element }
    scenario.duration = scenario.lastFault + .seconds(75)
    return scenario
  }

  /// Fewer messages where the paths do not carry all that the nodes might want: a queue that grows for ever proves nothing.
  private func limit(_ messages: inout MessageTraffic) {
    var rate = ([conditions] + accesses.map { $0.conditions }).reduce(Int64.max) { min($0, $1.rate ?? .max) } / 8
    let isRough =
      conditions.loss > 0.01 || conditions.burstLoss != nil || conditions.reordering > 0 || conditions.jitterReorders
    rate = min(rate, (isRough ? 40_000 : 1_000_000) * Int64(topology.nodes))
    let all = Int64(messages.size + 100) * Int64(topology.nodes)
    let least = Duration.milliseconds(all * 1000 * 6 / max(rate, 1))
    messages.interval = max(messages.interval, least)
  }

  private mutating func addClocks(_ random: inout SeededEntropy) {
    for host in 0..<topology.nodes where random.chance(0.3) {
      events.append(Event(at: .zero, .skew(host, random.upTo(1000) - 500)))
      events.append(
        Event(at: .milliseconds(random.upTo(30_000)), .wall(host, (random.upTo(172_800) - 86_400) * 1_000_000_000)))
    }
  }

  private mutating func addTransfers(_ random: inout SeededEntropy) {
    let pairs = topology.edges(seed: derivedSeed(seed, 2))
    for _ in 0..<random.upTo(3) {
      guard !pairs.isEmpty else { return }
      let (left, right) = random.pick(pairs)
      let (from, to) = random.chance(0.5) ? (left, right) : (right, left)
      let bytes = UInt64(random.upTo(1000 << random.upTo(11)))
      events.append(Event(at: .milliseconds(random.upTo(30_000)), .transfer(from: from, to: to, bytes: bytes)))
    }
  }

  /// In some, hosts have two addresses, of which now one and now the other is cut. Made from a seed of its own, so that all else
  /// of a scenario is as it is without.
  private mutating func addSecondWays() {
    var random = SeededEntropy(seed: derivedSeed(seed, 101))
    guard random.chance(0.3) else { return }
    let isIPv6 = random.chance(0.5)
    for host in 0..<topology.nodes where !homes.contains(where: { $0.host == host }) && random.chance(0.7) {
      secondWays.append(SecondWay(of: host, isIPv6: isIPv6, random.conditions()))
    }
    guard !secondWays.isEmpty else { return }
    for _ in 0..<random.upTo(4) {
      let (host, way) = (random.pick(secondWays).host, random.pick(Way.allCases))
      let begin = Duration.milliseconds(500 + random.upTo(60_000))
      let length = Duration.milliseconds(50 + random.upTo(random.chance(0.3) ? 90_000 : 12_000))
      events.append(Event(at: begin, .cut(host, way)))
      events.append(Event(at: begin + length, .mend(host, way)))
    }
  }

  /// A fault, and its end.
  private mutating func addFault(_ random: inout SeededEntropy) {
    let begin = Duration.milliseconds(500 + random.upTo(40_000))
    let length = Duration.milliseconds(50 + random.upTo(random.chance(0.3) ? 60_000 : 12_000))
    let host = Int(random.upTo(Int64(topology.nodes - 1)))
    switch random.upTo(7) {
    case 0:
      events.append(Event(at: begin, .crash(host)))
      events.append(Event(at: begin + length, .restart(host)))
    case 1:
      let length = random.chance(0.1) ? length + .seconds(180) : length
      events.append(Event(at: begin, .sleep(host)))
      events.append(Event(at: begin + length, .wake(host)))
    case 2: events.append(Event(at: begin, .move(host)))
    case 3:
      events.append(Event(at: begin, .partition((0..<topology.nodes).filter { _ in random.chance(0.5) })))
      events.append(Event(at: begin + length, .heal))
    case 4: if homes.contains(where: { $0.host == host }) { events.append(Event(at: begin, .resetNAT(host))) }
    case 5:
      events.append(Event(at: begin, .link(random.conditions())))
      events.append(Event(at: begin + length, .link(conditions)))
    case 6: events.append(Event(at: begin, .restart(host)))
    default:
      var broken = conditions
      broken.loss = random.chance(0.5) ? 1 : 0.5
      let pairs = topology.edges(seed: derivedSeed(seed, 2))
      guard !pairs.isEmpty else { return }
      let (left, right) = random.pick(pairs)
      let (from, to) = random.chance(0.5) ? (left, right) : (right, left)
      events.append(Event(at: begin, .path(Path(from: from, to: to, broken))))
      events.append(Event(at: begin + length, .path(Path(from: from, to: to, conditions))))
    }
  }
}

extension SeededEntropy {
  mutating func pick<Element>(_ elements: [Element]) -> Element { elements[Int(upTo(Int64(elements.count - 1)))] }

  fileprivate mutating func conditions() -> LinkConditions {
    var conditions = LinkConditions()
    conditions.delay = .microseconds(100 << upTo(10) + upTo(20_000))
    if chance(0.4) { conditions.jitter = .microseconds(upTo(30_000)) }
    conditions.jitterReorders = chance(0.5)
    if chance(0.5) { conditions.loss = Double(upTo(chance(0.2) ? 200 : 50)) / 1000 }
    if chance(0.3) { conditions.duplication = Double(upTo(100)) / 1000 }
    if chance(0.3) { conditions.reordering = Double(upTo(100)) / 1000 }
    conditions.reorderDelay = .milliseconds(1 + upTo(50))
    if chance(0.3) { conditions.mtu = pick([1200, 1231, 1360, 1392, 1472]) }
    if chance(0.3) {
      conditions.rate = 500_000 << upTo(6)
      conditions.queue = 10_000 << Int(upTo(5))
      if chance(0.5) { conditions.markingThreshold = conditions.queue / 4 }
      conditions.discipline = pick([.dropTail, .dropTail, .coDel(), .dualPI2()])
    }
    // Bursts end with packets, not with time: long ones would cut a quiet path off for minutes.
    if chance(0.15) { conditions.burstLoss = BurstLoss(average: Double(upTo(50)) / 1000, length: Double(1 + upTo(2))) }
    if chance(0.15) { conditions.bleaching = pick(Bleaching.allCases) }
    conditions.reportsTooLong = chance(0.5)
    return conditions
  }

  fileprivate mutating func nat() -> NATBehaviour {
    var behaviour = NATBehaviour()
    behaviour.mapping = pick(NATBehaviour.Dependence.allCases)
    behaviour.filtering = pick(NATBehaviour.Dependence.allCases)
    behaviour.portAssignment = pick(NATBehaviour.PortAssignment.allCases)
    behaviour.hairpinning = pick(NATBehaviour.Hairpinning.allCases)
    behaviour.timeout = .seconds(chance(0.3) ? 15 : 120)
    behaviour.refreshesInbound = chance(0.5)
    return behaviour
  }
}
