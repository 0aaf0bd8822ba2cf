internal import MeshCrypto
public import MeshPrimitives
internal import MeshRuntime
internal import MeshSTUN

/// Finds out what the network before this machine does to UDP: NAT, its mapping, filtering, hairpinning, and the life of
/// its bindings (RFC 5780, in the words of RFC 4787).
///
/// ```swift
/// let check = NetCheck(servers: [NetCheck.Server("stun.example.org:3478", addresses)])
/// let report = try await check.run()
/// print(report.ipv4?.mapping ?? "not known")
/// ```
///
/// All servers are asked for our address; the first one of each family that has a second address is used for the tests
/// that need one. Takes a few seconds where answers are missing; with ``measuresLifetime`` as long as a binding lives, up
/// to five minutes.
public struct NetCheck: Sendable {
  /// A STUN server: its name, for the report, and its addresses.
  public struct Server: Sendable {
    public var name: String
    public var addresses: [SocketAddress]

    public init(_ name: String, _ addresses: [SocketAddress]) {
      self.name = name
      self.addresses = addresses
    }
  }

  /// A TURN server, and who we are to it.
  public struct TURNServer: Sendable {
    public var name: String
    /// Whose certificate TLS expects: a name, or an address.
    public var host: String
    public var addresses: [SocketAddress]
    public var transports: [TURNTransport]
    public var username: String
    public var password: String
    /// Whether the certificate must lead to an authority that this machine trusts.
    public var isVerifying = true

    public init(
      _ name: String, host: String, _ addresses: [SocketAddress], over transports: [TURNTransport], username: String,
      password: String
    ) {
      self.name = name
      self.host = host
      self.addresses = addresses
      self.transports = transports
      self.username = username
      self.password = password
    }
  }

  public var servers: [Server]
  public var turnServers: [TURNServer] = []
  /// Whether to wait for bindings to expire.
  public var measuresLifetime = false

  /// Three requests within 3.5 s: who asks by hand does not wait for 40 s.
  static let timing = RetransmissionTiming(
    initialTimeout: .milliseconds(400), requests: 3, lastTimeoutFactor: 4)

  public init(servers: [Server]) { self.servers = servers }

  /// Runs all tests.
  /// - Throws: `SocketError` when no socket can be opened; `CancellationError`.
  public func run() async throws -> NetReport {
    let group = try SocketGroup()
    let run = NetCheckRun(group, self)
    let doorbell = group.doorbell
    let (reports, continuation) = AsyncStream.makeStream(of: NetReport.self)
    let worker = try WorkerThread("pnet-netcheck", doorbell, run) { run, stop in
      continuation.yield(run.run(until: stop))
      continuation.finish()
    }
    await worker.finished()
    try Task.checkCancellation()
    for await report in reports { return report }
    return NetReport()
  }
}

/// The tests, one behind the other, on the thread that drives the sockets.
final class NetCheckRun {
  let group: SocketGroup
  private let check: NetCheck
  private var entropy = SystemEntropy()

  init(_ group: SocketGroup, _ check: NetCheck) {
    self.group = group
    self.check = check
  }

  func run(until stop: WorkerThread.Stop) -> NetReport {
    var report = NetReport()
    report.ipv4 = family(.v4, stop)
    report.ipv6 = family(.v6, stop)
    for server in check.turnServers {
      for transport in server.transports where !stop.isRequested {
        report.relays.append(relay(server, over: transport, stop))
      }
    }
    let relaysByUDP = report.relays.filter { $0.transport == TURNTransport.udp.rawValue }
    if !check.servers.isEmpty || !relaysByUDP.isEmpty {
      report.udp =
        report.ipv4?.works == true || report.ipv6?.works == true || relaysByUDP.contains { $0.problem == nil }
    }
    return report
  }

