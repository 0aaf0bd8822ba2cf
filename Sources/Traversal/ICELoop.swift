internal import MeshCrypto
internal import MeshICE
internal import MeshPrimitives
internal import MeshRuntime
internal import MeshSTUN
internal import MeshTURN

/// The loop of an ``ICESession``: what its thread owns.
final class ICELoop {
  /// A question to a STUN server, from the socket of a host candidate.
  private struct Question {
    let socket: Int
    var client: BindingClient
    var isOpen = true
  }

  private let group: SocketGroup
  private let configuration: ICESession.Configuration
  private var agent: ICEAgent
  /// The base of each socket, by its number in the group.
  private var bases: [Int: SocketAddress] = [:]
  private var preferences: [IPAddress: UInt16] = [:]
  private var questions: [Question] = []
  private var relays: [TURNConnection] = []
  /// Relayed addresses, of each family one at the most, by the place of their relay.
  private var relayed: [[SocketAddress]] = []
  private var waitingForRelays = 0
  private var selected: CandidatePair?
  private var heard: [UInt8]?

  init(_ group: SocketGroup, _ configuration: ICESession.Configuration) {
    self.group = group
    self.configuration = configuration
    var entropy = SystemEntropy()
    agent = ICEAgent(
      role: configuration.role, credentials: ICECredentials(random: &entropy), entropy: SystemEntropy())
  }

  func run(until stop: WorkerThread.Stop, _ remote: ICESession.RemoteBox, tell: (ICESession.Event) -> Void) {
    gather(stop)
    guard !stop.isRequested else { return }
    agent.endOfLocalCandidates(now: MonotonicClock.now)
    tell(
      .gathered(
        ICESession.Description(
          impl: "pnet", ufrag: agent.credentials.ufrag, pwd: agent.credentials.password,
          candidates: agent.localCandidates.map(\.description))))
    // Checks of a peer that is quicker come already: the agent keeps them.
    var theirs: ICESession.Description?
    drive(stop, until: nil) {
      theirs = remote.take()
      return theirs != nil
    }
    guard let theirs, !stop.isRequested else { return }
    connect(theirs, stop, tell)
    for relay in relays {
      relay.free(now: MonotonicClock.now)
      relay.step(now: MonotonicClock.now)
    }
    group.flush()
  }

  // MARK: - Gathering

  private func gather(_ stop: WorkerThread.Stop) {
    let addresses = LocalAddress.all().filter { configuration.families.contains($0.family) }
    let now = MonotonicClock.now
    for (address, preference) in zip(addresses, LocalPreference.assign(addresses)) {
      guard let socket = try? group.open(address: address) else { continue }
      let base = group.local(socket)
      bases[socket] = base
      preferences[address] = preference
      if !configuration.isRelayOnly {
        agent.addLocalCandidate(.host, address: base, base: base, localPreference: preference)
        for server in configuration.stunServers where server.address.family == address.family {
          questions.append(
            Question(
              socket: socket,
              client: BindingClient(to: server, timing: NetCheck.timing, entropy: SystemEntropy(), now: now)))
        }
      }
    }
    for server in configuration.turnServers {
      guard let route = LocalAddress.toward(server),
        let socket = bases.keys.sorted().first(where: { bases[$0]?.address == route })
          ?? bases.keys.sorted().first(where: { bases[$0]?.address.family == server.address.family })
      else { continue }
      var settings = TURNClient.Configuration(
        server: server, username: configuration.username, password: configuration.password)
      settings.timing = NetCheck.timing
      // A relay of both families leads from IPv4 to IPv6.
      settings.families = .both
      guard
        let relay = try? TURNConnection(
          group, settings, over: .udp, socket: socket, token: 0, host: "", isVerifying: false, now: now)
      else { continue }
      relays.append(relay)
      relayed.append([])
      waitingForRelays += 1
    }
    drive(stop, until: now + .seconds(6)) {
      !questions.contains { $0.isOpen } && waitingForRelays == 0
    }
  }

  private func preference(_ address: IPAddress) -> UInt16 { preferences[address] ?? .max }

  // MARK: - Connecting

  private func connect(
    _ theirs: ICESession.Description, _ stop: WorkerThread.Stop, _ tell: (ICESession.Event) -> Void
  ) {
    let start = MonotonicClock.now
    let limit = start + configuration.limit
    guard let credentials = ICECredentials(ufrag: theirs.ufrag, password: theirs.pwd) else { return tell(.failed) }
    agent.setRemote(credentials, now: start)
    for line in theirs.candidates {
      guard let candidate = try? Candidate(parsing: line),
        (try? agent.addRemoteCandidate(candidate, now: start)) == true
      else { continue }
      // Permissions take a round trip: they are asked for before the first check needs them.
      let family = candidate.address.address.family
      for (relay, addresses) in zip(relays, relayed) where addresses.contains(where: { $0.address.family == family }) {
        relay.permit(candidate.address.address, now: start)
      }
    }
    agent.endOfRemoteCandidates(now: start)
    drive(stop, until: limit) { selected != nil || agent.state == .failed }
    guard let pair = selected else { return tell(.failed) }
    tell(
      .connected(
        local: "\(pair.local.kind)", remote: "\(pair.remote.kind)", pair: "\(pair.base)>\(pair.destination)"))
    exchange(limit, stop, tell)
  }

