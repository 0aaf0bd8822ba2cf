internal import MeshPrimitives
internal import MeshSTUN

extension TURNServer {
  /// Whoever made a request, once it is known.
  struct Client {
    let path: ClientPath
    let user: UserDirectory.Found
    let algorithm: IntegrityAlgorithm
  }

  mutating func message(
    _ bytes: RawSpan, _ start: Int, _ path: ClientPath, _ now: Instant, _ wallSeconds: Int64
  ) -> Action {
    guard let message = try? STUNMessage(bytes) else { return drop(.notTURN) }
    guard message.fingerprint != .wrong else { return drop(.wrongFingerprint) }
    switch (message.messageClass, message.method) {
    case (.indication, .send): return send(message, start, path, now)
    case (.indication, .binding): return .none
    case (.request, .binding):
      var isAnswered = false
      let answer = [UInt8](capacity: BindingServer.maximumSize) {
        isAnswered = binding.respond(to: bytes, from: path.address, now: now, into: &$0) != nil
      }
      if isAnswered { enqueue(answer, path) } else { drops.count(.rateLimited) }
      return .none
    case (.request, .allocate), (.request, .refresh), (.request, .createPermission), (.request, .channelBind):
      guard limiter.allow(path.address.address, now: now) else { return drop(.rateLimited) }
      request(message, path, now, wallSeconds)
      return .none
    default: return drop(.unexpectedMessage)
    }
  }

  /// A Send indication (RFC 8656 §11.2).
  private mutating func send(
    _ message: borrowing STUNMessage, _ start: Int, _ path: ClientPath, _ now: Instant
  ) -> Action {
    guard let slot = byPath[path], let allocation = allocations[slot], allocation.stage == .open else {
      return drop(.noAllocation)
    }
    guard let peer = try? message.value(.xorPeerAddress), let data = message.range(of: .data), peer.port != 0 else {
      return drop(.malformed)
    }
    guard message.unknownAttributes(knowing: .turn).isEmpty else { return drop(.malformed) }
    if !configuration.supportsDontFragment, message.contains(.dontFragment) { return drop(.malformed) }
    guard allocation.isPermitted(peer.address, now.nanoseconds) else { return drop(.noPermission) }
    return relay(start + data.lowerBound..<start + data.upperBound, slot, to: peer, now)
  }

  private mutating func request(
    _ message: borrowing STUNMessage, _ path: ClientPath, _ now: Instant, _ wallSeconds: Int64
  ) {
    let client: Client
    switch authentication.judge(message, from: path.address, now: now, wallSeconds: wallSeconds) {
    case .accept(let found, let algorithm): client = Client(path: path, user: found, algorithm: algorithm)
    case .challenge(let code):
      drops.count(code == .staleNonce ? .staleNonce : .unauthenticated)
      let answer = [UInt8](capacity: 512) { output in
        var writer = MessageWriter(.error, message.method, message.transactionID, to: &output)
        writer.append(code, isPhrased: false, to: &output)
        authentication.appendChallenge(to: &writer, for: path.address, now: now, &output)
        if message.fingerprint == .valid { writer.appendFingerprint(to: &output) }
      }
      return enqueue(answer, path)
    case .badRequest: return refuse(message, nil, path, .badRequest, .badRequest)
    }
    let unknown = unknownAttributes(message)
    guard unknown.isEmpty else {
      return refuse(message, client, path, .unknownAttribute, .unknownAttribute, unknown)
    }
    let isOther = byPath[path].flatMap { allocations[$0] }.map { $0.user != client.user.user } ?? false
    guard !isOther else { return refuse(message, client, path, .wrongCredentials, .wrongCredentials) }
    do {
      switch message.method {
      case .allocate: try allocate(message, client, now)
      case .refresh: try refresh(message, client, now)
      case .createPermission: try createPermission(message, client, now)
      default: try channelBind(message, client, now)
      }
    } catch { refuse(message, client, path, .badRequest, .badRequest) }
  }

  private func unknownAttributes(_ message: borrowing STUNMessage) -> [AttributeType] {
    var unknown = message.unknownAttributes(knowing: .turn)
    if !configuration.supportsDontFragment, message.contains(.dontFragment) { unknown.append(.dontFragment) }
    return unknown
  }

  private mutating func refuse(
    _ message: borrowing STUNMessage, _ client: Client?, _ path: ClientPath, _ code: STUNErrorCode, _ reason: Drop,
    _ unknown: [AttributeType] = [], alternate: SocketAddress? = nil
  ) {
    drops.count(reason)
    let answer = [UInt8](capacity: 512) { output in
      var writer = MessageWriter(.error, message.method, message.transactionID, to: &output)
      writer.append(code, isPhrased: client != nil, to: &output)
      if !unknown.isEmpty { writer.append(unknownAttributes: unknown, to: &output) }
      if let alternate { writer.append(.alternateServer, alternate, to: &output) }
      if let client { writer.appendIntegrity(client.algorithm, client.user.key, to: &output) }
      if message.fingerprint == .valid { writer.appendFingerprint(to: &output) }
    }
    enqueue(answer, path)
  }

