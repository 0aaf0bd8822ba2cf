internal import MeshPrimitives
internal import MeshReliability
internal import MeshSimulation

extension Scenario {
  private enum CongestionName: String, CaseIterable { case cubic, newreno, ledbat, prague, bbr }

  private static let statements =
    "name, seed, duration, nodes, topology, link, path, access, nat, second, messages, congestion, keepalive, recovery, idle, "
    + "attacker, clock, at"

  /// Reads a scenario: a statement a line, `#` begins a comment. `docs/simulation.md` lists the statements.
  /// - Throws: every mistake, with its line and what is expected.
  public init(parsing text: String) throws(ScenarioError) {
    self.init()
    var issues: [ScenarioError.Issue] = []
    for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: { $0.isNewline }).enumerated() {
      var words = ScenarioWords(line)
      guard !words.isEmpty, issues.count < 20 else { continue }
      do throws(ScenarioWords.Problem) {
        try read(&words)
        try words.end()
      } catch { issues.append(ScenarioError.Issue(line: index + 1, message: error.message)) }
    }
    guard issues.isEmpty else { throw ScenarioError(issues: issues) }
    if let problem { throw ScenarioError(issues: [ScenarioError.Issue(line: 0, message: problem)]) }
  }

  /// Takes one more statement, as a flag of a command does.
  public mutating func apply(_ statement: String) throws(ScenarioError) {
    var words = ScenarioWords(statement[...])
    do throws(ScenarioWords.Problem) {
      try read(&words)
      try words.end()
    } catch { throw ScenarioError(issues: [ScenarioError.Issue(line: 0, message: error.message)]) }
  }

  /// What does not fit together; `nil`: all does.
  public var problem: String? {
    guard topology.pairsAtMost <= Topology.mostPairs else {
      return "up to \(topology.pairsAtMost) pairs of neighbours: a scenario may have \(Topology.mostPairs)"
    }
    let named =
      paths.flatMap { [$0.sender, $0.receiver] } + accesses.map { $0.host } + homes.map { $0.host }
      + secondWays.map { $0.host }
    if let host = named.max(), host >= topology.nodes { return "there is no host \(host): there are \(topology.nodes)" }
    if let second = secondWays.first(where: { second in homes.contains { $0.host == second.host } }) {
      return "host \(second.host) is behind a NAT: it has no second address"
    }
    guard
      events.contains(where: { $0.isTransfer }) || events.contains(where: { $0.time > duration || !$0.hosts.isEmpty })
    else { return nil }
    let edges = topology.edges(seed: derivedSeed(seed, 2))
    let pairs = Set(edges.map { UInt64($0.0) << 32 | UInt64($0.1) })
    for event in events {
      if let host = event.hosts.max(), host >= topology.nodes {
        return "there is no host \(host): there are \(topology.nodes)"
      }
      if case .transfer(let from, let to, _) = event.action {
        let pair = UInt64(min(from, to)) << 32 | UInt64(max(from, to))
        if !pairs.contains(pair) {
          return "hosts \(from) and \(to) are no neighbours: there can be no transfer between them"
        }
      }
      if event.time > duration { return "something is to happen at \(event.time), after the end at \(duration)" }
    }
    return nil
  }

  private mutating func read(_ words: inout ScenarioWords) throws(ScenarioWords.Problem) {
    let nodes = topology.nodes
    switch try words.word("a statement") {
    case "name":
      var parts: [String] = []
      while !words.isEmpty { parts.append(String(try words.word("the name"))) }
      name = parts.joined(separator: " ")
    case "seed": seed = UInt64(try words.integer("the seed", 0...Int64.max))
    case "duration": duration = try words.duration("the duration")
    case "nodes": topology.nodes = Int(try words.integer("the number of nodes", 1...1_000_000))
    case "topology":
      topology.kind = try words.choice("the topology", of: Topology.Kind.self)
      if words.take("degree") { topology.degree = Int(try words.integer("the degree", 1...1000)) }
    case "degree": topology.degree = Int(try words.integer("the degree", 1...1000))
    case "link": conditions = try words.conditions(conditions)
    case "path":
      for path in try readPath(&words, nodes) { paths.append(path) }
    case "access":
      let hosts = try words.hosts(nodes)
      let isUplink = words.take("up")
      guard isUplink || words.take("down") else { throw ScenarioWords.Problem(message: "'up' or 'down' is expected") }
      var base = LinkConditions()
      base.queue = 100_000
      let conditions = try words.conditions(base)
      for host in hosts { accesses.append(Access(of: host, isUplink: isUplink, conditions)) }
    case "nat":
      let hosts = try words.hosts(nodes)
      let behaviour = try readNAT(&words)
      let isBehindCarrier = words.take("cgnat")
      for host in hosts { homes.append(Home(of: host, behaviour, isBehindCarrier: isBehindCarrier)) }
    case "second":
      let hosts = try words.hosts(nodes)
      let isIPv6 = words.take("ipv6")
      let conditions = try words.conditions(conditions)
      for host in hosts { secondWays.append(SecondWay(of: host, isIPv6: isIPv6, conditions)) }
    case "messages": try readMessages(&words)
    case "congestion":
      switch try words.choice("the congestion control", of: CongestionName.self) {
      case .newreno: congestion = .newReno
      case .cubic: congestion = .cubic
      case .ledbat: congestion = .ledbat
      case .prague: congestion = .prague
      case .bbr: congestion = .bbr
      }
    case "keepalive": keepalive = try words.duration("the interval of keepalives")
    case "recovery": recovery = words.take("none") ? nil : try words.duration("the time to recover")
    case "idle": connects = false
    case "attacker": hasAttacker = true
    case "clock":
      let hosts = try words.hosts(nodes)
      for action in try readClock(&words, hosts) { events.append(Event(at: .zero, action)) }
    case "at":
      let time = try words.duration("the time")
      for action in try readAction(&words, nodes) { events.append(Event(at: time, action)) }
    default: throw ScenarioWords.Problem(message: "a line begins with one of \(Self.statements)")
    }
  }

  private func readPath(_ words: inout ScenarioWords, _ nodes: Int) throws(ScenarioWords.Problem) -> [Path] {
    let from = try words.host(nodes)
    let isOneWay = words.take(">")
    let to = try words.host(nodes)
    let base = paths.last { $0.sender == from && $0.receiver == to }?.conditions ?? conditions
    let conditions = try words.conditions(base)
    let there = Path(from: from, to: to, conditions)
    return isOneWay ? [there] : [there, Path(from: to, to: from, conditions)]
  }

  private func readNAT(_ words: inout ScenarioWords) throws(ScenarioWords.Problem) -> NATBehaviour {
    let kinds: [(String, NATBehaviour)] = [
      ("full-cone", .fullCone), ("address-restricted", .addressRestricted), ("port-restricted", .portRestricted),
      ("symmetric", .symmetric), ("short-timeouts", .shortTimeouts), ("blocked", .blocked),
    ]
    let kind = try words.word("the kind of NAT")
    guard let known = kinds.first(where: { $0.0 == kind }) else {
      throw ScenarioWords.Problem(
        message: "the kind of NAT is one of \(kinds.map { $0.0 }.joined(separator: ", "))")
    }
    var behaviour = known.1
    if words.take("timeout") { behaviour.timeout = try words.duration("the timeout of the NAT") }
    return behaviour
  }

  private mutating func readMessages(_ words: inout ScenarioWords) throws(ScenarioWords.Problem) {
    if words.take("none") { return messages = nil }
    var traffic = MessageTraffic()
    traffic.size = Int(clamping: try words.bytes("the size of messages"))
    guard (1...16_384).contains(traffic.size) else {
      throw ScenarioWords.Problem(message: "messages have 1 to 16384 bytes")
    }
    if words.take("every") { traffic.interval = try words.duration("the interval") }
    guard traffic.interval > .zero else { throw ScenarioWords.Problem(message: "the interval is above 0") }
    if words.take("as") { traffic.carrier = try words.choice("the carrier", of: Carrier.self) }
    messages = traffic
  }

  private func readClock(_ words: inout ScenarioWords, _ hosts: [Int]) throws(ScenarioWords.Problem) -> [Action] {
    var actions: [Action] = []
    while !words.isEmpty {
      if words.take("skew") {
        let skew = try words.integer("the skew in parts in a million", -500_000...500_000)
        actions += hosts.map { .skew($0, skew) }
      } else if words.take("wall") {
        let offset = try words.duration("the offset of the wall clock", isSigned: true).wholeNanoseconds
        actions += hosts.map { .wall($0, offset) }
      } else {
        throw ScenarioWords.Problem(message: "'skew PPM' or 'wall TIME' is expected")
      }
    }
    return actions
  }

  private func readAction(_ words: inout ScenarioWords, _ nodes: Int) throws(ScenarioWords.Problem) -> [Action] {
    let isCut = words.peek() == "cut"
    switch try words.word("what happens") {
    case "crash": return try words.hosts(nodes).map { .crash($0) }
    case "restart": return try words.hosts(nodes).map { .restart($0) }
    case "sleep": return try words.hosts(nodes).map { .sleep($0) }
    case "wake": return try words.hosts(nodes).map { .wake($0) }
    case "move": return try words.hosts(nodes).map { .move($0) }
    case "reset-nat": return try words.hosts(nodes).map { .resetNAT($0) }
    case "partition": return [.partition(try words.hosts(nodes))]
    case "heal": return [.heal]
    case "silence": return [.silence]
    case "speak": return [.speak]
    case "link": return [.link(try words.conditions(conditions))]
    case "path": return try readPath(&words, nodes).map { .path($0) }
    case "cut", "mend":
      let hosts = try words.hosts(nodes)
      let way = try words.choice("the address", of: Way.self)
      return hosts.map { isCut ? .cut($0, way) : .mend($0, way) }
    case "clock":
      let hosts = try words.hosts(nodes)
      return try readClock(&words, hosts)
    case "transfer":
      let from = try words.host(nodes)
      _ = words.take(">")
      let to = try words.host(nodes)
      return [.transfer(from: from, to: to, bytes: UInt64(try words.bytes("the size")))]
    default:
      throw ScenarioWords.Problem(
        message:
          "what happens is one of crash, restart, sleep, wake, move, reset-nat, cut, mend, partition, heal, link, path, clock, transfer, "
          + "silence, speak")
    }
  }
}

extension Scenario.Event {
  fileprivate var isTransfer: Bool { if case .transfer = action { true } else { false } }

  /// The hosts that it names.
  fileprivate var hosts: [Int] {
    switch action {
    case .crash(let host), .restart(let host), .sleep(let host), .wake(let host), .move(let host), .resetNAT(let host),
      .skew(let host, _), .wall(let host, _), .cut(let host, _), .mend(let host, _):
      [host]
    case .partition(let hosts): hosts
    case .path(let path): [path.sender, path.receiver]
    case .transfer(let from, let to, _): [from, to]
    case .heal, .link, .silence, .speak: []
    }
  }
}
