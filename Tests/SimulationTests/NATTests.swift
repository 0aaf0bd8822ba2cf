import MeshPrimitives
import MeshSimulation
import Testing

private func endpoint(_ text: String) -> SocketAddress { SocketAddress(text)! }

private let inside = endpoint("192.168.1.2:5000")
private let outsideAddress = IPAddress("203.0.113.1")!
private let server = endpoint("198.51.100.1:3478")
private let otherPort = endpoint("198.51.100.1:3479")
private let otherAddress = endpoint("198.51.100.2:3478")

@Suite("NAT") struct NATTests {
  private let start = VirtualClock().now

  private func nat(_ change: (inout NATBehaviour) -> Void) -> NAT {
    var behaviour = NATBehaviour()
    change(&behaviour)
    return NAT(behaviour, external: [outsideAddress], seed: 1)
  }

  private func mapped(
    _ nat: inout NAT, _ source: SocketAddress = inside, to destination: SocketAddress = server, at now: Instant? = nil
  ) -> SocketAddress? {
    guard
      case .forwarded(let outside, let same) = nat.outbound(source: source, destination: destination, now: now ?? start)
    else { return nil }
    #expect(same == destination)
    return outside
  }

  // MARK: Mapping, §4.1

  @Test(arguments: NATBehaviour.Dependence.allCases)
  func `a mapping depends on what it should`(mapping: NATBehaviour.Dependence) {
    for assignment in NATBehaviour.PortAssignment.allCases {
      var nat = nat {
        $0.mapping = mapping
        $0.portAssignment = assignment
      }
      let first = mapped(&nat)
      #expect(first?.address == outsideAddress)
      #expect(mapped(&nat) == first)
      #expect((mapped(&nat, to: otherPort) == first) == (mapping != .addressAndPortDependent))
      #expect((mapped(&nat, to: otherAddress) == first) == (mapping == .endpointIndependent))
      #expect(mapped(&nat, endpoint("192.168.1.2:5001")) != first)
    }
  }

  // MARK: Ports, §4.2

  @Test func `a port is preserved where it is free`() {
    var nat = nat { _ in }
    #expect(mapped(&nat)?.port == 5000)
    #expect(mapped(&nat, endpoint("192.168.1.3:5000"))?.port == 5001)
    #expect(mapped(&nat, endpoint("192.168.1.4:5000"))?.port == 5002)
  }

  @Test(arguments: NATBehaviour.PortAssignment.allCases)
  func `parity is preserved when it should be`(assignment: NATBehaviour.PortAssignment) {
    var nat = nat {
      $0.portAssignment = assignment
      $0.preservesParity = true
    }
    for host in 2..<60 {
      for port in [5000, 5001] as [UInt16] {
        let outside = mapped(&nat, SocketAddress(IPAddress(v4: 0xC0A8_0100 + UInt32(host)), port: port))
        #expect(outside.map { $0.port & 1 } == port & 1)
        #expect(outside.map { $0.port >= 1024 } == true)
      }
    }
  }

  @Test func `sequential ports follow each other, and random ones do not`() {
    var sequential = nat { $0.portAssignment = .sequential }
    let ports = (0..<10).map { mapped(&sequential, SocketAddress(inside.address, port: 6000 + $0 * 7))!.port }
    #expect(zip(ports, ports.dropFirst()).allSatisfy { $1 == $0 + 1 })
    var random = nat { $0.portAssignment = .random }
    let others = (0..<10).map { mapped(&random, SocketAddress(inside.address, port: 6000 + $0))!.port }
    #expect(zip(others, others.dropFirst()).allSatisfy { Int($1) - Int($0) != 1 })
    #expect(Set(others).count == 10)
  }

