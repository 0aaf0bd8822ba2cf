internal import MeshPrimitives
internal import MeshSTUN

extension TURNClient {
  /// Begins what is most urgent, unless something is under way.
  mutating func proceed(_ now: Instant) {
    guard transaction == nil, stage == .allocated else { return }
    if wantsToFree {
      stage = .freeing
      return begin(.free, now)
    }
    if refreshDue <= now { return begin(.refresh, now) }
    let due = peers.filter { $0.due <= now }.map(\.address)
    let isFresh = peers.contains { $0.due <= now && !$0.isPermitted }
    if !due.isEmpty {
      // Those that wait go out together; one family at a time is not asked for.
      let count = isCautious ? 1 : Self.peersPerRequest
      let first = isFresh ? peers.filter { $0.due <= now && !$0.isPermitted }.map(\.address) : due
      return begin(.permit(Array(first.prefix(count))), now)
    }
    isCautious = false
    if let index = channels.firstIndex(where: { $0.due <= now }) { return begin(.bind(index), now) }
  }

  mutating func begin(_ task: Task, _ now: Instant) {
    let id = TransactionID(random: &entropy)
    let method: MessageMethod =
      switch task {
      case .allocate: .allocate
      case .clear, .refresh, .free: .refresh
      case .permit: .createPermission
      case .bind: .channelBind
      }
    let message = [UInt8](capacity: Self.maximumSize) { output in
      var writer = MessageWriter(.request, method, id, to: &output)
      write(task, to: &writer, &output)
      authentication.append(to: &writer, &output)
      writer.appendFingerprint(to: &output)
    }
    self.task = task
    sawForgery = false
    transaction = ClientTransaction(
      id, message, to: server, over: configuration.transport, timing: configuration.timing, now: now)
  }

  private func write(_ task: Task, to writer: inout MessageWriter, _ output: inout OutputRawSpan) {
    switch task {
    case .allocate:
      writer.append(.requestedTransport, UInt32(TURN.udp) << 24, to: &output)
      if let lifetime = configuration.lifetime {
        writer.append(.lifetime, UInt32(clamping: lifetime.components.seconds), to: &output)
      }
      if let token = configuration.reservationToken {
        writer.append(.reservationToken, token.bytes, to: &output)
      } else {
        switch configuration.families {
        case .v4: break
        case .v6: writer.append(.requestedAddressFamily, 2 << 24, to: &output)
        case .both: writer.append(.additionalAddressFamily, 2 << 24, to: &output)
        }
        if let evenPort = configuration.evenPort {
          writer.append(.evenPort, [evenPort == .pair && configuration.families != .both ? 0x80 : 0].bytes, to: &output)
        }
      }
      if configuration.dontFragment { writer.append(.dontFragment, to: &output) }
    case .clear, .free: writer.append(.lifetime, 0, to: &output)
    case .refresh:
      let seconds = configuration.lifetime ?? relayed?.lifetime ?? .seconds(600)
      writer.append(.lifetime, UInt32(clamping: seconds.components.seconds), to: &output)
    case .permit(let addresses):
      for address in addresses { writer.append(.xorPeerAddress, SocketAddress(address, port: 0), to: &output) }
    case .bind(let index):
      writer.append(.channelNumber, UInt32(channels[index].number) << 16, to: &output)
      writer.append(.xorPeerAddress, channels[index].peer, to: &output)
    }
  }

  // MARK: Responses

  mutating func respond(to message: borrowing STUNMessage, _ now: Instant) {
    guard let task else { return }
    switch authentication.judge(message) {
    case .ignore: sawForgery = true
    case .retry: begin(task, now)
    case .refuse(let refusal): end(.failed(.refused(refusal)))
    case .accept:
      let unknown = message.unknownAttributes(knowing: .turn)
      guard unknown.isEmpty else { return end(.failed(.unknownAttributes(unknown))) }
      transaction = nil
      self.task = nil
      if message.messageClass == .success {
        succeed(task, message, now)
      } else if let code = try? message.errorCode() {
        reject(task, code, message, now)
      } else {
        end(.failed(.malformed))
      }
      proceed(now)
    }
  }

