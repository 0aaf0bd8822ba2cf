public import MeshPrimitives
internal import MeshSTUN

extension TURNServer {
  func relay(_ id: RelayID) -> Relay? {
    guard id.slot < relays.count, let relay = relays[id.slot], relay.id == id else { return nil }
    return relay
  }

  /// Chooses an address and asks for a socket there.
  mutating func open(_ address: SocketAddress, owner: Int?) -> RelayID {
    let slot: Int
    if let free = freeRelays.popLast() {
      slot = free
      relayGenerations[slot] &+= 1
    } else {
      slot = relays.count
      relays.append(nil)
      relayGenerations.append(0)
    }
    let id = RelayID(slot: slot, generation: relayGenerations[slot] & 0xFFF)
    relays[slot] = Relay(id: id, address: address, owner: owner)
    byRelayAddress[address] = id
    events.append(.open(id, address))
    return id
  }

  mutating func close(_ id: RelayID) {
    guard let relay = relay(id) else { return }
    relays[id.slot] = nil
    freeRelays.append(id.slot)
    if byRelayAddress[relay.address] == id { byRelayAddress[relay.address] = nil }
    events.append(.close(id))
  }

  /// A port of the range that no relayed socket of the address has; `nil` when twenty tries found none.
  mutating func freePort(_ address: IPAddress, isEven: Bool = false, isPair: Bool = false) -> UInt16? {
    let ports = configuration.ports
    for _ in 0..<Self.maximumAttempts {
      var port = ports.lowerBound + UInt16(entropy.nextUInt64() % UInt64(ports.count))
      if isEven { port &= ~1 }
      guard ports.contains(port), byRelayAddress[SocketAddress(address, port: port)] == nil else { continue }
      if isPair {
        guard port < ports.upperBound, byRelayAddress[SocketAddress(address, port: port + 1)] == nil else { continue }
      }
      return port
    }
    return nil
  }

  /// The socket of an ``Event/open(_:_:)`` is open.
  public mutating func opened(_ id: RelayID, now: Instant) {
    guard relay(id) != nil else { return }
    relays[id.slot]?.isOpen = true
    if let slot = relays[id.slot]?.owner { finishIfOpen(slot, now) }
  }

  /// The socket of an ``Event/open(_:_:)`` could not be opened: another port is tried, up to twenty times.
  public mutating func failedToOpen(_ id: RelayID, now: Instant) {
    guard let failed = relay(id) else { return }
    guard let slot = failed.owner, let allocation = allocations[slot], failed.attempts < Self.maximumAttempts,
      allocation.token == nil, let port = freePort(failed.address.address)
    else {
      if let slot = failed.owner {
        refuse(slot, .insufficientCapacity, now)
      } else {
        // A reserved port: whoever comes with the token is refused.
        reservations.removeAll { $0.relay == id }
        close(id)
      }
      return
    }
    if byRelayAddress[failed.address] == id { byRelayAddress[failed.address] = nil }
    let address = SocketAddress(failed.address.address, port: port)
    relays[id.slot]?.address = address
    relays[id.slot]?.attempts += 1
    byRelayAddress[address] = id
    events.append(.open(id, address))
  }

  private mutating func finishIfOpen(_ slot: Int, _ now: Instant) {
    guard let allocation = allocations[slot], allocation.stage == .opening,
      [allocation.relayV4, allocation.relayV6].allSatisfy({ id in id.map { relay($0)?.isOpen ?? false } ?? true })
    else { return }
    allocations[slot]?.stage = .open
    enqueue(success(allocation), allocation.path)
    if let id = allocation.relayV4 ?? allocation.relayV6, let address = relay(id)?.address {
      events.append(.allocated(allocation.path, user: allocation.user, relayed: address))
    }
  }

  /// The answer to Allocate (RFC 8656 §7.2), also to a copy of the request.
  func success(_ allocation: Allocation) -> [UInt8] {
    [UInt8](capacity: 512) { output in
      var writer = MessageWriter(.success, .allocate, allocation.transactionID, to: &output)
      for id in [allocation.relayV4, allocation.relayV6] {
        if let id, let relay = relay(id) { writer.append(.xorRelayedAddress, relay.address, to: &output) }
      }
      writer.append(.lifetime, allocation.lifetime, to: &output)
      let client = allocation.path.address
      writer.append(.xorMappedAddress, SocketAddress(client.address.unmapped, port: client.port), to: &output)
      if let token = allocation.token {
        let bytes = [UInt8](capacity: 8) { $0.append(token, .big) }
        writer.append(.reservationToken, bytes.bytes, to: &output)
      }
      if allocation.missingV6 { writer.append(.addressErrorCode, 2 << 24 | 4 << 8 | 40, to: &output) }
      if let software = configuration.software { writer.append(.software, software, to: &output) }
      writer.appendIntegrity(allocation.algorithm, allocation.key, to: &output)
      if allocation.wantsFingerprint { writer.appendFingerprint(to: &output) }
    }
  }

  /// Ends an allocation that never came to be.
  private mutating func refuse(_ slot: Int, _ code: STUNErrorCode, _ now: Instant) {
    guard let allocation = allocations[slot] else { return }
    drops.count(.insufficientCapacity)
    let answer = [UInt8](capacity: 256) { output in
      var writer = MessageWriter(.error, .allocate, allocation.transactionID, to: &output)
      writer.append(code, to: &output)
      writer.appendIntegrity(allocation.algorithm, allocation.key, to: &output)
      if allocation.wantsFingerprint { writer.appendFingerprint(to: &output) }
    }
    enqueue(answer, allocation.path)
    free(slot)
  }

  /// Ends an allocation.
  mutating func free(_ slot: Int) {
    guard let allocation = allocations[slot] else { return }
    allocations[slot] = nil
    freeAllocations.append(slot)
    byPath[allocation.path] = nil
    expiries.cancel(UInt32(slot))
    if let count = byUser[allocation.user] { byUser[allocation.user] = count > 1 ? count - 1 : nil }
    for id in [allocation.relayV4, allocation.relayV6] { if let id { close(id) } }
    if allocation.stage == .open {
      events.append(
        .freed(
          allocation.path, user: allocation.user, bytesToPeers: allocation.bytesToPeers,
          bytesToClient: allocation.bytesToClient))
    }
  }
}