  @Test func `when all ports are in use there are no more`() {
    var nat = nat { $0.maximumMappings = 100_000 }
    for port in UInt16(1024)...65_535 { #expect(mapped(&nat, SocketAddress(inside.address, port: port)) != nil) }
    #expect(mapped(&nat, endpoint("192.168.1.3:5000")) == nil)
    #expect(nat.drops[.noPort] == 1)
  }

  @Test func `endpoints of one address are paired with one address, unless told otherwise`() {
    let pool = (1...8).map { IPAddress(v4: 0xCB00_7100 + $0) }
    for pooling in NATBehaviour.Pooling.allCases {
      var behaviour = NATBehaviour()
      behaviour.pooling = pooling
      var nat = NAT(behaviour, external: pool, seed: 3)
      let addresses = (0..<20).map { mapped(&nat, SocketAddress(inside.address, port: 5000 + $0))!.address }
      #expect((Set(addresses).count == 1) == (pooling == .paired))
    }
  }

  // MARK: Filtering, §5

  @Test(arguments: NATBehaviour.Dependence.allCases)
  func `a filter depends on what it should`(filtering: NATBehaviour.Dependence) {
    var nat = nat { $0.filtering = filtering }
    let outside = mapped(&nat)!
    func passes(_ source: SocketAddress) -> Bool {
      switch nat.inbound(source: source, destination: outside, now: start) {
      case .forwarded(let same, let destination): same == source && destination == inside
      default: false
      }
    }
    #expect(passes(server))
    #expect(passes(otherPort) == (filtering != .addressAndPortDependent))
    #expect(passes(otherAddress) == (filtering == .endpointIndependent))
    #expect(
      nat.inbound(source: server, destination: SocketAddress(outsideAddress, port: 9), now: start)
        == .dropped(.noMapping))
    _ = mapped(&nat, to: otherAddress)
    #expect(passes(otherAddress))
  }

  @Test func `the oldest of too many filters makes room`() {
    var nat = nat { $0.maximumFilters = 2 }
    let outside = mapped(&nat)!
    _ = mapped(&nat, to: otherPort)
    _ = mapped(&nat, to: otherAddress)
    #expect(nat.inbound(source: server, destination: outside, now: start) == .dropped(.filtered))
    #expect(nat.inbound(source: otherPort, destination: outside, now: start) != .dropped(.filtered))
  }

  // MARK: Hairpin, §6

  @Test(arguments: NATBehaviour.Hairpinning.allCases)
  func `hairpinning is as it should be`(hairpinning: NATBehaviour.Hairpinning) {
    var nat = nat {
      $0.hairpinning = hairpinning
      $0.filtering = .endpointIndependent
    }
    let target = mapped(&nat)!
    let sender = endpoint("192.168.1.3:7000")
    let outcome = nat.outbound(source: sender, destination: target, now: start)
    switch hairpinning {
    case .none: #expect(outcome == .dropped(.noHairpin))
    case .internalSource: #expect(outcome == .hairpinned(source: sender, destination: inside))
    case .externalSource:
      #expect(outcome == .hairpinned(source: SocketAddress(outsideAddress, port: 7000), destination: inside))
    }
  }

