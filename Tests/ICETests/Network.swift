import MeshICE
import MeshPrimitives
import MeshSimulation

/// What is between a host and the internet: the kinds of `scripts/natlab`, in the model.
enum Access: String, CaseIterable, Sendable {
  case `public`, fullCone, addressRestricted, portRestricted, symmetric, double, blocked, ipv6Only, shortTimeouts

  var isV4: Bool { self != .ipv6Only }
  var isV6: Bool { self == .public || self == .ipv6Only }
}

/// Two agents behind NATs, a server that reflects and relays, and all that is on the way.
final class ICENetwork {
  static let reflector: UInt16 = 3478
  static let relay: UInt16 = 3479

  /// An agent with its host.
  final class Peer {
    let host: NATNetwork.Host
    let addresses: [IPAddress]
    let credentials: ICECredentials
    var box: AgentBox
    var bases: [SocketAddress] = []
    /// Relayed addresses, and the base that each is reached from.
    var relayed: [SocketAddress: SocketAddress] = [:]
    var events: [ICEAgent.Event] = []
    /// Datagrams that were no STUN.
    var data: [[UInt8]] = []
    /// Questions to the server that have no answer yet.
    var unanswered = 0
    /// When it last entered a state.
    var times: [(ICEAgent.State, Instant)] = []
    /// Where checks and the like went, and when.
    var sent: [(destination: SocketAddress, time: Instant, bytes: [UInt8])] = []
    var received: [ICEAgent.Received] = []

    init(host: NATNetwork.Host, addresses: [IPAddress], credentials: ICECredentials, agent: consuming ICEAgent) {
      self.host = host
      self.addresses = addresses
      self.credentials = credentials
      box = AgentBox(agent)
    }

    var state: ICEAgent.State { box.agent.state }
  }

  /// A place for what cannot be copied.
  final class AgentBox {
    var agent: ICEAgent
    init(_ agent: consuming ICEAgent) { self.agent = agent }
  }

  var clock = VirtualClock()
  var network: NATNetwork
  var entropy: SeededEntropy
  private(set) var peers: [Peer] = []
  let server: NATNetwork.Host
  let serverAddresses = [IPAddress("203.0.113.10")!, IPAddress("2001:db8::10")!]
  /// Who is reached at each port of the relay, and whom its client has written to.
  private var allocations: [(client: SocketAddress, port: UInt16, permitted: Set<IPAddress>)] = []
  /// Whether candidates go to the other side as they come.
  var trickles = false
  /// Sees each datagram that an agent sends; `false` swallows it.
  var filter: (Int, SocketAddress, [UInt8]) -> Bool = { _, _, _ in true }

  init(
    _ left: Access, _ right: Access, seed: UInt64 = 1, roles: [ICERole] = [.controlling, .controlled],
    conditions: LinkConditions? = nil, configure: (Int, inout ICEConfiguration) -> Void = { _, _ in }
  ) {
    var links = LinkConditions()
    links.delay = .milliseconds(10)
    let conditions = conditions ?? links
    network = NATNetwork(seed: seed)
    entropy = SeededEntropy(seed: seed)
    server = network.addHost(serverAddresses, conditions: links)
    for (index, access) in [left, right].enumerated() {
      var configuration = ICEConfiguration()
      configure(index, &configuration)
      let credentials = ICECredentials(random: &entropy)
      let agent = ICEAgent(
        role: roles[index], credentials: credentials, configuration: configuration, entropy: entropy.fork())
      let (realm, addresses) = Self.place(access, index, &network)
      let host = network.addHost(addresses, in: realm, conditions: conditions)
      peers.append(Peer(host: host, addresses: addresses, credentials: credentials, agent: agent))
    }
  }

  private static func place(_ access: Access, _ index: Int, _ network: inout NATNetwork) -> (
    NATNetwork.Realm, [IPAddress]
  ) {
    let number = UInt32(index + 1)
    let outside = IPAddress(v4: 0xCB00_7114 + number)
    let inside = IPAddress(v4: 0xC0A8_0064 + number << 8)
    func behind(_ behaviour: NATBehaviour) -> (NATNetwork.Realm, [IPAddress]) {
      (network.addRealm(behind: behaviour, external: [outside]), [inside])
    }
    switch access {
    case .public: return (.internet, [outside, IPAddress(v6High: 0x2001_0DB8_0000_0000, low: UInt64(0x20 + number))])
    case .fullCone: return behind(.fullCone)
    case .addressRestricted: return behind(.addressRestricted)
    case .portRestricted: return behind(.portRestricted)
    case .symmetric: return behind(.symmetric)
    case .shortTimeouts: return behind(.shortTimeouts)
    case .blocked: return behind(.blocked)
    case .double:
      let carrier = network.addRealm(behind: .portRestricted, external: [outside])
      let middle = IPAddress(v4: 0x6440_0064 + number << 8)
      return (network.addRealm(behind: .portRestricted, external: [middle], within: carrier), [inside])
    case .ipv6Only:
      let realm = network.addRealm(behind: nil, firewall: .firewall)
      return (realm, [IPAddress(v6High: 0x2001_0DB8_0001_0000 + UInt64(number), low: 0x100)])
    }
  }