  /// - Returns: `nil` when no server has an address of the family.
  private func family(_ family: IPAddress.Family, _ stop: WorkerThread.Stop) -> NetReport.Family? {
    let servers = check.servers.compactMap { server in
      server.addresses.first { $0.address.family == family }.map { (name: server.name, address: $0) }
    }
    guard let first = servers.first else { return nil }
    var result = NetReport.Family()
    guard let local = LocalAddress.toward(first.address) else {
      result.views = servers.map { view($0, problem: "no route leads there") }
      return result
    }
    result.localAddress = local.description
    let other = views(of: servers, local, &result, stop)
    guard result.works, !stop.isRequested else { return result }
    let answering = servers.first { server in
      result.views.contains { $0.serverAddress == server.address.description && $0.mappedAddress != nil }
    }
    guard let server = other ?? answering?.address else { return result }
    behavior(server, local, &result, stop)
    if check.measuresLifetime, !stop.isRequested { result.lifetime = lifetime(server, local, stop) }
    return result
  }

  private func view(_ server: (name: String, address: SocketAddress), problem: String) -> NetReport.View {
    NetReport.View(server: server.name, serverAddress: server.address.description, problem: problem)
  }

  // MARK: - What each server sees

  /// Asks all servers at once, from one socket. - Returns: the first server that has another address.
  private func views(
    of servers: [(name: String, address: SocketAddress)], _ local: IPAddress, _ result: inout NetReport.Family,
    _ stop: WorkerThread.Stop
  ) -> SocketAddress? {
    guard let socket = try? group.open(address: local) else {
      result.views = servers.map { view($0, problem: "no socket can be opened on \(local)") }
      return nil
    }
    defer { group.close(socket) }
    let start = MonotonicClock.now
    var clients = servers.map { BindingClient(to: $0.address, timing: NetCheck.timing, entropy: entropy, now: start) }
    var outcomes = [BindingClient.Event?](repeating: nil, count: servers.count)
    drive(stop) { now in
      for index in clients.indices {
        clients[index].handleTimeout(now: now)
        send(clients[index].messageSize, from: socket) { clients[index].nextTransmit(into: &$0, now: now) }
        if let event = clients[index].nextEvent() { outcomes[index] = event }
      }
      guard outcomes.contains(where: { $0 == nil }) else { return .done }
      return .waiting(clients.indices.reduce(nil) { outcomes[$1] == nil ? earliest($0, clients[$1].deadline) : $0 })
    } receive: { _, message, datagram, now in
      for index in clients.indices { clients[index].handle(datagram.bytes, from: message.source, now: now) }
    }

    let own = SocketAddress(local, port: group.local(socket).port)
    var mapped: [SocketAddress] = []
    var other: SocketAddress?
    for (server, outcome) in zip(servers, outcomes) {
      switch outcome {
      case .mapped(let mapping)?:
        mapped.append(mapping.address)
        if other == nil, mapping.otherAddress != nil { other = server.address }
        result.views.append(
          NetReport.View(
            server: server.name, serverAddress: server.address.description, mappedAddress: mapping.address.description,
            roundTripMilliseconds: mapping.roundTrip.map { Double($0.wholeNanoseconds) / 1e6 }))
      case .failed(let failure)?: result.views.append(view(server, problem: Self.words(failure)))
      case nil: result.views.append(view(server, problem: "interrupted"))
      }
    }
    if let first = mapped.first {
      result.isTranslated = first != own
      if first != own { result.preservesPort = first.port == own.port }
      // Several servers at several addresses tell as much as one with two of them; agreement may be by chance.
      if Set(mapped).count > 1 { result.mapping = "address-dependent or address-and-port-dependent" }
    }
    return other
  }

  private static func words(_ failure: BindingClient.Failure) -> String {
    switch failure {
    case .timedOut: "no answer"
    case .integrityCheckViolated: "only forged answers"
    case .rejected(let code): "the server answers with error \(code.rawValue)"
    case .refused: "the server wants credentials"
    case .unknownAttributes: "the answer asks for what is not understood"
    case .malformed: "the answer is malformed"
    case .badRedirection: "the server redirects in circles"
    }
  }

  // MARK: - Behaviour

