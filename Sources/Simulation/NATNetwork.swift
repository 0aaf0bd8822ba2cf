public import MeshPrimitives

/// Hosts behind ``NAT``s, and the internet between them. UDP only.
///
/// A realm is a network in which addresses mean something: the internet, or the inside of a NAT, which lies in another
/// realm. So NATs are stacked to any depth, and two homes may use the same private addresses.
///
/// ```swift
/// var network = NATNetwork(seed: 1)
/// let home = network.addRealm(behind: .portRestricted, external: [IPAddress("203.0.113.1")!])
/// let laptop = network.addHost([IPAddress("192.168.1.2")!], in: home)
/// let server = network.addHost([IPAddress("198.51.100.1")!])
/// network.send(bytes, from: source, of: laptop, to: destination, now: clock.now)
/// if let next = network.deadline { clock.advance(to: next) }
/// while let arrival = network.nextArrival(now: clock.now) { … }
/// ```
///
/// A packet passes the NATs of its sender when it is sent, then takes the time of the sender's ``Link``, and passes the
/// NATs of its receiver when it arrives.
public struct NATNetwork: Sendable {
  public struct Realm: Hashable, Sendable {
    let index: Int
    public static let internet = Realm(index: 0)
  }

  public struct Host: Hashable, Sendable {
    public let index: Int
  }

  /// A datagram at its receiver, with the endpoints that the receiver sees.
  public struct Arrival: Sendable, Equatable {
    public let host: Host
    public let source: SocketAddress
    public let destination: SocketAddress
    public let bytes: [UInt8]

    public init(host: Host, source: SocketAddress, destination: SocketAddress, bytes: [UInt8]) {
      self.host = host
      self.source = source
      self.destination = destination
      self.bytes = bytes
    }
  }

  private struct Place: Sendable {
    var outer: Int?
    /// For IPv4, and for IPv6.
    var nat: NAT?
    var firewall: NAT?
    var hosts: [IPAddress: Int] = [:]
    /// Realms whose outside is this one.
    var inner: [Int] = []
  }

  private struct Station: Sendable {
    let realm: Int
    let addresses: [IPAddress]
    var link: Link
  }

  /// Where a packet is on its way through the middle, and the endpoints that it has there.
  private struct Flow: Hashable, Sendable {
    let realm: Int
    let source: SocketAddress
    let destination: SocketAddress
  }

  private var places = [Place()]
  private var stations: [Station] = []
  private var entropy: SeededEntropy
  private var flows: [Flow] = []
  private var flowIndex: [Flow: UInt32] = [:]
  private var deadlines = DeadlineQueue()
  /// Packets to addresses that nobody has where they were sent.
  public private(set) var unroutable = 0

  public init(seed: UInt64) { entropy = SeededEntropy(seed: seed) }

  // MARK: Building

  /// A realm whose only way out is a NAT, for IPv4, or a firewall, for IPv6, or both.
  ///
  /// - Parameters:
  ///   - behaviour: of the NAT; `nil`: IPv4 does not get out.
  ///   - external: the addresses of the NAT in `outer`.
  ///   - firewall: what IPv6 passes; `nil`: it does not get out. Nothing is translated.
  public mutating func addRealm(
    behind behaviour: NATBehaviour?, external: [IPAddress] = [], firewall: NATBehaviour? = nil,
    within outer: Realm = .internet
  ) -> Realm {
    var place = Place(outer: outer.index)
    place.nat = behaviour.map { NAT($0, external: external, seed: entropy.next()) }
    place.firewall = firewall.map { behaviour in
      precondition(!behaviour.translates, "a firewall translates nothing")
      return NAT(behaviour, external: [], seed: entropy.next())
    }
    places.append(place)
    places[outer.index].inner.append(places.count - 1)
    return Realm(index: places.count - 1)
  }

  /// A host with these addresses, which nobody else in the realm has.
  ///
  /// - Parameter conditions: of what it sends, from the outermost of its NATs to the receiver's.
  public mutating func addHost(
    _ addresses: [IPAddress], in realm: Realm = .internet, conditions: LinkConditions = LinkConditions()
  ) -> Host {
    for address in addresses {
      let previous = places[realm.index].hosts.updateValue(stations.count, forKey: address)
      precondition(previous == nil, "an address belongs to one host of a realm")
    }
    stations.append(
      Station(realm: realm.index, addresses: addresses, link: Link(conditions, seed: entropy.next())))
    return Host(index: stations.count - 1)
  }