  // MARK: Gathering and signalling

  /// Adds host candidates and asks the server for the others.
  func gather(_ index: Int, relays: Bool = true, port: UInt16 = 50_000, component: UInt16 = 1) {
    let peer = peers[index]
    let preferences = LocalPreference.assign(peer.addresses)
    for (address, preference) in zip(peer.addresses, preferences) {
      let base = SocketAddress(address, port: port)
      peer.bases.append(base)
      let candidate = peer.box.agent.addLocalCandidate(
        .host, address: base, base: base, component: component, localPreference: preference)
      signal(candidate, from: index)
      ask("?", index, base, Self.reflector)
      if relays { ask("A", index, base, Self.relay) }
    }
  }

  private func ask(_ what: String, _ index: Int, _ base: SocketAddress, _ port: UInt16) {
    let address = serverAddresses.first { $0.family == base.address.family }!
    peers[index].unanswered += 1
    send(Array(what.utf8), from: base, of: peers[index].host, to: SocketAddress(address, port: port))
  }

  private func signal(_ candidate: Candidate?, from index: Int) {
    guard trickles, let candidate else { return }
    // As text, as the other side would get it.
    let copy = try! Candidate(parsing: candidate.description)
    _ = try? peers[1 - index].box.agent.addRemoteCandidate(copy, now: clock.now)
  }

  /// Both gather, then exchange everything at once; or, when trickling, as it comes.
  func connect(relays: Bool = true) {
    if trickles { exchangeCredentials() }
    for index in 0...1 { gather(index, relays: relays) }
    run(for: .seconds(1)) { self.peers.allSatisfy { $0.unanswered == 0 } }
    for index in 0...1 { peers[index].box.agent.endOfLocalCandidates(now: clock.now) }
    if !trickles { exchange() }
    for index in 0...1 { peers[index].box.agent.endOfRemoteCandidates(now: clock.now) }
  }

  func exchangeCredentials(of indices: [Int] = [0, 1]) {
    for index in indices {
      let credentials = peers[1 - index].box.agent.credentials
      let isLite = peers[1 - index].box.agent.configuration.isLite
      peers[index].box.agent.setRemote(credentials, isLite: isLite, now: clock.now)
    }
  }

  func exchange() {
    exchangeCredentials()
    for index in 0...1 {
      for candidate in peers[1 - index].box.agent.localCandidates {
        _ = try? peers[index].box.agent.addRemoteCandidate(
          try! Candidate(parsing: candidate.description), now: clock.now)
      }
    }
  }

  // MARK: Running

  /// Runs until `isDone` or for that long. Returns whether it was done.
  @discardableResult
  func run(for duration: Duration, until isDone: () -> Bool = { false }) -> Bool {
    let end = clock.now + duration
    while true {
      drain()
      if isDone() { return true }
      var next = network.deadline
      for peer in peers { next = earliest(next, peer.box.agent.deadline) }
      guard let next, next <= end else {
        clock.advance(to: end)
        for peer in peers { peer.box.agent.handleTimeout(now: clock.now) }
        drain()
        return isDone()
      }
      clock.advance(to: next)
      while let arrival = network.nextArrival(now: clock.now) { receive(arrival) }
      for peer in peers { peer.box.agent.handleTimeout(now: clock.now) }
    }
  }

  func drain() {
    for (index, peer) in peers.enumerated() {
      while let (transmit, bytes) = peer.box.agent.nextTransmit(now: clock.now) {
        peer.sent.append((transmit.destination, clock.now, bytes))
        if filter(index, transmit.destination, bytes) { send(bytes, index, transmit.base, transmit.destination) }
      }
      while let event = peer.box.agent.nextEvent() {
        peer.events.append(event)
        if case .stateChanged(let state) = event { peer.times.append((state, clock.now)) }
      }
    }
  }

