internal import MeshCrypto
internal import MeshNode
public import MeshPrimitives
internal import MeshSession
internal import MeshSimulation

/// Thousands of real nodes under one virtual clock: a ``Scenario`` that runs.
///
/// ```swift
/// var scenario = Scenario()
/// scenario.topology = Topology(.random, nodes: 100)
/// scenario.messages = .init()
/// let network = SimulatedNetwork(scenario)
/// network.run()
/// print(network.report.messages.delivered, network.fingerprint.text)
/// if let violation = network.violation { print(violation) }
/// ```
///
/// Each node is a `Node` as the runtime drives it, with real keys and real packets. Datagrams pass NATs and links; what the
/// applications on the nodes send is checked byte for byte where it comes out. Nothing but the scenario and its seed decides
/// what happens: no clock, no order of a `Dictionary`, no randomness of the process. ``fingerprint`` is the proof: it is made of
/// all packets and events with their times.
///
/// Two things wait for time: links, for the arrival of packets, and hosts, for deadlines of nodes and applications. Each has an
/// indexed heap, so that a step costs O(log n); at one instant, what the scenario says goes first, then arrivals, then
/// deadlines, each in the order of their numbers.
public final class SimulatedNetwork {
  /// What is played.
  public let scenario: Scenario
  /// The true time. The run began a day after the origin.
  public private(set) var now: Instant
  /// When the run began, in true time.
  public let start: Instant
  /// The first thing that went wrong; then the run stands still.
  public internal(set) var violation: Violation?
  /// Of all packets and events so far.
  public internal(set) var fingerprint: Fingerprint
  /// Called with all packets and events, as they happen.
  public var observer: ((TraceEntry) -> Void)?

  var hosts: [SimulatedHost] = []
  var internet = Internet()
  var routes: [Internet.Route] = []
  /// Hosts that were told of a datagram that was too long, and have not had a turn since.
  var reported: [SimulatedHost] = []
  var routeNumbers: [Internet.Route: UInt32] = [:]
  var links = LinkTable()
  var linkWakes = DeadlineQueue()
  var hostWakes = DeadlineQueue()
  /// By time; equal times in the order of the scenario.
  var events: [Scenario.Event]
  var nextEvent = 0
  var carrier = -1
  var flows: [Flow] = []
  /// Flows that are not over.
  var openFlows: [Int] = []
  /// All messages and datagrams that were sent.
  var letters: [Letter] = []
  let content = FlowContent()
  var isSilent = false
  var counts = Counts()
  var series: [Series] = []
  var attacker: Attacker?
  /// What the paths from and to second addresses do, by host.
  var secondConditions: [Int: LinkConditions] = [:]
  /// When hosts were last parted, or joined again.
  var disturbedAt = Instant(nanoseconds: .min)
  var memory = TraceMemory()
  let provider: CipherProvider
  let transmit = TransmitBuffer()
  var scratch = [UInt8](repeating: 0, count: 65_536)
  private var checkAt: Instant
  var sampleAt: Instant