  private func behavior(
    _ server: SocketAddress, _ local: IPAddress, _ result: inout NetReport.Family, _ stop: WorkerThread.Stop
  ) {
    // A fresh socket: its filter knows nobody yet.
    guard let socket = try? group.open(address: local) else { return }
    defer { group.close(socket) }
    var discovery = BehaviorDiscovery(
      to: server, local: SocketAddress(local, port: group.local(socket).port), timing: NetCheck.timing,
      entropy: entropy, now: MonotonicClock.now)
    var found: BehaviorReport?
    drive(stop) { now in
      discovery.handleTimeout(now: now)
      send(BehaviorDiscovery.maximumSize, from: socket) { discovery.nextTransmit(into: &$0, now: now) }
      found = discovery.nextReport()
      return found == nil ? .waiting(discovery.deadline) : .done
    } receive: { _, message, datagram, now in
      discovery.handle(datagram.bytes, from: message.source, now: now)
    }
    guard let found else { return }
    switch found.mapping {
    case .endpointIndependent?: result.mapping = "endpoint-independent"
    case .addressDependent?: result.mapping = "address-dependent"
    case .addressAndPortDependent?: result.mapping = "address-and-port-dependent"
    case nil: break
    }
    switch found.filtering {
    case .endpointIndependent?: result.filtering = "endpoint-independent"
    case .addressDependent?: result.filtering = "address-dependent"
    case .addressAndPortDependent?: result.filtering = "address-and-port-dependent"
    case nil: break
    }
    result.hairpins = found.hairpinning
  }

  private func lifetime(
    _ server: SocketAddress, _ local: IPAddress, _ stop: WorkerThread.Stop
  ) -> NetReport.Lifetime? {
    var discovery = BindingLifetimeDiscovery(
      to: server, waits: BindingLifetimeDiscovery.usualWaits, entropy: entropy, now: MonotonicClock.now)
    var sockets: [Int] = []
    defer { for socket in sockets { group.close(socket) } }
    for _ in 0..<discovery.socketCount {
      guard let socket = try? group.open(address: local) else { return nil }
      sockets.append(socket)
    }
    var found: BindingLifetimeDiscovery.Report?
    drive(stop) { now in
      discovery.handleTimeout(now: now)
      while true {
        var transmit: BindingLifetimeDiscovery.Transmit?
        let bytes = [UInt8](capacity: BindingLifetimeDiscovery.maximumSize) {
          transmit = discovery.nextTransmit(into: &$0, now: now)
        }
        guard let transmit else { break }
        group.send(bytes.bytes, from: sockets[transmit.socket], to: transmit.destination)
      }
      found = discovery.nextReport()
      return found == nil ? .waiting(discovery.deadline) : .done
    } receive: { number, message, datagram, now in
      guard let index = sockets.firstIndex(of: number) else { return }
      discovery.handle(datagram.bytes, from: message.source, on: index, now: now)
    }
    return found.map { report in
      func seconds(_ duration: Duration?) -> Double? { duration.map { Double($0.wholeNanoseconds) / 1e9 } }
      return NetReport.Lifetime(
        atLeastSeconds: seconds(report.alive), lessThanSeconds: seconds(report.expired),
        isConclusive: report.isConclusive)
    }
  }

  // MARK: - The loop

  enum Step {
    case done
    case waiting(Instant?)
  }

  /// Lets `step` do what is due, until it is done or the thread is told to stop.
  func drive(
    _ stop: WorkerThread.Stop, step: (Instant) -> Step,
    receive: (Int, ReceivedMessage, borrowing MutableRawSpan, Instant) -> Void,
    other: (Poller.Event, Instant) -> Void = { _, _ in }
  ) {
    while !stop.isRequested, case .waiting(let deadline) = step(MonotonicClock.now) {
      group.wait(until: deadline)
      let now = MonotonicClock.now
      group.receive { number, message, datagram in receive(number, message, datagram, now) }
      group.others { other($0, now) }
    }
  }

  /// Sends all that `next` writes.
  private func send(_ size: Int, from socket: Int, _ next: (inout OutputRawSpan) -> SocketAddress?) {
    while true {
      var destination: SocketAddress?
      let bytes = [UInt8](capacity: size) { destination = next(&$0) }
      guard let destination else { return }
      group.send(bytes.bytes, from: socket, to: destination)
    }
  }
}
