import MeshPrimitives
import MeshSTUN
import MeshSimulation
import Testing

@Suite("Behaviour discovery") struct DiscoveryTests {
  static let kinds: [UInt8] = [0, 1, 2]
  static let inside = address("10.0.0.2:5000")

  private static func server(_ addresses: [SocketAddress] = ServerTests.addresses) -> BindingServer {
    var configuration = BindingServer.Configuration()
    configuration.addresses = addresses
    configuration.requestsPerSecond = 1000
    configuration.burst = 1000
    var entropy = SeededEntropy(seed: 4)
    return BindingServer(configuration, entropy: &entropy)
  }

  /// Drives a discovery through `nat` (or without one) until its report.
  private static func run(
    _ nat: NATBox?, _ server: BindingServer, isReachable: Bool = true, loseEvery: Int? = nil
  ) -> BehaviorReport? {
    var (nat, server) = (nat, server)
    var now = TransactionTests.start
    var packets = 0
    var discovery = BehaviorDiscovery(
      to: ServerTests.addresses[0], local: inside, entropy: SeededEntropy(seed: 6), now: now)
    for _ in 0..<500 {
      if let report = discovery.nextReport() { return report }
      guard let deadline = discovery.deadline else { return nil }
      now = max(now, deadline)
      discovery.handleTimeout(now: now)
      while true {
        var destination: SocketAddress?
        let bytes = [UInt8](capacity: 256) { destination = discovery.nextTransmit(into: &$0, now: now) }
        guard let destination else { break }
        packets += 1
        let source = nat?.send(from: inside, to: destination, now: now) ?? inside
        if let loseEvery, packets % loseEvery == 0 { continue }
        if let box = nat, destination.address == box.outside {
          if box.hairpins, box.receive(from: source, to: destination, now: now) == inside {
            discovery.handle(bytes.bytes, from: source, now: now)
          }
          continue
        }
        let sockets = server.configuration.addresses
        guard isReachable else { continue }
        guard let socket = sockets.isEmpty ? 0 : sockets.firstIndex(of: destination) else { continue }
        var reply: BindingServer.Reply?
        let answer = [UInt8](capacity: 1500) {
          reply = server.respond(to: bytes.bytes, from: source, on: socket, now: now, into: &$0)
        }
        guard let reply else { continue }
        let origin = sockets.isEmpty ? ServerTests.addresses[0] : sockets[reply.socket]
        if let box = nat, box.receive(from: origin, to: reply.destination, now: now) != inside { continue }
        discovery.handle(answer.bytes, from: origin, now: now)
      }
    }
    return nil
  }

  @Test(arguments: kinds, kinds) func `every mapping with every filtering is told apart`(_ map: UInt8, _ filter: UInt8)
  {
    for hairpins in [false, true] {
      var nat = NATBox()
      nat.mapping = MappingBehavior(rawValue: map)!
      nat.filtering = FilteringBehavior(rawValue: filter)!
      nat.hairpins = hairpins
      let report = Self.run(nat, Self.server())
      #expect(report?.mapping == nat.mapping)
      #expect(report?.filtering == nat.filtering)
      #expect(report?.isTranslated == true)
      #expect(report?.mappedAddress == address("203.0.113.9:40000"))
      // A symmetric NAT gives packets to its own address another mapping, which the filter may not know.
      if map == 0 { #expect(report?.hairpinning == hairpins) }
    }
  }

  @Test func `without a NAT nothing is translated`() {
    let report = Self.run(nil, Self.server())
    #expect(report?.isTranslated == false)
    #expect(report?.mapping == .endpointIndependent)
    #expect(report?.filtering == .endpointIndependent)
    #expect(report?.mappedAddress == Self.inside)
  }

  @Test func `a lost packet in three changes no answer`() {
    for (map, filter) in [(UInt8(0), UInt8(2)), (2, 2), (1, 0)] {
      var nat = NATBox()
      nat.mapping = MappingBehavior(rawValue: map)!
      nat.filtering = FilteringBehavior(rawValue: filter)!
      let report = Self.run(nat, Self.server(), loseEvery: 3)
      #expect(report?.mapping == nat.mapping)
      #expect(report?.filtering == nat.filtering)
    }
  }

  @Test func `no answer at all is reported as such`() {
    let report = Self.run(NATBox(), Self.server(), isReachable: false)
    #expect(report == BehaviorReport())
  }

  @Test func `a server with one address leaves mapping and filtering unknown`() {
    let report = Self.run(NATBox(), Self.server([]))
    #expect(report?.mappedAddress == address("203.0.113.9:40000"))
    #expect(report?.mapping == nil)
    #expect(report?.filtering == nil)
    #expect(report?.otherAddress == nil)
  }

  // MARK: Lifetime

  private static func lifetime(
    _ nat: NATBox, _ server: BindingServer
  ) -> (report: BindingLifetimeDiscovery.Report?, took: Duration) {
    var (nat, server) = (nat, server)
    let start = TransactionTests.start
    var now = start
    var discovery = BindingLifetimeDiscovery(
      to: ServerTests.addresses[0], waits: BindingLifetimeDiscovery.usualWaits, entropy: SeededEntropy(seed: 2),
      now: now)
    func inside(_ socket: Int) -> SocketAddress { SocketAddress(Self.inside.address, port: UInt16(5000 + socket)) }
    for _ in 0..<2000 {
      if let report = discovery.nextReport() { return (report, now - start) }
      guard let deadline = discovery.deadline else { break }
      now = max(now, deadline)
      discovery.handleTimeout(now: now)
      while true {
        var transmit: BindingLifetimeDiscovery.Transmit?
        let bytes = [UInt8](capacity: 256) { transmit = discovery.nextTransmit(into: &$0, now: now) }
        guard let transmit else { break }
        let source = nat.send(from: inside(transmit.socket), to: transmit.destination, now: now)
        var reply: BindingServer.Reply?
        let answer = [UInt8](capacity: 1500) {
          reply = server.respond(to: bytes.bytes, from: source, now: now, into: &$0)
        }
        guard let reply,
          let target = nat.receive(from: ServerTests.addresses[0], to: reply.destination, now: now)
        else { continue }
        discovery.handle(answer.bytes, from: ServerTests.addresses[0], on: Int(target.port) - 5000, now: now)
      }
    }
    return (nil, now - start)
  }

  static let lifetimes: [(Int, Int?, Int?)] = [
    (12, 10, 15), (33, 30, 40), (120, 90, 120), (9, nil, 10), (900, 300, nil),
  ]
  @Test(arguments: lifetimes) func `the lifetime of a binding is found between two times`(
    _ seconds: Int, _ alive: Int?, _ expired: Int?
  ) {
    var nat = NATBox()
    nat.lifetime = .seconds(seconds)
    let (report, took) = Self.lifetime(nat, Self.server())
    #expect(report?.isConclusive == true)
    #expect(report?.alive == alive.map { .seconds($0) })
    #expect(report?.expired == expired.map { .seconds($0) })
    #expect(took <= .seconds(min(seconds, 300) + 45))
  }

  @Test func `a server without RESPONSE-PORT makes the test inconclusive`() {
    #expect(Self.lifetime(NATBox(), Self.server([])).report?.isConclusive == false)
  }
}