  private mutating func accept(
    _ message: borrowing STUNMessage, _ client: Client, lifetime: UInt32? = nil
  ) {
    let answer = [UInt8](capacity: 256) { output in
      var writer = MessageWriter(.success, message.method, message.transactionID, to: &output)
      if let lifetime { writer.append(.lifetime, lifetime, to: &output) }
      writer.appendIntegrity(client.algorithm, client.user.key, to: &output)
      if message.fingerprint == .valid { writer.appendFingerprint(to: &output) }
    }
    enqueue(answer, client.path)
  }

  // MARK: Allocate (RFC 8656 §7.2)

  private func lifetime(_ wanted: UInt32?) -> UInt32 {
    let usual = UInt32(clamping: configuration.defaultLifetime.components.seconds)
    let longest = UInt32(clamping: configuration.maximumLifetime.components.seconds)
    return min(max(wanted ?? usual, usual), max(longest, 1))
  }

  private mutating func allocate(
    _ message: borrowing STUNMessage, _ client: Client, _ now: Instant
  ) throws(STUNError) {
    let path = client.path
    if let slot = byPath[path], let allocation = allocations[slot] {
      if allocation.transactionID == message.transactionID {
        // A copy of the request: the same answer, when there is one.
        if allocation.stage == .open { enqueue(success(allocation), path) }
        return
      }
      return refuse(message, client, path, .allocationMismatch, .allocationMismatch)
    }
    guard let transport = try message.value(.requestedTransport) else { throw .missing(.requestedTransport) }
    guard transport >> 24 == UInt32(TURN.udp) else {
      return refuse(message, client, path, .unsupportedTransportProtocol, .unsupportedTransport)
    }
    let family = try message.value(.requestedAddressFamily).map { $0 >> 24 }
    let additional = try message.value(.additionalAddressFamily).map { $0 >> 24 }
    let evenPort = try message.value(.evenPort).map { message.bytes.byte(at: $0.lowerBound) }
    let token = try message.value(.reservationToken).map { range in
      var reader = ByteReader(message.bytes.extracting(range))
      return (try? reader.readUInt64(.big)) ?? 0
    }
    let isPair = (evenPort ?? 0) & 0x80 != 0
    guard family == nil || additional == nil, additional == nil || additional == 2, additional == nil || !isPair,
      token == nil || evenPort == nil && family == nil && additional == nil
    else { throw .malformed(.additionalAddressFamily) }
    guard family == nil || family == 1 || family == 2 else {
      return refuse(message, client, path, .addressFamilyNotSupported, .familyNotSupported)
    }
    let address = family == 2 ? configuration.relayV6 : configuration.relayV4
    guard let address else {
      return refuse(message, client, path, .addressFamilyNotSupported, .familyNotSupported)
    }
    guard byPath.count < configuration.maximumAllocations else {
      if let alternate = configuration.alternateServer {
        return refuse(message, client, path, .tryAlternate, .redirected, alternate: alternate)
      }
      return refuse(message, client, path, .insufficientCapacity, .insufficientCapacity)
    }
    guard byUser[client.user.user, default: 0] < configuration.allocationsPerUser else {
      return refuse(message, client, path, .allocationQuotaReached, .quotaReached)
    }
    var reserved: RelayID?
    if let token {
      guard let index = reservations.firstIndex(where: { $0.token == token && $0.expiry > now.nanoseconds }),
        let relay = relay(reservations[index].relay), relay.isOpen
      else { return refuse(message, client, path, .insufficientCapacity, .insufficientCapacity) }
      reserved = reservations.remove(at: index).relay
    }
    var port: UInt16 = 0
    if reserved == nil {
      guard let free = freePort(address, isEven: evenPort != nil, isPair: isPair) else {
        return refuse(message, client, path, .insufficientCapacity, .insufficientCapacity)
      }
      port = free
    }

    let seconds = lifetime(try message.value(.lifetime))
    let expiry = now.advanced(nanoseconds: Int64(seconds) * 1_000_000_000)
    var allocation = Allocation(
      path: path, user: client.user.user, transactionID: message.transactionID, key: client.user.key,
      algorithm: client.algorithm, expiry: expiry.nanoseconds, lifetime: seconds,
      wantsFingerprint: message.fingerprint == .valid)
    let slot = freeAllocations.popLast() ?? allocations.count
    if slot == allocations.count { allocations.append(nil) }
    if let reserved {
      relays[reserved.slot]?.owner = slot
      allocation.relayV4 = reserved
    } else {
      let id = open(SocketAddress(address, port: port), owner: slot)
      if address.family == .v4 { allocation.relayV4 = id } else { allocation.relayV6 = id }
      if isPair {
        let token = entropy.nextUInt64()
        let next = open(SocketAddress(address, port: port + 1), owner: nil)
        reservations.append(
          Reservation(
            token: token, relay: next,
            expiry: now.advanced(nanoseconds: TURN.reservationLifetime).nanoseconds))
        allocation.token = token
      }
    }
    if additional != nil {
      if let v6 = configuration.relayV6, let free = freePort(v6) {
        allocation.relayV6 = open(SocketAddress(v6, port: free), owner: slot)
      } else {
        allocation.missingV6 = true
      }
    }
    allocations[slot] = allocation
    byPath[path] = slot
    byUser[client.user.user, default: 0] += 1
    expiries.schedule(UInt32(slot), at: expiry)
    if let reserved { opened(reserved, now: now) }
  }