  public func addresses(of host: Host) -> [IPAddress] { stations[host.index].addresses }

  /// The NAT of a realm, to look at and to change.
  public subscript(nat realm: Realm) -> NAT? {
    get { places[realm.index].nat }
    set { places[realm.index].nat = newValue }
  }

  /// The link of a host, to look at and to change.
  public subscript(link host: Host) -> Link {
    get { stations[host.index].link }
    set {
      stations[host.index].link = newValue
      reschedule(host.index)
    }
  }

  // MARK: Running

  /// When the next packet arrives.
  public var deadline: Instant? { deadlines.earliest }

  /// Sends a datagram from an address of `host`.
  ///
  /// - Parameter source: any address, when `host` lies about its own; the way back leads to whoever has it.
  public mutating func send(
    _ bytes: RawSpan, from source: SocketAddress, of host: Host, to destination: SocketAddress, now: Instant
  ) {
    guard let flow = leave(stations[host.index].realm, source: source, destination: destination, now: now) else {
      return
    }
    stations[host.index].link.send(bytes, tag: tag(flow), now: now)
    reschedule(host.index)
  }

  /// The next datagram that has arrived by `now`; `nil` when there is none.
  public mutating func nextArrival(now: Instant) -> Arrival? {
    while let slot = deadlines.popDue(at: now) {
      let sender = Int(slot)
      let packet = stations[sender].link.nextArrival(now: now)
      reschedule(sender)
      guard let packet else { continue }
      if let arrival = enter(flows[Int(packet.tag)], bytes: packet.bytes, now: now) { return arrival }
    }
    return nil
  }

  private mutating func reschedule(_ station: Int) {
    if let next = stations[station].link.deadline {
      deadlines.schedule(UInt32(station), at: next)
    } else {
      deadlines.cancel(UInt32(station))
    }
  }

  private mutating func tag(_ flow: Flow) -> UInt32 {
    if let known = flowIndex[flow] { return known }
    let index = UInt32(flows.count)
    flows.append(flow)
    flowIndex[flow] = index
    return index
  }

  /// From realm to realm outwards, as far as the destination asks for.
  private mutating func leave(
    _ start: Int, source: SocketAddress, destination: SocketAddress, now: Instant
  ) -> Flow? {
    var (realm, source) = (start, source)
    while next(to: destination.address, in: realm) == .nobody {
      guard let outer = places[realm].outer else {
        unroutable += 1
        return nil
      }
      let outcome: NAT.Outcome?
      switch destination.address.family {
      case .v4: outcome = places[realm].nat?.outbound(source: source, destination: destination, now: now)
      case .v6: outcome = places[realm].firewall?.outbound(source: source, destination: destination, now: now)
      }
      switch outcome {
      case .forwarded(let translated, _): (realm, source) = (outer, translated)
      case .hairpinned(let source, let destination):
        return Flow(realm: realm, source: source, destination: destination)
      case .dropped: return nil
      case nil:
        unroutable += 1
        return nil
      }
    }
    return Flow(realm: realm, source: source, destination: destination)
  }

  /// From realm to realm inwards, to the host.
  private mutating func enter(_ flow: Flow, bytes: [UInt8], now: Instant) -> Arrival? {
    var (realm, destination) = (flow.realm, flow.destination)
    while true {
      switch next(to: destination.address, in: realm) {
      case .host(let index):
        return Arrival(host: Host(index: index), source: flow.source, destination: destination, bytes: bytes)
      case .realm(let inner):
        let outcome =
          destination.address.family == .v4
          ? places[inner].nat?.inbound(source: flow.source, destination: destination, now: now)
          : places[inner].firewall?.inbound(source: flow.source, destination: destination, now: now)
        guard case .forwarded(_, let translated)? = outcome else { return nil }
        (realm, destination) = (inner, translated)
      case .nobody:
        unroutable += 1
        return nil
      }
    }
  }

  private enum Next: Equatable { case host(Int), realm(Int), nobody }

  private func next(to address: IPAddress, in realm: Int) -> Next {
    if let host = places[realm].hosts[address] { return .host(host) }
    for inner in places[realm].inner {
      switch address.family {
      case .v4: if places[inner].nat?.external.contains(address) == true { return .realm(inner) }
      case .v6: if places[inner].firewall != nil, next(to: address, in: inner) != .nobody { return .realm(inner) }
      }
    }
    return .nobody
  }
}
