internal import MeshPacket
internal import MeshPrimitives

// Whole messages, and datagrams.
extension Connection {
  // MARK: Sending

  /// Where messages and datagrams for a service are sent to. The same service and lane give the same channel.
  /// - Throws: `.badServiceName`, `.tooManyServices` beyond 255, `.closed`.
  public mutating func messageChannel(
    for service: String, lane: Lane = .message
  ) throws(MessageError) -> MessageChannel {
    try requireOpenForMessages()
    let name = Array(service.utf8)
    guard (1...PacketLimits.serviceLength).contains(name.count) else { throw .badServiceName(bytes: name.count) }
    if let known = outgoingChannels.first(where: { $0.lane == lane && $0.service == name }) {
      return MessageChannel(number: known.number, lane: lane)
    }
    guard outgoingChannels.count < OutgoingChannel.most else { throw .tooManyServices(limit: OutgoingChannel.most) }
    let channel = OutgoingChannel(number: UInt32(outgoingChannels.count + 1), service: name, lane: lane)
    outgoingChannels.append(channel)
    return MessageChannel(number: channel.number, lane: lane)
  }

  private func requireOpenForMessages() throws(MessageError) {
    if case .closed(let reason) = state { throw .closed(reason) }
  }

  private func find(_ channel: MessageChannel) -> OutgoingChannel {
    precondition(
      (1...outgoingChannels.count).contains(Int(channel.number)), "the channel belongs to another connection")
    return outgoingChannels[Int(channel.number) - 1]
  }

  /// The bytes of the longest message that can be sent.
  public var longestMessage: Int {
    guard configuration.peer.message > 0 else { return 0 }
    // What a lane may never reserve cannot be begun.
    // The peer tells of room as soon as a quarter of its window was read.
    let quarters = configuration.peer.data / 4 * 3
    let window = quarters > controlReserve ? quarters - controlReserve : 0
    let fits = window > IncomingMessage.overhead ? window - IncomingMessage.overhead : 0
    let buffer = max(0, min(configuration.messageBuffer, pool.mostToSend) - 1)
    return Int(clamping: min(configuration.peer.message, fits, UInt64(buffer)))
  }

  /// Takes a whole message for delivery, once, whatever is lost.
  ///
  /// - Parameter ordered: whether it is delivered after the ordered ones before it on this channel; otherwise as soon as it
  ///   has come.
  /// - Throws: `.tooLarge`, `.full`, `.unsupported`, `.closed`; nothing was taken then.
  public mutating func send(
    _ message: RawSpan, on channel: MessageChannel, ordered: Bool = false
  ) throws(MessageError) {
    try requireOpenForMessages()
    guard configuration.peer.message > 0 else { throw .unsupported }
    guard message.byteCount <= longestMessage else {
      throw .tooLarge(bytes: message.byteCount, limit: longestMessage)
    }
    let taken = messages[channel.lane.index].append(
      message, on: find(channel), ordered: ordered, limit: configuration.messageBuffer, pool: pool)
    guard taken else {
      messages[channel.lane.index].wantsWritable = true
      if messages[channel.lane.index].isStarving { pool.noteShortage() }
      throw .full
    }
    markMessagesReady(channel.lane)
  }

  /// Whether the peer has every message that was sent.
  public var hasDeliveredMessages: Bool { messages.allSatisfy(\.isEmpty) }

  /// Asks for ``ConnectionEvent/messagesDelivered`` when the peer has every message; it comes at once if that is so.
  public mutating func notifyWhenDelivered() {
    wantsDelivered = true
    reportDelivered()
  }

  /// Bytes of the longest datagram that fits into one packet to this service now. It changes with the path.
  public func longestDatagram(on channel: MessageChannel) -> Int { datagramLimit(of: find(channel)) }

  func datagramLimit(of channel: OutgoingChannel) -> Int {
    // Beside the longest number, and nothing else.
    let room = packetCapacity - PacketWriter.numberLength(PacketLimits.maxNumber)
    let name = channel.service
    let fits = PacketWriter.datagramCapacity(channel: channel.number, service: name.bytes, free: room)
    return Int(clamping: min(configuration.peer.datagram, UInt64(fits)))
  }