  /// Makes all hosts, before anything has moved.
  public init(_ scenario: Scenario) {
    self.scenario = scenario
    now = VirtualClock().now
    start = now
    fingerprint = Fingerprint(seed: scenario.seed)
    provider = CipherProvider(preferring: .libsodium)
    checkAt = now + .seconds(1)
    sampleAt = now
    let order = scenario.events.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }
    events = order.map { $0.element }
    if scenario.hasAttacker { attacker = Attacker(seed: derivedSeed(scenario.seed, 9)) }
    links.seed = derivedSeed(scenario.seed, 3)
    links.conditions = scenario.conditions
    for access in scenario.accesses { links.setAccess(access) }
    for path in scenario.paths { links.set(path.conditions, from: path.sender, to: path.receiver) }
    build()
  }

  /// Runs the scenario to its end, or up to the first violation.
  public func run() { run(until: start + scenario.duration) }

  /// Runs up to an instant, or up to the first violation.
  public func run(until end: Instant) {
    while violation == nil {
      var next = min(checkAt, sampleAt)
      if nextEvent < events.count { next = min(next, start + events[nextEvent].time) }
      if let arrival = linkWakes.earliest { next = min(next, arrival) }
      if let wake = hostWakes.earliest { next = min(next, wake) }
      guard next <= end else { break }
      now = max(now, next)
      step()
    }
    if violation == nil { now = max(now, end) }
    if violation == nil, now >= start + scenario.duration { checkEnd() }
  }

  private func step() {
    if nextEvent < events.count, start + events[nextEvent].time <= now {
      nextEvent += 1
      perform(events[nextEvent - 1].action)
    } else if let link = linkWakes.popDue(at: now) {
      arrive(Int(link))
    } else if let host = hostWakes.popDue(at: now) {
      wake(hosts[Int(host)])
    } else if sampleAt <= now {
      sample()
    } else if checkAt <= now {
      checkAt = now + .seconds(1)
      check()
    }
  }

  // MARK: - Hosts

  private func build() {
    let count = scenario.topology.nodes
    var homes = [Int](repeating: -1, count: count)
    for (index, home) in scenario.homes.enumerated() where home.host < count { homes[home.host] = index }
    if scenario.homes.contains(where: { $0.isBehindCarrier }) {
      carrier = internet.addRealm(
        .portRestricted, external: IPAddress(v4: 0xCB00_7101), within: 0, seed: derivedSeed(scenario.seed, 4, 0))
    }
    hosts.reserveCapacity(count)
    for index in 0..<count {
      let home = homes[index] < 0 ? nil : scenario.homes[homes[index]]
      var realm = 0
      var address = Self.address(of: index, move: 0)
      if let home {
        let external = home.isBehindCarrier ? IPAddress(v4: 0x6440_0000 + UInt32(index)) : address
        realm = internet.addRealm(
          home.behaviour, external: external, within: home.isBehindCarrier ? carrier : 0,
          seed: derivedSeed(scenario.seed, 4, UInt64(index) + 1))
        address = IPAddress(v4: 0xC0A8_0002)
      }
      internet.place(index, at: address, in: realm)
      let clock = HostClock(base: start.nanoseconds + Int64(index % 1000) * 1_000_003, since: start)
      let keySeed = derivedSeed(scenario.seed, 1, UInt64(index))
      let host = SimulatedHost(
        index: index, keySeed: keySeed, node: makeNode(keySeed: keySeed, incarnation: 0, clock: clock), clock: clock,
        address: SocketAddress(address, port: 2552), realm: realm)
      hosts.append(host)
    }
    buildSecondWays()
    var random = SeededEntropy(seed: derivedSeed(scenario.seed, 5))
    for (left, right) in scenario.topology.edges(seed: derivedSeed(scenario.seed, 2)) {
      // Two that nobody reaches do not find each other.
      guard !(hosts[left].isBehindNAT && hosts[right].isBehindNAT) else { continue }
      // Whoever is reached from everywhere is dialled; between two such, the smaller number dials.
      let leftDials = !hosts[right].isBehindNAT || hosts[left].isBehindNAT
      hosts[left].conversations.append(Conversation(other: right, dials: leftDials))
      hosts[right].conversations.append(Conversation(other: left, dials: !leftDials))
    }
    for host in hosts {
      listPeers(of: host)
      if let messages = scenario.messages, !host.conversations.isEmpty {
        host.nextMessage = now + .nanoseconds(random.upTo(messages.interval.wholeNanoseconds)) + .seconds(1)
      }
      for index in host.conversations.indices where scenario.connects && host.conversations[index].dials {
        host.conversations[index].dialAt = now + .nanoseconds(random.upTo(1_000_000_000))
      }
      updateDue(host)
      schedule(host)
    }
  }

  /// The address of a host outside, which changes when it moves.
  static func address(of host: Int, move: Int) -> IPAddress {
    IPAddress(v4: 0x0B00_0000 + UInt32(host) << 4 + UInt32(move & 15))
  }

  func makeNode(keySeed: UInt64, incarnation: UInt64, clock: HostClock, lastTimestamp: TAI64N = .zero) -> Node {
    var entropy = SeededEntropy(seed: keySeed)
    guard let key = try? PrivateKey(generating: &entropy) else {
      preconditionFailure("no locked memory for a key: raise the limit of mappings (vm.max_map_count)")
    }
    var configuration = Node.Configuration()
    configuration.connection.congestion = scenario.congestion
    configuration.device.lastTimestamp = lastTimestamp
    var node = Node(
      privateKey: key, configuration: configuration,
      entropy: SeededEntropy(seed: derivedSeed(keySeed, 6, incarnation)), provider: provider, now: clock.local(now))
    node.setService("m", access: .peers)
    node.setService("t", access: .peers)
    return node
  }

  /// Lists all neighbours of a host anew, with the endpoints that they have now.
  func listPeers(of host: SimulatedHost) {
    host.conversationBySlot.removeAll()
    for index in host.conversations.indices { listPeer(index, of: host) }
  }

  func listPeer(_ index: Int, of host: SimulatedHost) {
    let other = hosts[host.conversations[index].other]
    let local = host.clock.local(now)
    if let known = host.conversations[index].peer { host.node.removePeer(known, now: local) }
    let id = try? host.node.addPeer(
      PeerConfiguration(
        publicKey: other.publicKey,
        endpoint: other.isBehindNAT
          ? nil : endpoint(of: other, for: host, failures: host.conversations[index].failures),
        persistentKeepalive: host.isBehindNAT ? scenario.keepalive : nil),
      now: local)
    host.conversations[index].peer = id
    guard let id else { return }
    while host.conversationBySlot.count <= Int(id.slot) { host.conversationBySlot.append(-1) }
    host.conversationBySlot[Int(id.slot)] = index
  }

  /// Puts the host to sleep until something is due.
  func schedule(_ host: SimulatedHost) {
    guard host.state == .up else { return hostWakes.cancel(UInt32(host.index)) }
    var due = min(host.applicationDue, host.nextMessage)
    if let deadline = host.node.deadline { due = min(due, host.clock.real(deadline)) }
    if due == .distantFuture {
      hostWakes.cancel(UInt32(host.index))
    } else {
      hostWakes.schedule(UInt32(host.index), at: max(due, now))
    }
  }

  private func wake(_ host: SimulatedHost) {
    if host.wokenAt == now {
      host.wakes += 1
      if host.wakes > 1000 {
        let deadline = host.node.deadline.map { "\($0.nanoseconds - host.clock.local(now).nanoseconds)" } ?? "none"
        return fail(
          .spinning, host: host.index, "woken up 1,000 times at one instant; its deadline is \(deadline) ns away")
      }
    } else {
      host.wokenAt = now
      host.wakes = 0
    }
    counts.wakes &+= 1
    let local = host.clock.local(now)
    if let deadline = host.node.deadline, deadline <= local { host.node.handleTimeout(now: local) }
    if min(host.applicationDue, host.nextMessage) <= now { runApplication(of: host) }
    settle(host)
  }

  /// Bursts of one turn beyond which there is no end to be expected: gigabytes.
  private static let mostBursts = 50_000

  /// Drains a node after an input, until it has nothing more to say.
  func settle(_ host: SimulatedHost) {
    let local = host.clock.local(now)
    var bursts = 0
    while violation == nil {
      var moved = false
      while host.node.serveHandshake(now: local) { moved = true }
      while let event = host.node.nextEvent() {
        moved = true
        take(event, at: host)
      }
      if let burst = transmit.fill(from: &host.node, now: local, wall: host.clock.wall(now)) {
        moved = true
        bursts += 1
        guard bursts < Self.mostBursts else {
          return fail(.spinning, host: host.index, "\(bursts) bursts at one instant, and no end")
        }
        send(burst, of: host)
      }
      // Sending works off what came in, and that can make events.
      if !moved, !host.node.hasEvents { break }
    }
    schedule(host)
  }
}
