internal import MeshNode
internal import MeshPacket
internal import MeshPrimitives
internal import MeshReliability
internal import MeshSession

// What the applications on the hosts do: they connect, and connect again; they send, and check what comes.
extension SimulatedNetwork {
  /// Does what is due of the host's application.
  func runApplication(of host: SimulatedHost) {
    if host.nextMessage <= now { sendMessage(from: host) }
    guard host.applicationDue <= now else { return }
    for index in host.conversations.indices where host.conversations[index].dialAt <= now {
      host.conversations[index].dialAt = .distantFuture
      guard let peer = host.conversations[index].peer, !host.conversations[index].isConnected else { continue }
      host.node.connect(to: peer, now: host.clock.local(now))
    }
    updateDue(host)
  }

  func updateDue(_ host: SimulatedHost) {
    host.applicationDue = host.conversations.reduce(.distantFuture) { min($0, $1.dialAt) }
  }

  func dial(_ index: Int, of host: SimulatedHost, in delay: Duration) {
    host.conversations[index].dialAt = min(host.conversations[index].dialAt, now + delay)
    host.applicationDue = min(host.applicationDue, host.conversations[index].dialAt)
  }

  // MARK: - Events

  func take(_ event: NodeEvent, at host: SimulatedHost) {
    switch event {
    case .connected(let id): connected(id, at: host)
    case .disconnected(let id, let reason): disconnected(id, reason, at: host)
    case .unreachable(let id), .plain(let id): unreachable(id, at: host)
    case .streamOpened(let stream, let service, let key): opened(stream, service, by: key, at: host)
    case .readable(let stream): read(stream, at: host)
    case .writable(let stream):
      if let flow = host.sending[stream] { write(flow, at: host) }
    case .finished(let stream):
      if let flow = host.sending[stream] { acknowledged(flow, stream, at: host) }
    case .reset(_, let code), .stopped(_, let code):
      fail(.wrongEnd, host: host.index, "a stream was reset or stopped with \(code), and nobody asked for it")
    case .messages(let inbox, _, let key): readMessages(inbox, datagrams: false, by: key, at: host)
    case .datagrams(let inbox, _, let key): readMessages(inbox, datagrams: true, by: key, at: host)
    case .messagesWritable, .messagesDelivered, .refused, .streamsAvailable, .pong, .pathChanged, .packetSizeChanged:
      break
    case .strangerAdded, .strangerRemoved:
      fail(.impossible, host: host.index, "a stranger was let in where only listed peers are")
    }
  }

  private func connected(_ id: PeerID, at host: SimulatedHost) {
    guard let index = host.conversation(of: id) else { return }
    host.conversations[index].isConnected = true
    host.conversations[index].connectedAt = now
    host.conversations[index].failures = 0
    host.conversations[index].dialAt = .distantFuture
    updateDue(host)
    counts.connects += 1
    note("connected", host: host.index, other: host.conversations[index].other)
    let transfers = host.conversations[index].transfers
    host.conversations[index].transfers = []
    for bytes in transfers { beginTransfer(bytes, index, of: host) }
    tellWays(index, of: host)
  }

  private func disconnected(_ id: PeerID, _ reason: DisconnectReason, at host: SimulatedHost) {
    guard let index = host.conversation(of: id) else { return }
    counts.disconnects += 1
    let other = host.conversations[index].other
    note("disconnected", host: host.index, other: other)
    if reason == .closed(.timedOut) { checkVanished(index, of: host) }
    host.conversations[index].isConnected = false
    breakFlows(at: host, with: other)
    // Whoever dials does so soon; the other side only if that takes long.
    let backoff = host.conversations[index].dials ? Duration.milliseconds(500) : .seconds(8)
    dial(index, of: host, in: backoff + .milliseconds(host.index * 37 % 400))
  }

  private func unreachable(_ id: PeerID, at host: SimulatedHost) {
    guard let index = host.conversation(of: id), !host.conversations[index].isConnected else { return }
    counts.unreachable += 1
    note("unreachable", host: host.index, other: host.conversations[index].other)
    host.conversations[index].failures += 1
    let other = hosts[host.conversations[index].other]
    // As a user would who looks the address up again.
    if !other.isBehindNAT { listPeer(index, of: host) }
    let seconds = min(1 << min(host.conversations[index].failures, 4), 8)
    dial(index, of: host, in: .seconds(seconds) + .milliseconds(host.index * 37 % 400))
  }

  /// The flows between two hosts that are not over end at `host`.
  func breakFlows(at host: SimulatedHost, with other: Int?) {
    for number in openFlows {
      if flows[number].sender == host.index, other == nil || flows[number].receiver == other {
        endSending(number, at: host)
      } else if flows[number].receiver == host.index, other == nil || flows[number].sender == other {
        if flows[number].receiving == .open { flows[number].receiving = .broken }
      }
    }
    for index in host.conversations.indices where other == nil || host.conversations[index].other == other {
      host.conversations[index].flow = -1
      endLetters(index, of: host)
    }
    if let other {
      for (stream, number) in host.receiving where flows[number].sender == other { host.receiving[stream] = nil }
    } else {
      host.receiving.removeAll()
      host.unnamed.removeAll()
    }
  }