  /// Takes a datagram, which arrives once or not at all, and in whatever order. When more wait than the path carries, the
  /// oldest are dropped.
  /// - Throws: `.tooLarge` with the limit of the path or the peer, `.unsupported`, `.full` when there is no memory at all,
  ///   `.closed`.
  public mutating func sendDatagram(_ bytes: RawSpan, on channel: MessageChannel) throws(MessageError) {
    try requireOpenForMessages()
    guard configuration.peer.datagram > 0 else { throw .unsupported }
    let target = find(channel)
    let limit = datagramLimit(of: target)
    guard bytes.byteCount <= limit else { throw .tooLarge(bytes: bytes.byteCount, limit: limit) }
    guard datagrams.append(bytes, on: target, pool: pool) else { throw .full }
    guard !datagrams.isReady else { return }
    datagrams.isReady = true
    lanes[Lane.message.index].append(.datagrams)
  }

  mutating func markMessagesReady(_ lane: Lane) {
    let index = lane.index
    guard !messages[index].isReady else { return }
    switch messages[index].readiness(credit: credit(lane)) {
    case .nothing: return
    case .onlyWithConnectionWindow: messages[index].isBlockedByConnection = true
    case .something:
      messages[index].isReady = true
      lanes[index].append(.messages)
    }
  }

  /// A packet with a piece of a message has arrived.
  mutating func delivered(_ frame: SentFrame) {
    let lane = Lane(of: frame)
    let range = frame.offset..<frame.offset &+ UInt64(frame.length)
    messages[lane.index].acknowledge(range, bindsChannel: frame.fin, pool: pool)
    offerRoomForMessages(on: lane)
  }

  mutating func offerRoomForMessages(on lane: Lane) {
    guard messages[lane.index].wantsWritable, messages[lane.index].buffered <= configuration.messageBuffer / 4 * 3
    else { return }
    messages[lane.index].wantsWritable = false
    events.append(.messagesWritable(lane))
  }

  /// The peer knows what the number of a channel stands for.
  mutating func channelBound(_ number: UInt32) { outgoingChannels[Int(number) - 1].isBound = true }

  /// Asked at the end of a packet: what it refuses is told before what it acknowledges.
  mutating func reportDelivered() {
    guard wantsDelivered, hasDeliveredMessages else { return }
    wantsDelivered = false
    events.append(.messagesDelivered)
  }

  // MARK: Receiving

  /// The most messages that have come in part.
  private static var mostUnfinished: Int { 1024 }
  /// The most runs of numbers of messages that came.
  private static var mostMessageRanges: Int { 16_384 }
  /// The most datagrams that wait to be read, and the most bytes in them, on the whole connection.
  private static var mostDatagrams: Int { 1024 }
  private static var mostDatagramBytes: Int { 1 << 20 }

  /// The bytes of the next message; `nil` when there is none.
  public func nextMessageSize(_ inbox: InboxID) -> Int? { incomingChannels[inbox]?.messages.firstSize }

  /// Moves the next message to `output`, which has room for ``nextMessageSize(_:)`` bytes, and returns its size. `nil` when
  /// there is none: ``ConnectionEvent/messages(_:service:)`` tells of the next. Lets the peer send as much again.
  ///
  /// What had come whole before the peer ended the connection can still be read.
  public mutating func readMessage(_ inbox: InboxID, into output: inout OutputRawSpan) -> Int? {
    guard let channel = incomingChannels[inbox] else { return nil }
    guard let size = channel.messages.takeFirst(into: &output, pool: pool, emptied: &spareMessages) else {
      channel.messages.wantsReadable = true
      return nil
    }
    if closeReason == nil { consumed(IncomingMessage.cost(of: UInt64(size))) }
    return size
  }