  private func send(
    _ bytes: [UInt8], from source: SocketAddress, of host: NATNetwork.Host, to destination: SocketAddress
  ) {
    network.send(bytes.bytes, from: source, of: host, to: destination, now: clock.now)
  }

  /// Sends as the agent's caller does: from a socket, or through the relay.
  func send(_ bytes: [UInt8], _ index: Int, _ base: SocketAddress, _ destination: SocketAddress) {
    let peer = peers[index]
    guard let socket = peer.relayed[base] else {
      send(bytes, from: base, of: peer.host, to: destination)
      return
    }
    let address = serverAddresses.first { $0.family == socket.address.family }!
    let wrapped = Array("S\(base) \(destination)\n".utf8) + bytes
    send(wrapped, from: socket, of: peer.host, to: SocketAddress(address, port: Self.relay))
  }

  /// Sends what is no STUN on the pair of a component.
  func sendData(_ bytes: [UInt8], from index: Int) {
    guard let pair = peers[index].box.agent.pair() else { return }
    send(bytes, index, pair.base, pair.destination)
  }

  private func receive(_ arrival: NATNetwork.Arrival) {
    guard arrival.host != server else { return serve(arrival) }
    let index = peers.firstIndex { $0.host == arrival.host }!
    let peer = peers[index]
    if serverAddresses.contains(arrival.source.address), arrival.source.port < 4000 {
      let (line, rest) = Self.split(arrival.bytes)
      let words = line.dropFirst().split(separator: " ")
      switch line.first {
      case "!":
        peer.unanswered -= 1
        signal(
          peer.box.agent.addLocalCandidate(
            .serverReflexive, address: endpoint(String(words[0])), base: arrival.destination,
            server: arrival.source.address), from: index)
      case "a":
        peer.unanswered -= 1
        for word in words.dropFirst() {
          let relayed = endpoint(String(word))
          guard peer.relayed[relayed] == nil else { continue }
          peer.relayed[relayed] = arrival.destination
          signal(
            peer.box.agent.addLocalCandidate(
              .relayed, address: relayed, base: relayed, server: arrival.source.address,
              related: endpoint(String(words[0]))), from: index)
        }
      case "D":
        deliver(rest, to: peer, from: endpoint(String(words[1])), on: endpoint(String(words[0])))
      default: break
      }
      return
    }
    deliver(arrival.bytes, to: peer, from: arrival.source, on: arrival.destination)
  }

  func deliver(_ bytes: [UInt8], to peer: Peer, from source: SocketAddress, on base: SocketAddress) {
    let received = peer.box.agent.handle(bytes.bytes, from: source, on: base, now: clock.now)
    peer.received.append(received)
    if received == .data { peer.data.append(bytes) }
  }

  private static func split(_ bytes: [UInt8]) -> (String, [UInt8]) {
    let end = bytes.firstIndex(of: 0x0A) ?? bytes.endIndex
    return (String(decoding: bytes[..<end], as: UTF8.self), Array(bytes[min(end + 1, bytes.count)...]))
  }

  // MARK: The server

  private func serve(_ arrival: NATNetwork.Arrival) {
    switch arrival.destination.port {
    case Self.reflector: answer("!\(arrival.source)", to: arrival)
    case Self.relay:
      let (line, rest) = Self.split(arrival.bytes)
      if line == "A" {
        let port = UInt16(49_000 + allocations.count)
        allocations.append((arrival.source, port, []))
        let addresses = serverAddresses.map { "\(SocketAddress($0, port: port))" }
        answer("a\(arrival.source) \(addresses.joined(separator: " "))", to: arrival)
      } else if line.hasPrefix("S") {
        let words = line.dropFirst().split(separator: " ").map { endpoint(String($0)) }
        guard let index = allocations.firstIndex(where: { $0.client == arrival.source && $0.port == words[0].port })
        else { return }
        allocations[index].permitted.insert(words[1].address)
        send(rest, from: words[0], of: server, to: words[1])
      }
    default:
      guard let allocation = allocations.first(where: { $0.port == arrival.destination.port }),
        allocation.permitted.contains(arrival.source.address)
      else { return }
      let address = serverAddresses.first { $0.family == allocation.client.address.family }!
      send(
        Array("D\(arrival.destination) \(arrival.source)\n".utf8) + arrival.bytes,
        from: SocketAddress(address, port: Self.relay), of: server, to: allocation.client)
    }
  }

  private func answer(_ text: String, to arrival: NATNetwork.Arrival) {
    send(Array(text.utf8), from: arrival.destination, of: server, to: arrival.source)
  }
}