  private func endSending(_ number: Int, at host: SimulatedHost) {
    guard !flows[number].isAcknowledged, flows[number].sending != .broken else { return }
    flows[number].sending = .broken
    if let stream = flows[number].senderStream { host.sending[stream] = nil }
    switch flows[number].kind {
    case .transfer: counts.transfersEnded += 1
    case .messages, .oneMessage: counts.messagesEnded += UInt64(flows[number].waiting)
    }
  }

  // MARK: - Sending

  private func sendMessage(from host: SimulatedHost) {
    guard let traffic = scenario.messages else { return host.nextMessage = .distantFuture }
    host.nextMessage = host.nextMessage + traffic.interval
    guard !isSilent, !host.conversations.isEmpty else { return }
    let index = host.turn % host.conversations.count
    host.turn += 1
    counts.messagesOffered += 1
    guard host.conversations[index].isConnected else { return counts.messagesRefused += 1 }
    switch traffic.carrier {
    case .message, .unordered, .datagram:
      if !sendLetter(traffic.size, traffic.carrier, index, of: host) { counts.messagesRefused += 1 }
    case .stream:
      if host.conversations[index].flow < 0 {
        guard let flow = open("m", .messages, index, of: host) else { return counts.messagesRefused += 1 }
        host.conversations[index].flow = flow
      }
      let flow = host.conversations[index].flow
      flows[flow].offer(traffic.size, now: now)
      write(flow, at: host)
    case .streams:
      guard let flow = open("m", .oneMessage, index, of: host) else { return counts.messagesRefused += 1 }
      flows[flow].offer(traffic.size, now: now)
      flows[flow].isComplete = true
      write(flow, at: host)
    }
  }

  func beginTransfer(_ bytes: UInt64, _ index: Int, of host: SimulatedHost) {
    guard let flow = open("t", .transfer, index, of: host) else {
      host.conversations[index].transfers.append(bytes)
      return
    }
    counts.transfersBegun += 1
    flows[flow].offered = 8 + bytes
    flows[flow].isComplete = true
    series.append(Series(flow: flow, sender: host.index, receiver: host.conversations[index].other))
    write(flow, at: host)
  }

  private func open(_ service: String, _ kind: Flow.Kind, _ index: Int, of host: SimulatedHost) -> Int? {
    guard let peer = host.conversations[index].peer,
      let stream = try? host.node.openStream(to: peer, service: service)
    else { return nil }
    var flow = Flow(sender: host.index, receiver: host.conversations[index].other, kind: kind, began: now)
    flow.senderStream = stream
    flow.progress = now
    flows.append(flow)
    openFlows.append(flows.count - 1)
    host.sending[stream] = flows.count - 1
    return flows.count - 1
  }

  /// Gives the node as much of a flow as it takes.
  func write(_ number: Int, at host: SimulatedHost) {
    guard let stream = flows[number].senderStream, flows[number].sending == .open else { return }
    let content = content
    while flows[number].written < flows[number].offered {
      let written = flows[number].written
      let wanted: Int
      let taken: Int
      if written < 8 {
        wanted = Int(8 - written)
        let name = Array(capacity: 8) { $0.append(UInt64(number), .little) }
        taken = put(name.bytes.extracting(Int(written)..<8), stream, host)
      } else {
        wanted = Int(min(flows[number].offered - written, UInt64(FlowContent.longest)))
        taken = put(content.bytes(of: number, from: written, count: wanted), stream, host)
      }
      flows[number].written += UInt64(taken)
      guard taken == wanted else { return }
    }
    if flows[number].isComplete {
      flows[number].sending = .finished
      do throws(StreamError) { try host.node.finish(stream) } catch { refused(error, host) }
    }
  }

  private func put(_ bytes: RawSpan, _ stream: StreamHandle, _ host: SimulatedHost) -> Int {
    do throws(StreamError) { return try host.node.write(bytes, to: stream) } catch { refused(error, host) }
    return 0
  }

  /// The connection may have ended just now: the event that says so is next.
  private func refused(_ error: StreamError, _ host: SimulatedHost) {
    if case .closed = error { return }
    fail(.wrongEnd, host: host.index, "a stream that nobody ended takes no bytes: \(error)")
  }

  private func acknowledged(_ number: Int, _ stream: StreamHandle, at host: SimulatedHost) {
    host.sending[stream] = nil
    flows[number].isAcknowledged = true
    if flows[number].sending != .finished || flows[number].received != flows[number].offered {
      fail(
        .wrongEnd, host: host.index,
        "all of a stream is said to have arrived: \(flows[number].received) of \(flows[number].offered) bytes did")
    }
  }

  // MARK: - Receiving