  @Test func `the filter holds for hairpins too`() {
    var nat = nat { $0.hairpinning = .externalSource }
    let target = mapped(&nat)!
    let sender = endpoint("192.168.1.3:7000")
    #expect(nat.outbound(source: sender, destination: target, now: start) == .dropped(.filtered))
    // From the other side the way is asked for; it is not let in either, but opens the filter.
    let back = nat.outbound(source: inside, destination: SocketAddress(outsideAddress, port: 7000), now: start)
    #expect(back == .hairpinned(source: target, destination: sender))
    #expect(
      nat.outbound(source: sender, destination: target, now: start)
        == .hairpinned(source: SocketAddress(outsideAddress, port: 7000), destination: inside))
  }

  // MARK: Timeouts, §4.3

  @Test func `a mapping ends with its timeout, and not before`() {
    var nat = nat { $0.timeout = .seconds(30) }
    let outside = mapped(&nat)!
    let before = start + .milliseconds(29_999)
    #expect(nat.inbound(source: server, destination: outside, now: before) != .dropped(.noMapping))
    #expect(nat.mappings(now: before) == 1)
    #expect(nat.inbound(source: server, destination: outside, now: start + .seconds(30)) == .dropped(.noMapping))
    #expect(nat.mappings(now: start + .seconds(30)) == 0)
  }

  @Test(arguments: [(true, true), (true, false), (false, true), (false, false)])
  func `traffic refreshes a mapping in the directions that it should`(outbound: Bool, inbound: Bool) {
    func survives(_ touch: (inout NAT, SocketAddress, Instant) -> Void) -> Bool {
      var nat = nat {
        $0.timeout = .seconds(30)
        $0.refreshesOutbound = outbound
        $0.refreshesInbound = inbound
      }
      let outside = mapped(&nat)!
      touch(&nat, outside, start + .seconds(20))
      return nat.inbound(source: server, destination: outside, now: start + .seconds(40))
        == .forwarded(
          source: server, destination: inside)
    }
    #expect(survives { nat, _, now in _ = nat.outbound(source: inside, destination: server, now: now) } == outbound)
    #expect(
      survives { nat, outside, now in _ = nat.inbound(source: server, destination: outside, now: now) } == inbound)
  }

  @Test func `what is not let in refreshes nothing`() {
    var nat = nat {
      $0.timeout = .seconds(30)
      $0.refreshesInbound = true
    }
    let outside = mapped(&nat)!
    _ = nat.inbound(source: otherAddress, destination: outside, now: start + .seconds(20))
    #expect(nat.inbound(source: server, destination: outside, now: start + .seconds(31)) == .dropped(.noMapping))
  }

  // MARK: Caps, and the rest

  @Test func `a full table takes no more until something has expired`() {
    var nat = nat {
      $0.maximumMappings = 2
      $0.timeout = .seconds(30)
    }
    #expect(mapped(&nat) != nil)
    #expect(mapped(&nat, endpoint("192.168.1.2:5001")) != nil)
    #expect(mapped(&nat, endpoint("192.168.1.2:5002")) == nil)
    #expect(nat.drops[.tableFull] == 1)
    #expect(mapped(&nat, endpoint("192.168.1.2:5002"), at: start + .seconds(30)) != nil)
  }

  @Test func `where UDP is blocked nothing passes`() {
    var nat = NAT(.blocked, external: [outsideAddress], seed: 1)
    #expect(nat.outbound(source: inside, destination: server, now: start) == .dropped(.blocked))
    #expect(
      nat.inbound(source: server, destination: SocketAddress(outsideAddress, port: 5000), now: start)
        == .dropped(.blocked))
  }

  @Test func `a firewall translates nothing and lets in answers only`() {
    var firewall = NAT(.firewall, external: [], seed: 1)
    let host = endpoint("[2001:db8:1::1]:5000")
    let peer = endpoint("[2001:db8:2::1]:5000")
    #expect(firewall.inbound(source: peer, destination: host, now: start) == .dropped(.noMapping))
    #expect(
      firewall.outbound(source: host, destination: peer, now: start) == .forwarded(source: host, destination: peer))
    #expect(
      firewall.inbound(source: peer, destination: host, now: start) == .forwarded(source: peer, destination: host))
  }

  @Test func `the same seed gives the same NAT`() {
    func ports(_ seed: UInt64) -> [UInt16] {
      var nat = NAT(.symmetric, external: [outsideAddress], seed: seed)
      return (0..<20).map { mapped(&nat, to: SocketAddress(server.address, port: 4000 + $0))!.port }
    }
    #expect(ports(7) == ports(7))
    #expect(ports(7) != ports(8))
  }
}

extension NATNetwork {
  fileprivate mutating func send(
    _ bytes: [UInt8], from source: SocketAddress, of host: Host, to destination: SocketAddress, now: Instant
  ) {
    send(bytes.bytes, from: source, of: host, to: destination, now: now)
  }
}

@Suite("NAT network") struct NATNetworkTests {
  private var clock = VirtualClock()

  private static func links(_ milliseconds: Int) -> LinkConditions {
    var conditions = LinkConditions()
    conditions.delay = .milliseconds(milliseconds)
    return conditions
  }

  private func deliver(_ network: inout NATNetwork) -> [NATNetwork.Arrival] {
    var arrivals: [NATNetwork.Arrival] = []
    while let next = network.deadline {
      while let arrival = network.nextArrival(now: next) { arrivals.append(arrival) }
    }
    return arrivals
  }