  /// Drops the messages that wait, or the datagrams, as if they had been read, and tells the peer that nobody takes them: it
  /// gets ``ConnectionEvent/refused(_:datagrams:code:)``. Those that follow give an event again.
  public mutating func refuse(_ inbox: InboxID, datagrams: Bool) {
    guard let channel = incomingChannels[inbox] else { return }
    if datagrams {
      datagramBytes -= channel.datagrams.bytes
      channel.datagrams.discard(pool: pool)
      channel.datagrams.wantsReadable = true
    } else {
      if closeReason == nil { consumed(channel.messages.cost) }
      channel.messages.discard(pool: pool)
      channel.messages.wantsReadable = true
    }
    // Who names the service each time has no number for it, and learns nothing.
    if channel.number > 0 { refuse(channel, datagrams ? .datagrams : .messages) }
  }

  mutating func refuse(_ channel: IncomingChannel, _ kind: IncomingChannel.Refusal) {
    guard configuration.peer.refusals, closeReason == nil else { return }
    channel.refusal.insert(kind)
    needsRefusals = true
  }

  /// The bytes of the next datagram; `nil` when there is none.
  public func nextDatagramSize(_ inbox: InboxID) -> Int? { incomingChannels[inbox]?.datagrams.firstSize }

  /// As ``readMessage(_:into:)``, for datagrams.
  public mutating func readDatagram(_ inbox: InboxID, into output: inout OutputRawSpan) -> Int? {
    guard let channel = incomingChannels[inbox] else { return nil }
    guard let size = channel.datagrams.takeFirst(into: &output, pool: pool, emptied: &spareMessages) else {
      channel.datagrams.wantsReadable = true
      return nil
    }
    datagramBytes -= size
    return size
  }

  /// The peer has dropped what was sent on a channel.
  mutating func receive(_ frame: RefuseChannel) throws(ConnectionError) {
    guard (1...OutgoingChannel.most).contains(Int(frame.channel)), frame.channel <= outgoingChannels.count else {
      throw .contradictoryChannel(frame.channel)
    }
    let channel = outgoingChannels[Int(frame.channel) - 1]
    events.append(
      .refused(
        MessageChannel(number: channel.number, lane: channel.lane), datagrams: frame.datagrams, code: frame.code))
  }

  /// Takes a piece of a message. Returns `false` when there was no memory for it.
  mutating func receive(_ frame: MessageFrame, in message: RawSpan) throws(ConnectionError) -> Bool {
    let size = frame.size == 0 ? UInt64(frame.data.count) : frame.size
    guard frame.id <= PacketLimits.maxNumber else { throw .contradictoryMessage(frame.id) }
    guard let lane = Lane(rawValue: UInt8(clamping: frame.lane)) else { throw .packet(.malformed(offset: 0)) }
    guard frame.compression == 0 else { throw .packet(.unsupported(field: 8, offset: 0)) }
    guard size <= configuration.local.message else {
      throw .messageTooLong(bytes: size, limit: configuration.local.message)
    }
    if receivedMessages.contains(frame.id) { return true }
    // Numbers are given in the order in which messages are begun: so many gaps are no losses.
    guard receivedMessages.count < Self.mostMessageRanges else { throw .contradictoryMessage(frame.id) }
    let name = frame.service ?? 0..<0
    let channel = try incomingChannels.find(frame.channel, service: message.extracting(name))
    if let known = channel.lane, known != lane { throw .contradictoryMessage(frame.id) }
    let bytes = message.extracting(frame.data)
    if let known = incomingMessages[frame.id] {
      guard known.size == size, known.lane == lane, known.sequence == frame.sequence, known.channel === channel else {
        throw .contradictoryMessage(frame.id)
      }
      return try insert(bytes, at: frame.offset, into: known)
    }
    try admit(frame, size: size, on: channel)
    let isWhole = bytes.byteCount == Int(size)
    if isWhole, frame.sequence == 0 || frame.sequence == channel.nextSequence {
      guard channel.messages.append(bytes, pool: pool, for: need(of: frame.sequence, on: channel)) else { return false }
      begin(frame, size: size, on: channel, lane: lane)
      if frame.sequence > 0 { channel.nextSequence += 1 }
      finished(frame.id, on: channel)
      return true
    }
    guard incomingMessages.count < Self.mostUnfinished || isWhole else { return false }
    let new: IncomingMessage
    if let spare = spareMessages.popLast() {
      spare.begin(id: frame.id, size: size, lane: lane, sequence: frame.sequence, channel: channel)
      new = spare
    } else {
      new = IncomingMessage(id: frame.id, size: size, lane: lane, sequence: frame.sequence, channel: channel)
    }
    incomingMessages[frame.id] = new
    begin(frame, size: size, on: channel, lane: lane)
    return try insert(bytes, at: frame.offset, into: new)
  }

