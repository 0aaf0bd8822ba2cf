internal import MeshNode
internal import MeshPrimitives
internal import MeshSession

// Hosts with two addresses.
extension SimulatedNetwork {
  /// A second way that was open for so long must keep a connection alive.
  private static let patience = Duration.seconds(40)

  /// The second address of a host.
  static func secondAddress(of host: Int, isIPv6: Bool) -> IPAddress {
    isIPv6
      ? IPAddress(v6High: 0x2001_0DB8_0000_0000, low: UInt64(host) + 1)
      : IPAddress(v4: 0x0E00_0000 + UInt32(host))
  }

  func buildSecondWays() {
    for second in scenario.secondWays {
      let host = hosts[second.host]
      guard host.ways.count == 1, !host.isBehindNAT else { continue }
      let address = Self.secondAddress(of: second.host, isIPv6: second.isIPv6)
      host.ways.append(HostWay(address: SocketAddress(address, port: 2552), since: now))
      internet.place(second.host, at: address, in: 0)
      secondConditions[second.host] = second.conditions
    }
  }

  /// The interface that a datagram leaves by: the one with the address `source`, if the node asks for that and it is up. Else as
  /// the routes of a host say: the one like the destination's, or another one of its family. `nil`: there is none.
  func way(of host: SimulatedHost, to destination: SocketAddress, from source: IPAddress?) -> Int? {
    if let source, let way = host.ways.firstIndex(where: { $0.address.address == source }), !host.ways[way].isCut {
      return way
    }
    let preferred = internet.owner(destination.address).flatMap { hosts[$0].way(at: destination) } ?? 0
    let usable = host.ways.indices.filter {
      !host.ways[$0].isCut && host.ways[$0].address.address.family == destination.address.family
    }
    return usable.contains(preferred) ? preferred : usable.first
  }

  /// Which of the paths between two hosts a datagram takes.
  func path(of route: Internet.Route, to owner: Int) -> Int {
    let sender = Int(route.sender)
    let (from, to) = (hosts[sender].way(at: route.source) ?? 0, hosts[owner].way(at: route.destination) ?? 0)
    guard from > 0 || to > 0 else { return links.path(from: sender, to: owner) }
    let conditions = secondConditions[to > 0 ? owner : sender]
    return links.path(from: sender, to: owner, way: from | to << 1, conditions)
  }

  func setCut(_ isCut: Bool, _ way: Scenario.Way, of host: SimulatedHost) {
    let index = way == .first ? 0 : 1
    guard index < host.ways.count else { return }
    note((isCut ? "cut " : "mend ") + way.rawValue, host: host.index)
    host.ways[index].isCut = isCut
    host.ways[index].since = now
  }

  /// The application tells the node of the other addresses of a peer.
  func tellWays(_ index: Int, of host: SimulatedHost) {
    let other = hosts[host.conversations[index].other]
    guard let peer = host.conversations[index].peer, other.ways.count > 1 else { return }
    for way in other.ways { host.node.addPath(to: peer, at: way.address, now: host.clock.local(now)) }
  }

  /// The address that a peer is listed with: each in turn, as long as nobody answers.
  func endpoint(of other: SimulatedHost, for host: SimulatedHost, failures: Int) -> SocketAddress {
    let reachable = other.ways.map(\.address).filter { address in
      host.ways.contains { $0.address.address.family == address.address.family }
    }
    return reachable.isEmpty ? other.address : reachable[failures % reachable.count]
  }

  /// A connection whose peer seems to have vanished: not while a second way between the two is open.
  func checkVanished(_ index: Int, of host: SimulatedHost) {
    let other = hosts[host.conversations[index].other]
    let since = now - Self.patience
    guard host.ways.count > 1 || other.ways.count > 1, host.state == .up, other.state == .up,
      host.side == other.side,
      host.conversations[index].connectedAt < since, disturbedAt < since, host.disturbedAt < since,
      // A peer that has started again does not know the connection, and there is no way to one behind a NAT.
      other.disturbedAt < host.conversations[index].connectedAt, !other.isBehindNAT
    else { return }
    for (mine, from) in host.ways.enumerated() {
      for (theirs, to) in other.ways.enumerated() where mine > 0 || theirs > 0 {
        let isOpen = [from, to].allSatisfy { !$0.isCut && $0.since < since }
        guard isOpen, from.address.address.family == to.address.address.family,
          secondConditions[theirs > 0 ? other.index : host.index]?.loss ?? 1 < 0.2
        else { continue }
        return fail(
          .vanished, host: host.index,
          "the connection to host \(other.index) ended, though the way from \(from.address) to \(to.address) is open")
      }
    }
  }
}
