internal import MeshNode
internal import MeshPrimitives
internal import MeshSimulation

// The way of a datagram: NATs of the sender, its access, the path, the access of the receiver, its NATs.
extension SimulatedNetwork {
  func send(_ burst: Burst, of host: SimulatedHost) {
    let transmit = transmit
    let bytes = transmit.bytes
    var start = 0
    while start < bytes.byteCount {
      let end = min(start + burst.segmentSize, bytes.byteCount)
      send(bytes.extracting(start..<end), to: burst.destination, from: burst.source, ecn: burst.ecn, of: host)
      start = end
    }
  }

  private func send(
    _ bytes: RawSpan, to destination: SocketAddress, from source: IPAddress?, ecn: ECN, of host: SimulatedHost
  ) {
    counts.datagramsSent &+= 1
    counts.bytesSent &+= UInt64(bytes.byteCount)
    if attacker != nil, Attacker.isForged(destination.address) { charge(bytes.byteCount, to: destination, of: host) }
    guard let way = host.isBehindNAT ? 0 : way(of: host, to: destination, from: source) else {
      return trace(.unroutable, from: host.index, to: -1, bytes, ecn)
    }
    guard
      let route = internet.leave(
        host.realm, sender: host.index, source: host.ways[way].address, destination: destination, now: now),
      let owner = internet.owner(route)
    else { return trace(.unroutable, from: host.index, to: -1, bytes, ecn) }
    guard hosts[owner].side == host.side else { return trace(.partitioned, from: host.index, to: owner, bytes, ecn) }
    trace(.sent, from: host.index, to: owner, bytes, ecn)
    let uplink = way == 0 ? links.uplink(of: host.index) : nil
    let link = uplink ?? path(of: route, to: owner)
    put(bytes, ecn, tag: number(route), on: link, from: host.index, to: owner)
  }

  /// Gives a packet to a link.
  func put(_ bytes: RawSpan, _ ecn: ECN, tag: UInt32, on link: Int, from: Int, to: Int) {
    let before = links.links[link].deadline
    let fate = links.links[link].send(bytes, ecn: ecn, tag: tag, now: now)
    switch fate {
    case .sent: break
    case .lost: trace(.dropped("lost"), from: from, to: to, bytes, ecn)
    case .queueFull: trace(.dropped("queueFull"), from: from, to: to, bytes, ecn)
    case .tooLong(let limit):
      trace(.dropped("tooLong"), from: from, to: to, bytes, ecn)
      if let limit { report(limit, to: routes[Int(tag)]) }
    }
    let after = links.links[link].deadline
    if let after, after != before { linkWakes.schedule(UInt32(link), at: after) }
  }

  /// A router tells the sender that a datagram was too long, as ICMP does; NATs pass that on, and it takes no time.
  private func report(_ limit: Int, to route: Internet.Route) {
    guard route.sender != .max else { return }
    let host = hosts[Int(route.sender)]
    guard host.state == .up else { return }
    host.node.packetTooBig(to: route.destination, size: limit, now: host.clock.local(now))
    reported.append(host)
  }

  /// Takes from a link all that has arrived.
  func arrive(_ link: Int) {
    var touched: SimulatedHost?
    while violation == nil, let arrival = links.links[link].nextArrival(now: now) {
      let route = routes[Int(arrival.tag)]
      switch links.stages[link] {
      case .uplink:
        guard let owner = internet.owner(route) else { continue }
        let path = path(of: route, to: owner)
        put(arrival.bytes.bytes, arrival.ecn, tag: arrival.tag, on: path, from: Int(route.sender), to: owner)
        continue
      case .path(_, let owner, let way):
        if way < 2, let downlink = links.downlink(of: owner) {
          put(arrival.bytes.bytes, arrival.ecn, tag: arrival.tag, on: downlink, from: Int(route.sender), to: owner)
          continue
        }
      case .downlink, .attack: break
      }
      guard let host = deliver(arrival, by: route) else { continue }
      if let touched, touched !== host { settle(touched) }
      touched = host
    }
    if let touched, violation == nil { settle(touched) }
    while violation == nil, let host = reported.popLast() { settle(host) }
    if let next = links.links[link].deadline {
      linkWakes.schedule(UInt32(link), at: next)
    } else {
      linkWakes.cancel(UInt32(link))
    }
  }

  /// Gives a packet to the host that it reaches.
  private func deliver(_ arrival: Link.Arrival, by route: Internet.Route) -> SimulatedHost? {
    let isForged = route.sender == .max
    let sender = isForged ? -1 : Int(route.sender)
    guard let (index, destination) = internet.enter(route, now: now) else {
      trace(.filtered, from: sender, to: -1, arrival.bytes.bytes, arrival.ecn)
      return nil
    }
    let host = hosts[index]
    guard isForged || hosts[sender].side == host.side else {
      trace(.partitioned, from: sender, to: index, arrival.bytes.bytes, arrival.ecn)
      return nil
    }
    guard host.state == .up else {
      trace(.nobody, from: sender, to: index, arrival.bytes.bytes, arrival.ecn)
      return nil
    }
    if let way = host.way(at: route.destination), host.ways[way].isCut {
      trace(.nobody, from: sender, to: index, arrival.bytes.bytes, arrival.ecn)
      return nil
    }
    trace(isForged ? .forged : .arrived, from: sender, to: index, arrival.bytes.bytes, arrival.ecn)
    counts.datagramsArrived &+= 1
    if isForged {
      host.balances[route.source, default: Balance()].received += Int64(arrival.bytes.count)
    } else if attacker != nil {
      attack(with: arrival.bytes, host)
    }
    var bytes = arrival.bytes
    var datagram = bytes.mutableBytes
    let local = host.ways.count > 1 ? destination.address : nil
    host.node.handle(&datagram, from: route.source, to: local, ecn: arrival.ecn, now: host.clock.local(now))
    return host
  }

  func number(_ route: Internet.Route) -> UInt32 {
    if let known = routeNumbers[route] { return known }
    let number = UInt32(routes.count)
    routes.append(route)
    routeNumbers[route] = number
    return number
  }

  // MARK: - Attacks

  /// A node may not be made to send more to somebody than three times what seems to come from there.
  private func charge(_ bytes: Int, to destination: SocketAddress, of host: SimulatedHost) {
    host.balances[destination, default: Balance()].sent += Int64(bytes)
    let balance = host.balances[destination]!
    if balance.sent > 3 * balance.received {
      fail(
        .amplification, host: host.index,
        "\(balance.sent) bytes went to \(destination), which sent \(balance.received) and proved nothing")
    }
  }

  private func attack(with seen: [UInt8], _ host: SimulatedHost) {
    guard let forged = attacker!.next(seen) else { return }
    let route = Internet.Route(
      sender: .max, realm: UInt32(host.realm), source: forged.source, destination: host.address)
    let link = links.attackLink()
    put(forged.bytes.bytes, .notECT, tag: number(route), on: link, from: -1, to: host.index)
  }
}