  /// Checks a message that is new against the window and the order of its channel.
  private func admit(
    _ frame: MessageFrame, size: UInt64, on channel: IncomingChannel
  ) throws(ConnectionError) {
    guard IncomingMessage.cost(of: size) <= dataRoom else {
      throw .windowExceeded(stream: nil, limit: dataAllowed)
    }
    guard frame.sequence > 0 else { return }
    guard frame.sequence >= channel.nextSequence, channel.held[frame.sequence] == nil else {
      throw .contradictoryMessage(frame.id)
    }
  }

  private mutating func begin(_ frame: MessageFrame, size: UInt64, on channel: IncomingChannel, lane: Lane) {
    channel.lane = lane
    dataReceived += IncomingMessage.cost(of: size)
  }

  /// The message that others wait for goes before all, and those that wait after all.
  private func need(of sequence: UInt64, on channel: IncomingChannel) -> ChunkShare.Need {
    if sequence > channel.nextSequence { return .ahead }
    return sequence == 0 || channel.held.isEmpty ? .ordinary : .filling
  }

  private mutating func insert(
    _ bytes: RawSpan, at offset: UInt64, into message: IncomingMessage
  ) throws(ConnectionError) -> Bool {
    let before = message.buffer.gaps
    let outcome = message.buffer.insert(
      bytes, at: offset, mostGaps: before + Self.mostGaps - gaps, pool: pool,
      for: need(of: message.sequence, on: message.channel))
    gaps += message.buffer.gaps - before
    guard outcome == .accepted else { return false }
    guard message.isComplete else { return true }
    let channel = message.channel
    incomingMessages[message.id] = nil
    if message.sequence == 0 {
      channel.messages.append(message)
    } else {
      guard message.sequence >= channel.nextSequence, channel.held[message.sequence] == nil else {
        message.buffer.discard(pool: pool)
        throw .contradictoryMessage(message.id)
      }
      channel.held[message.sequence] = message
    }
    finished(message.id, on: channel)
    return true
  }

  /// A message has come whole.
  private mutating func finished(_ id: UInt64, on channel: IncomingChannel) {
    counters.messagesReceived += 1
    receivedMessages.insert(id..<id + 1)
    while let next = channel.held.removeValue(forKey: channel.nextSequence) {
      channel.messages.append(next)
      channel.nextSequence += 1
    }
    guard channel.messages.wantsReadable, !channel.messages.isEmpty else { return }
    channel.messages.wantsReadable = false
    events.append(.messages(InboxID(channel: channel.index), service: channel.name))
  }

  /// Takes a datagram; one too many is dropped.
  mutating func receive(_ frame: DatagramFrame, in message: RawSpan) throws(ConnectionError) {
    let size = frame.data.count
    guard frame.compression == 0 else { throw .packet(.unsupported(field: 3, offset: 0)) }
    guard UInt64(size) <= configuration.local.datagram else {
      throw .messageTooLong(bytes: UInt64(size), limit: configuration.local.datagram)
    }
    let name = frame.service ?? 0..<0
    let channel = try incomingChannels.find(frame.channel, service: message.extracting(name))
    guard channel.datagrams.count < Self.mostDatagrams, datagramBytes + size <= Self.mostDatagramBytes,
      channel.datagrams.append(message.extracting(frame.data), pool: pool)
    else {
      counters.datagramsDropped += 1
      return
    }
    datagramBytes += size
    counters.datagramsReceived += 1
    guard channel.datagrams.wantsReadable else { return }
    channel.datagrams.wantsReadable = false
    events.append(.datagrams(InboxID(channel: channel.index), service: channel.name))
  }
}