  private mutating func succeed(_ task: Task, _ message: borrowing STUNMessage, _ now: Instant) {
    switch task {
    case .allocate: allocated(message, now)
    case .clear: begin(.allocate, now)
    case .free: end(.freed)
    case .refresh:
      let seconds = ((try? message.value(.lifetime)) ?? nil) ?? 0
      guard seconds > 0 else { return end(.failed(.malformed)) }
      relayed?.lifetime = .seconds(Int64(seconds))
      scheduleRefresh(seconds, now)
    case .permit(let addresses):
      for index in peers.indices where addresses.contains(peers[index].address) {
        if !peers[index].isPermitted { events.append(.permitted(peers[index].address)) }
        peers[index].isPermitted = true
        peers[index].due = now + Self.permissionInterval
      }
    case .bind(let index):
      if !channels[index].isBound {
        events.append(.channelBound(channels[index].peer, channels[index].number))
      }
      channels[index].isBound = true
      channels[index].due = now + Self.channelInterval
      channels[index].expiry = now.advanced(nanoseconds: TURN.channelLifetime)
    }
  }

  private mutating func allocated(_ message: borrowing STUNMessage, _ now: Instant) {
    var addresses: [SocketAddress] = []
    var offset = STUNMessage.headerSize
    do {
      while let attribute = message.attribute(at: &offset), addresses.count < 2 {
        guard attribute.type == .xorRelayedAddress else { continue }
        addresses.append(try message.address(.xorRelayedAddress, at: attribute.value))
      }
      guard !addresses.isEmpty, let mapped = try message.value(.xorMappedAddress),
        let seconds = try message.value(.lifetime), seconds > 0
      else { return end(.failed(.malformed)) }
      let relayed = Relayed(
        addresses: addresses, mappedAddress: mapped, lifetime: .seconds(Int64(seconds)),
        reservationToken: try message.copy(.reservationToken), server: server)
      self.relayed = relayed
      stage = .allocated
      scheduleRefresh(seconds, now)
      events.append(.allocated(relayed))
    } catch { end(.failed(.malformed)) }
  }

  /// A minute before the end, or at half of a short time.
  private mutating func scheduleRefresh(_ seconds: UInt32, _ now: Instant) {
    refreshDue = now + .seconds(Int64(seconds > 120 ? seconds - 60 : max(seconds / 2, 1)))
  }

  private mutating func reject(
    _ task: Task, _ code: STUNErrorCode, _ message: borrowing STUNMessage, _ now: Instant
  ) {
    switch task {
    case .allocate:
      if code == .tryAlternate { return redirect(message, now) }
      if code == .allocationMismatch, !hasCleared {
        hasCleared = true
        return begin(.clear, now)
      }
      end(.failed(.rejected(code)))
    case .clear: begin(.allocate, now)
    // Gone already.
    case .free: end(code == .allocationMismatch ? .freed : .failed(.rejected(code)))
    case .refresh: end(.failed(.rejected(code)))
    case .permit(let addresses):
      if code == .allocationMismatch { return end(.failed(.rejected(code))) }
      if addresses.count > 1 {
        // One of them, but which?
        isCautious = true
        return
      }
      for address in addresses { refused(address, code) }
    case .bind(let index):
      if code == .allocationMismatch { return end(.failed(.rejected(code))) }
      channels[index].due = .distantFuture
      channels[index].isBound = false
      events.append(.refusedPeer(channels[index].peer.address, code))
    }
  }

  private mutating func refused(_ address: IPAddress, _ code: STUNErrorCode) {
    peers.removeAll { $0.address == address }
    for index in channels.indices where channels[index].peer.address == address {
      channels[index].due = .distantFuture
      channels[index].isBound = false
    }
    events.append(.refusedPeer(address, code))
  }

  private mutating func redirect(_ message: borrowing STUNMessage, _ now: Instant) {
    guard let alternate = (try? message.value(.alternateServer)) ?? nil,
      alternate.address.family == server.address.family, servers.count <= Self.maximumRedirections,
      !servers.contains(alternate)
    else { return end(.failed(.badRedirection)) }
    servers.append(alternate)
    server = alternate
    authentication = ClientAuthentication(
      .longTerm(username: configuration.username, password: configuration.password))
    begin(.allocate, now)
  }

  mutating func timedOut(_ now: Instant) {
    guard let task else { return }
    // Nobody answers any more, and the server lets it run out by itself.
    end(task == .free ? .freed : .failed(sawForgery ? .integrityCheckViolated : .timedOut))
  }

  mutating func end(_ event: Event) {
    stage = .ended
    transaction = nil
    task = nil
    relayed = nil
    events.append(event)
  }
}
