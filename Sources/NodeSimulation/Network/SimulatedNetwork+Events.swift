internal import MeshNode
internal import MeshPrimitives
internal import MeshSimulation

// What befalls hosts and network.
extension SimulatedNetwork {
  func perform(_ action: Scenario.Action) {
    disturb(action)
    switch action {
    case .crash(let host): crash(hosts[host])
    case .restart(let host): restart(hosts[host])
    case .sleep(let host): sleep(hosts[host])
    case .wake(let host): wakeUp(hosts[host])
    case .move(let host): move(hosts[host])
    case .resetNAT(let host):
      note("NAT reset", host: host)
      internet.reset(hosts[host].realm, seed: derivedSeed(scenario.seed, 7, UInt64(nextEvent)))
    case .partition(let members):
      note("partition", host: -1)
      for host in hosts { host.side = 0 }
      for member in members { hosts[member].side = 1 }
    case .heal:
      note("heal", host: -1)
      for host in hosts { host.side = 0 }
    case .path(let path): links.set(path.conditions, from: path.sender, to: path.receiver)
    case .link(let conditions): links.setAll(conditions)
    case .skew(let host, let skew):
      hosts[host].clock.setSkew(skew, now: now)
      schedule(hosts[host])
    case .wall(let host, let offset): hosts[host].clock.wallOffset = offset
    case .transfer(let sender, let receiver, let bytes): transfer(bytes, from: hosts[sender], to: receiver)
    case .silence: isSilent = true
    case .speak: isSilent = false
    case .cut(let host, let way): setCut(true, way, of: hosts[host])
    case .mend(let host, let way): setCut(false, way, of: hosts[host])
    }
  }

  private func disturb(_ action: Scenario.Action) {
    switch action {
    case .crash(let host), .restart(let host), .sleep(let host), .wake(let host), .move(let host):
      hosts[host].disturbedAt = now
    case .partition, .heal: disturbedAt = now
    default: break
    }
  }

  private func crash(_ host: SimulatedHost) {
    guard host.state != .down else { return }
    note("crash", host: host.index)
    host.pastHandshakes += host.node.totals.traffic.handshakes
    host.state = .down
    breakFlows(at: host, with: nil)
    for index in host.conversations.indices {
      host.conversations[index].isConnected = false
      host.conversations[index].dialAt = .distantFuture
    }
    updateDue(host)
    schedule(host)
  }

  private func restart(_ host: SimulatedHost) {
    if host.state != .down { crash(host) }
    note("restart", host: host.index)
    host.restarts += 1
    let last = host.node.lastTimestamp
    host.node = makeNode(
      keySeed: host.keySeed, incarnation: UInt64(host.restarts), clock: host.clock, lastTimestamp: last)
    host.state = .up
    host.sending.removeAll()
    host.balances.removeAll()
    for index in host.conversations.indices {
      host.conversations[index].peer = nil
      host.conversations[index].failures = 0
    }
    listPeers(of: host)
    for index in host.conversations.indices where scenario.connects {
      let reaches = !hosts[host.conversations[index].other].isBehindNAT
      dial(index, of: host, in: .milliseconds(reaches ? 20 : 2000))
    }
    host.nextMessage = max(host.nextMessage, now)
    settle(host)
  }

  private func sleep(_ host: SimulatedHost) {
    guard host.state == .up else { return }
    note("sleep", host: host.index)
    host.state = .asleep
    host.sleptSince = now
    schedule(host)
  }

  private func wakeUp(_ host: SimulatedHost) {
    guard host.state == .asleep, let since = host.sleptSince else { return }
    note("wake", host: host.index)
    host.state = .up
    host.sleptSince = nil
    let local = host.clock.local(now)
    // As the runtime does.
    if now - since > .seconds(180) { host.node.eraseAllKeys(now: local) }
    host.nextMessage = max(host.nextMessage, now)
    if let deadline = host.node.deadline, deadline <= local { host.node.handleTimeout(now: local) }
    settle(host)
  }

  private func move(_ host: SimulatedHost) {
    host.moves += 1
    note("move", host: host.index, value: UInt64(host.moves))
    let address = Self.address(of: host.index, move: host.moves)
    if host.isBehindNAT {
      let home = scenario.homes.last { $0.host == host.index }
      let external =
        home?.isBehindCarrier == true
        ? IPAddress(v4: 0x6440_0000 + UInt32(host.index) + UInt32(host.moves & 15) << 16) : address
      internet.renumber(host.realm, to: external, seed: derivedSeed(scenario.seed, 8, UInt64(nextEvent)))
    } else {
      internet.remove(host.address.address, from: 0)
      internet.place(host.index, at: address, in: 0)
      host.ways[0].address = SocketAddress(address, port: 2552)
    }
  }

  private func transfer(_ bytes: UInt64, from host: SimulatedHost, to receiver: Int) {
    guard let index = host.conversations.firstIndex(where: { $0.other == receiver }) else { return }
    if host.state == .up, host.conversations[index].isConnected {
      beginTransfer(bytes, index, of: host)
      settle(host)
    } else {
      host.conversations[index].transfers.append(bytes)
    }
  }
}