  private func opened(_ stream: StreamHandle, _ service: String, by key: PublicKey, at host: SimulatedHost) {
    guard let index = host.conversation(of: stream.peer), hosts[host.conversations[index].other].publicKey == key,
      service == "m" || service == "t"
    else { return fail(.misdelivered, host: host.index, "a stream for '\(service)' by somebody who is no neighbour") }
    host.unnamed.insert(stream)
  }

  private func read(_ stream: StreamHandle, at host: SimulatedHost) {
    let transmit = transmit
    while violation == nil {
      guard let result = try? transmit.read(stream, of: &host.node) else { return }
      switch result {
      case .bytes: receive(transmit.bytes, on: stream, at: host)
      case .blocked: return
      case .finished: return finished(stream, at: host)
      case .reset:
        return fail(.wrongEnd, host: host.index, "a stream was reset, and nobody asked for it")
      }
    }
  }

  private func receive(_ bytes: RawSpan, on stream: StreamHandle, at host: SimulatedHost) {
    var bytes = bytes
    guard let number = host.receiving[stream] ?? bind(stream, &bytes, at: host) else { return }
    let position = flows[number].received
    guard position + UInt64(bytes.byteCount) <= flows[number].written else {
      return fail(
        .wrongBytes, host: host.index,
        "flow \(number): \(position + UInt64(bytes.byteCount)) bytes came, \(flows[number].written) were written")
    }
    guard matches(bytes, flow: number, from: position) else {
      return fail(.wrongBytes, host: host.index, "flow \(number): other bytes than those that were sent at \(position)")
    }
    flows[number].received = position + UInt64(bytes.byteCount)
    flows[number].progress = now
    counts.payload &+= UInt64(bytes.byteCount)
    while let message = flows[number].popReceived() { delivered(message, number, at: host) }
  }

  private func delivered(_ message: Flow.Message, _ number: Int, at host: SimulatedHost) {
    // The sender may have given it up already: then it was counted there.
    if flows[number].sending == .broken { counts.messagesEnded -= 1 }
    counts.messagesDelivered += 1
    counts.latency.add(now.nanoseconds(since: message.sent))
    let sender = hosts[flows[number].sender]
    for index in sender.conversations.indices where sender.conversations[index].other == host.index {
      sender.conversations[index].deliveredSent = max(sender.conversations[index].deliveredSent, message.sent)
    }
  }

  /// The first bytes of a stream say which flow it is.
  private func bind(_ stream: StreamHandle, _ bytes: inout RawSpan, at host: SimulatedHost) -> Int? {
    guard host.unnamed.remove(stream) != nil else {
      fail(.impossible, host: host.index, "bytes came on a stream that was not opened")
      return nil
    }
    guard bytes.byteCount >= 8 else {
      fail(.wrongBytes, host: host.index, "a stream begins with \(bytes.byteCount) bytes where eight were sent at once")
      return nil
    }
    var reader = ByteReader(bytes)
    let number = (try? reader.readUInt64(.little)) ?? .max
    guard number < UInt64(flows.count), flows[Int(number)].receiver == host.index,
      let index = host.conversation(of: stream.peer), flows[Int(number)].sender == host.conversations[index].other
    else {
      fail(.misdelivered, host: host.index, "a stream says that it is flow \(number), which it is not")
      return nil
    }
    guard !flows[Int(number)].isBound else {
      fail(.misdelivered, host: host.index, "flow \(number) came twice")
      return nil
    }
    flows[Int(number)].isBound = true
    flows[Int(number)].received = 8
    host.receiving[stream] = Int(number)
    bytes = bytes.extracting(8..<bytes.byteCount)
    return Int(number)
  }

  func matches(_ bytes: RawSpan, flow: Int, from position: UInt64) -> Bool {
    let count = bytes.byteCount
    let content = content
    let wanted = content.bytes(of: flow, from: position, count: count)
    guard wanted.byteCount == count else { return false }
    var offset = 0
    while offset + 8 <= count {
      let left = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
      guard unsafe left == wanted.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self) else { return false }
      offset += 8
    }
    while offset < count {
      guard bytes.byte(at: offset) == wanted.byte(at: offset) else { return false }
      offset += 1
    }
    return true
  }

  private func finished(_ stream: StreamHandle, at host: SimulatedHost) {
    guard let number = host.receiving.removeValue(forKey: stream) else {
      // The sending half of a stream of ours is one-sided: the other end says its end at once.
      guard host.unnamed.remove(stream) != nil else { return }
      return fail(.wrongEnd, host: host.index, "a stream ended before it said which flow it is")
    }
    guard flows[number].isComplete, flows[number].received == flows[number].offered else {
      return fail(
        .wrongEnd, host: host.index,
        "flow \(number) ended at \(flows[number].received) of \(flows[number].offered) bytes")
    }
    flows[number].receiving = .finished
    flows[number].ended = now
    if flows[number].kind == .transfer { counts.transfersDone += 1 }
    // The way back is not used.
    try? host.node.finish(stream)
  }
}