  /// Sends small datagrams until one is heard, and some more, for the other side to hear.
  private func exchange(_ limit: Instant, _ stop: WorkerThread.Stop, _ tell: (ICESession.Event) -> Void) {
    var number = 0
    var extra = 8
    var isTold = false
    while !stop.isRequested, extra > 0, MonotonicClock.now < limit {
      let now = MonotonicClock.now
      if let pair = selected {
        number += 1
        send(Array("pnet \(number)".utf8).bytes, from: pair.base, to: pair.destination, now)
      }
      drive(stop, until: now + .milliseconds(150)) { !isTold && heard != nil }
      guard let heard else { continue }
      if !isTold { tell(.data(heard)) }
      isTold = true
      extra -= 1
    }
    if heard == nil { tell(.noData) }
  }

  // MARK: - The loop

  /// Does what is due until `isDone` says so, the time has come, or the thread is told to stop.
  private func drive(_ stop: WorkerThread.Stop, until limit: Instant?, _ isDone: () -> Bool) {
    while !stop.isRequested {
      let now = MonotonicClock.now
      step(now)
      if isDone() { return }
      if let limit, limit <= now { return }
      var deadline = earliest(limit, agent.deadline)
      for question in questions where question.isOpen { deadline = earliest(deadline, question.client.deadline) }
      for relay in relays { deadline = earliest(deadline, relay.deadline) }
      group.wait(until: deadline)
      receive(MonotonicClock.now)
    }
  }

  private func receive(_ now: Instant) {
    group.receive { number, message, datagram in
      guard let base = bases[number] else { return }
      let bytes = datagram.bytes
      for relay in relays where relay.handle(bytes, from: message.source, on: number, now: now) { return }
      for index in questions.indices where questions[index].isOpen && questions[index].socket == number {
        questions[index].client.handle(bytes, from: message.source, now: now)
      }
      take(bytes, message.source, base, now)
    }
  }

  private func take(_ bytes: RawSpan, _ source: SocketAddress, _ base: SocketAddress, _ now: Instant) {
    guard case .data = agent.handle(bytes, from: source, on: base, now: now), bytes.byteCount <= 1500,
      agent.validPairs.contains(where: { $0.destination == source })
    else { return }
    if heard == nil { heard = [UInt8](copying: bytes) }
    agent.confirmConsent(base: base, source: source, now: now)
  }

  private func step(_ now: Instant) {
    for index in questions.indices where questions[index].isOpen { ask(index, now) }
    for index in relays.indices { attend(index, now) }
    if let deadline = agent.deadline, deadline <= now { agent.handleTimeout(now: now) }
    while let (transmit, bytes) = agent.nextTransmit(now: now) {
      send(bytes.bytes, from: transmit.base, to: transmit.destination, now)
    }
    while let event = agent.nextEvent() {
      if case .selected(let pair) = event { selected = pair }
    }
  }

  private func ask(_ index: Int, _ now: Instant) {
    questions[index].client.handleTimeout(now: now)
    let socket = questions[index].socket
    while true {
      var destination: SocketAddress?
      let bytes = [UInt8](capacity: questions[index].client.messageSize) {
        destination = questions[index].client.nextTransmit(into: &$0, now: now)
      }
      guard let destination else { break }
      group.send(bytes.bytes, from: socket, to: destination)
    }
    guard let event = questions[index].client.nextEvent() else { return }
    questions[index].isOpen = false
    if case .mapped(let mapping) = event, let base = bases[socket] {
      agent.addLocalCandidate(
        .serverReflexive, address: mapping.address, base: base, localPreference: preference(base.address),
        server: mapping.server.address)
    }
  }

  private func attend(_ index: Int, _ now: Instant) {
    let relay = relays[index]
    relay.step(now: now)
    while let event = relay.nextEvent() {
      switch event {
      case .allocated(let granted):
        waitingForRelays -= 1
        relayed[index] = granted.addresses
        for address in granted.addresses {
          agent.addLocalCandidate(
            .relayed, address: address, base: address, server: granted.server.address, related: granted.mappedAddress)
        }
      case .failed: if relayed[index].isEmpty { waitingForRelays -= 1 }
      case .permitted, .channelBound, .refusedPeer, .freed, .unreachable: break
      }
    }
    while let (bytes, peer) = relay.nextData() {
      let family = peer.address.family
      guard let base = relayed[index].first(where: { $0.address.family == family }) else { continue }
      take(bytes.bytes, peer, base, now)
    }
  }

  /// Sends from a socket, or through the relay whose address `base` is.
  private func send(_ bytes: RawSpan, from base: SocketAddress, to destination: SocketAddress, _ now: Instant) {
    if let socket = bases.first(where: { $0.value == base })?.key {
      group.send(bytes, from: socket, to: destination)
    } else if let index = relayed.firstIndex(where: { $0.contains(base) }) {
      relays[index].permit(destination.address, now: now)
      relays[index].send(bytes, to: destination, now: now)
    }
  }
}