  // MARK: Refresh (RFC 8656 §8.2)

  private mutating func refresh(
    _ message: borrowing STUNMessage, _ client: Client, _ now: Instant
  ) throws(STUNError) {
    guard let slot = byPath[client.path], let allocation = allocations[slot], allocation.stage == .open else {
      return refuse(message, client, client.path, .allocationMismatch, .allocationMismatch)
    }
    let family = try message.value(.requestedAddressFamily).map { $0 >> 24 }
    if let family {
      guard family == 1 && allocation.relayV4 != nil || family == 2 && allocation.relayV6 != nil else {
        return refuse(message, client, client.path, .peerAddressFamilyMismatch, .familyMismatch)
      }
    }
    let wanted = try message.value(.lifetime)
    guard wanted != 0 else {
      accept(message, client, lifetime: 0)
      if let family, allocation.relayV4 != nil, allocation.relayV6 != nil {
        // One of two.
        if let id = family == 1 ? allocation.relayV4 : allocation.relayV6 { close(id) }
        if family == 1 { allocations[slot]?.relayV4 = nil } else { allocations[slot]?.relayV6 = nil }
      } else {
        free(slot)
      }
      return
    }
    let seconds = lifetime(wanted)
    let expiry = now.advanced(nanoseconds: Int64(seconds) * 1_000_000_000)
    allocations[slot]?.expiry = expiry.nanoseconds
    allocations[slot]?.lifetime = seconds
    expiries.schedule(UInt32(slot), at: expiry)
    accept(message, client, lifetime: seconds)
  }

  // MARK: Permissions and channels (RFC 8656 §9, §12)

  /// Why a peer cannot be one, if so.
  private func objection(_ peer: SocketAddress, _ allocation: Allocation) -> (STUNErrorCode, Drop)? {
    if allocation.relay(peer.address.family) == nil { return (.peerAddressFamilyMismatch, .familyMismatch) }
    // Its own addresses are the business of `relay(_:_:to:_:)`: only sockets that it relays for can be reached there.
    if peer.address == configuration.relayV4 || peer.address == configuration.relayV6 { return nil }
    guard !isOwn(peer.address), configuration.peers.allows(peer.address) else { return (.forbidden, .forbidden) }
    return nil
  }

  private mutating func createPermission(
    _ message: borrowing STUNMessage, _ client: Client, _ now: Instant
  ) throws(STUNError) {
    guard let slot = byPath[client.path], let allocation = allocations[slot], allocation.stage == .open else {
      return refuse(message, client, client.path, .allocationMismatch, .allocationMismatch)
    }
    var peers: [SocketAddress] = []
    var offset = STUNMessage.headerSize
    while let attribute = message.attribute(at: &offset) {
      guard attribute.type == .xorPeerAddress else { continue }
      peers.append(try message.address(.xorPeerAddress, at: attribute.value))
    }
    guard !peers.isEmpty else { throw .missing(.xorPeerAddress) }
    for peer in peers {
      if let (code, reason) = objection(peer, allocation) {
        return refuse(message, client, client.path, code, reason)
      }
    }
    let limit = configuration.maximumPermissions
    for peer in peers {
      let isPermitted =
        allocations[slot]?.permit(
          peer.address, now.nanoseconds, limit: limit) ?? false
      guard isPermitted else {
        return refuse(message, client, client.path, .insufficientCapacity, .insufficientCapacity)
      }
    }
    accept(message, client)
  }

  private mutating func channelBind(
    _ message: borrowing STUNMessage, _ client: Client, _ now: Instant
  ) throws(STUNError) {
    guard let slot = byPath[client.path], let allocation = allocations[slot], allocation.stage == .open else {
      return refuse(message, client, client.path, .allocationMismatch, .allocationMismatch)
    }
    guard let value = try message.value(.channelNumber), let peer = try message.value(.xorPeerAddress) else {
      throw .missing(.channelNumber)
    }
    let number = UInt16(truncatingIfNeeded: value >> 16)
    guard ChannelData.numbers.contains(number), peer.port != 0 else { throw .malformed(.channelNumber) }
    if let (code, reason) = objection(peer, allocation) {
      return refuse(message, client, client.path, code, reason)
    }
    let time = now.nanoseconds
    let (channels, permissions) = (configuration.maximumChannels, configuration.maximumPermissions)
    let binding = allocations[slot]?.bind(number, to: peer, time, limit: channels) ?? .full
    guard binding != .conflict else { throw .malformed(.channelNumber) }
    guard binding == .bound,
      allocations[slot]?.permit(peer.address, time, limit: permissions) ?? false
    else { return refuse(message, client, client.path, .insufficientCapacity, .insufficientCapacity) }
    accept(message, client)
  }
}