  @Test func `a datagram and its answer pass two NATs, and nobody else's does`() {
    var network = NATNetwork(seed: 1)
    let carrier = network.addRealm(behind: .portRestricted, external: [IPAddress("203.0.113.1")!])
    let home = network.addRealm(behind: .symmetric, external: [IPAddress("100.64.0.2")!], within: carrier)
    let host = network.addHost([inside.address], in: home, conditions: Self.links(10))
    let far = network.addHost([server.address], conditions: Self.links(20))
    let stranger = network.addHost([otherAddress.address])
    network.send([1], from: inside, of: host, to: server, now: clock.now)
    #expect(network.deadline == clock.now + .milliseconds(10))
    let arrival = deliver(&network)
    #expect(arrival.map(\.host) == [far])
    let seen = arrival[0].source
    #expect(seen.address == outsideAddress)
    network.send([2], from: server, of: far, to: seen, now: clock.now)
    network.send([3], from: otherAddress, of: stranger, to: seen, now: clock.now)
    let answers = deliver(&network)
    #expect(answers == [.init(host: host, source: server, destination: inside, bytes: [2])])
    #expect(network[nat: carrier]?.drops[.filtered] == 1)
  }

  @Test func `homes with the same private addresses do not meet, and their NATs do`() {
    var network = NATNetwork(seed: 1)
    let homes = (1...2).map { network.addRealm(behind: .fullCone, external: [IPAddress(v4: 0xCB00_7100 + $0)]) }
    let hosts = homes.map { network.addHost([inside.address], in: $0) }
    let stun = network.addHost([server.address])
    for host in hosts { network.send([], from: inside, of: host, to: server, now: clock.now) }
    let seen = deliver(&network).filter { $0.host == stun }.map(\.source)
    #expect(seen.map(\.address) == [IPAddress("203.0.113.1")!, IPAddress("203.0.113.2")!])
    network.send([9], from: inside, of: hosts[0], to: seen[1], now: clock.now)
    #expect(deliver(&network) == [.init(host: hosts[1], source: seen[0], destination: inside, bytes: [9])])
  }

  @Test func `two homes behind one carrier meet by its hairpin`() {
    for hairpinning in NATBehaviour.Hairpinning.allCases {
      var behaviour = NATBehaviour.fullCone
      behaviour.hairpinning = hairpinning
      var network = NATNetwork(seed: 1)
      let carrier = network.addRealm(behind: behaviour, external: [outsideAddress])
      let homes = (2...3).map {
        network.addRealm(behind: .fullCone, external: [IPAddress(v4: 0x6440_0000 + $0)], within: carrier)
      }
      let hosts = homes.map { network.addHost([inside.address], in: $0) }
      _ = network.addHost([server.address])
      for host in hosts { network.send([], from: inside, of: host, to: server, now: clock.now) }
      let seen = deliver(&network).map(\.source)
      network.send([9], from: inside, of: hosts[0], to: seen[1], now: clock.now)
      #expect(deliver(&network).map(\.host) == (hairpinning == .none ? [] : [hosts[1]]))
    }
  }

  @Test func `a NAT that sends first lets in what crosses it on the way`() {
    var network = NATNetwork(seed: 1)
    let homes = (1...2).map { network.addRealm(behind: .portRestricted, external: [IPAddress(v4: 0xCB00_7100 + $0)]) }
    let hosts = homes.map { network.addHost([inside.address], in: $0, conditions: Self.links(20)) }
    // Ports are preserved, so that each knows the other's endpoint.
    let ends = (1...2).map { SocketAddress(IPAddress(v4: 0xCB00_7100 + $0), port: inside.port) }
    network.send([1], from: inside, of: hosts[0], to: ends[1], now: clock.now)
    network.send([2], from: inside, of: hosts[1], to: ends[0], now: clock.now + .milliseconds(19))
    #expect(deliver(&network).map(\.bytes) == [[1], [2]])
    network.send([3], from: inside, of: hosts[0], to: SocketAddress(ends[1].address, port: 1), now: clock.now)
    #expect(deliver(&network).isEmpty)
  }

  @Test func `without a way out, and to nobody, nothing is delivered`() {
    var network = NATNetwork(seed: 1)
    let realm = network.addRealm(behind: nil, firewall: .firewall)
    let host = network.addHost([inside.address, IPAddress("2001:db8::2")!], in: realm)
    network.send([], from: inside, of: host, to: server, now: clock.now)
    network.send([], from: endpoint("[2001:db8::2]:1"), of: host, to: endpoint("[2001:db8::9]:1"), now: clock.now)
    #expect(deliver(&network).isEmpty)
    #expect(network.unroutable == 2)
  }
}
