internal import MeshPrimitives
internal import MeshSimulation

/// Which host a datagram reaches: addresses, and the NATs between them. The way there is the ``SimulatedNetwork``'s.
struct Internet {
  /// Where a datagram is, and the endpoints that it has there.
  struct Route: Hashable {
    let sender: UInt32
    let realm: UInt32
    let source: SocketAddress
    let destination: SocketAddress
  }

  private struct Realm {
    let outer: Int
    var nat: NAT?
    var hosts: [IPAddress: Int] = [:]
    /// Realms whose outside is this one, by their addresses here.
    var inner: [IPAddress: Int] = [:]
    /// The host that stands for all behind the NAT, where a path is asked for.
    var owner = -1
  }

  private var realms = [Realm(outer: -1)]
  /// Datagrams to addresses that nobody has, and drops by NATs.
  private(set) var unroutable = 0
  private(set) var dropped = 0

  /// Adds a realm behind a NAT, within `outer`.
  mutating func addRealm(_ behaviour: NATBehaviour, external: IPAddress, within outer: Int, seed: UInt64) -> Int {
    realms.append(Realm(outer: outer, nat: NAT(behaviour, external: [external], seed: seed)))
    realms[outer].inner[external] = realms.count - 1
    return realms.count - 1
  }

  mutating func place(_ host: Int, at address: IPAddress, in realm: Int) {
    realms[realm].hosts[address] = host
    var realm = realm
    while realm > 0 {
      if realms[realm].owner < 0 { realms[realm].owner = host }
      realm = realms[realm].outer
    }
  }

  mutating func remove(_ address: IPAddress, from realm: Int) { realms[realm].hosts[address] = nil }

  /// Gives a NAT another address outside; its mappings are gone.
  mutating func renumber(_ realm: Int, to external: IPAddress, seed: UInt64) {
    guard let nat = realms[realm].nat else { return }
    let outer = realms[realm].outer
    for address in nat.external { realms[outer].inner[address] = nil }
    realms[realm].nat = NAT(nat.behaviour, external: [external], seed: seed)
    realms[outer].inner[external] = realm
  }

  /// The NATs lose their mappings, as a home router does when it starts again.
  mutating func reset(_ realm: Int, seed: UInt64) {
    guard let nat = realms[realm].nat else { return }
    realms[realm].nat = NAT(nat.behaviour, external: nat.external, seed: seed)
  }

  /// Outwards from the sender as far as the destination asks for; `nil` when the datagram ends on the way.
  mutating func leave(
    _ start: Int, sender: Int, source: SocketAddress, destination: SocketAddress, now: Instant
  ) -> Route? {
    var (realm, source, destination) = (start, source, destination)
    while realms[realm].hosts[destination.address] == nil, realms[realm].inner[destination.address] == nil {
      guard realms[realm].outer >= 0 else {
        unroutable += 1
        return nil
      }
      switch realms[realm].nat!.outbound(source: source, destination: destination, now: now) {
      case .forwarded(let translated, _): (realm, source) = (realms[realm].outer, translated)
      case .hairpinned(let from, let to):
        (source, destination) = (from, to)
        return Route(sender: UInt32(sender), realm: UInt32(realm), source: source, destination: destination)
      case .dropped:
        dropped += 1
        return nil
      }
    }
    return Route(sender: UInt32(sender), realm: UInt32(realm), source: source, destination: destination)
  }

  /// The host that has this address on the internet itself.
  func owner(_ address: IPAddress) -> Int? { realms[0].hosts[address] }

  /// The host at the end of a route, or the one that stands for those behind the NAT there.
  func owner(_ route: Route) -> Int? {
    let realm = realms[Int(route.realm)]
    if let host = realm.hosts[route.destination.address] { return host }
    return realm.inner[route.destination.address].map { realms[$0].owner }
  }

  /// Inwards to the host, which sees the datagram come from `source`; `nil` when it ends on the way.
  mutating func enter(_ route: Route, now: Instant) -> (host: Int, destination: SocketAddress)? {
    var (realm, destination) = (Int(route.realm), route.destination)
    while true {
      if let host = realms[realm].hosts[destination.address] { return (host, destination) }
      guard let inner = realms[realm].inner[destination.address] else {
        unroutable += 1
        return nil
      }
      guard
        case .forwarded(_, let translated) = realms[inner].nat!.inbound(
          source: route.source, destination: destination, now: now)
      else {
        dropped += 1
        return nil
      }
      (realm, destination) = (inner, translated)
    }
  }
}
