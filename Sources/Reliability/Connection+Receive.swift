internal import MeshPacket
public import MeshPrimitives

// What comes from the peer.
extension Connection {
  /// Takes one whole `Packet` message, decrypted.
  ///
  /// - Parameter ecn: how the packet that carried it was marked on arrival.
  /// - Throws: a ``ConnectionError`` when the peer broke the rules; the connection has then ended (not after
  ///   `.packet(.notCanonical)`) and the caller tells the peer.
  public mutating func handle(_ message: RawSpan, ecn: ECN, now: Instant) throws(ConnectionError) -> PacketOutcome {
    guard case .open = state else { return .closed }
    do {
      return try process(message, ecn: ecn, now: now)
    } catch {
      if case .packet(.notCanonical) = error { throw error }
      end(.violation(error))
      throw error
    }
  }

  private mutating func process(_ message: RawSpan, ecn: ECN, now: Instant) throws(ConnectionError) -> PacketOutcome {
    var reader = PacketReader(message)
    guard case .number(let number)? = try next(&reader) else { return .unnumbered }
    if acks.isDuplicate(number) {
      counters.duplicates += 1
      return .duplicate
    }
    lastReceived = now
    // A packet whose frames were processed in part and which then found no memory is not recorded: every frame may come
    // twice without harm.
    var asksForAck = false
    var hasContent = false
    var hasForeignFrames = false
    while let frame = try next(&reader) {
      if !asksForAck, frame.isAckEliciting { asksForAck = true }
      switch frame {
      case .stream(let stream):
        hasContent = true
        guard try receive(stream, in: message) else {
          counters.noRoom += 1
          return .noRoom
        }
      case .message(let piece):
        hasContent = true
        guard try receive(piece, in: message) else {
          counters.noRoom += 1
          return .noRoom
        }
      case .datagram(let datagram):
        hasContent = true
        try receive(datagram, in: message)
      case .ack(let ack): try receive(ack, in: message, now: now)
      case .maxData(let limit): raiseDataLimit(limit)
      case .streamMaxData(let update): try receive(update)
      case .resetStream(let reset): try receive(reset)
      case .stopSending(let stop): try receive(stop)
      case .maxStreams(let update): receive(update)
      case .refuseChannel(let refusal): try receive(refusal)
      case .ping, .number, .dataBlocked, .streamDataBlocked, .streamsBlocked: break
      case .pathProbe, .pathReply, .relay, .ipFragment, .other: hasForeignFrames = true
      }
    }
    reportDelivered()
    counters.packetsReceived += 1
    newestAsked = asksForAck && number > acks.largest
    acks.record(number, asksForAck: asksForAck, ecn: ecn, ownNext: sent.next, now: now)
    // Where a first acknowledgement was perhaps lost for its mark, others follow without, but for one that asks each second.
    path.holdsMarks =
      !path.markedArrived && silentPackets > 0 && unanswered == 0
      && now.nanoseconds(since: silentSince) < 1_000_000_000
    if hasContent {
      contentBytes = message.byteCount &+ (now.nanoseconds(since: lastContent) < Self.quietTime ? contentBytes : 0)
      lastContent = now
    }
    if asksForAck { trimAt = now.advanced(nanoseconds: Self.quietTime) }
    return .accepted(hasForeignFrames: hasForeignFrames)
  }

  @inline(__always)
  private func next(_ reader: inout PacketReader) throws(ConnectionError) -> Frame? {
    do { return try reader.next() } catch { throw .packet(error) }
  }

  /// Memory that only a busy connection needs is given back after so many nanoseconds of quiet.
  static var quietTime: Int64 { 2_000_000_000 }

  // MARK: Streams

  /// The stream that a frame of the peer is about; `nil` when it has ended.
  private mutating func stream(_ number: UInt64) throws(ConnectionError) -> Stream? {
    if let stream = table.find(number) { return stream }
    let id = StreamID(rawValue: number)
    let quota = table[isOneWay: id.isOneWay]
    if id.isOdd == table.opensOdd {
      guard id.index < quota.opened else { throw .wrongStream(id) }
      return nil
    }
    guard id.index >= quota.peerOpened else { return nil }
    guard id.index < quota.peerMayOpen else { throw .tooManyStreams(id, limit: quota.peerMayOpen) }
    // Those before it are open as well: their first frames are late or lost.
    for index in quota.peerOpened...id.index {
      table.add(
        Stream(
          id: StreamID(index: index, odd: !table.opensOdd, oneWay: id.isOneWay), isLocal: false, service: [],
          options: StreamOptions(), sendLimit: configuration.peer.streamData, window: newStreamWindow))
    }
    table[isOneWay: id.isOneWay].peerOpened = id.index + 1
    return table.find(number)
  }

  /// The same for a frame that only the sender of the stream's data may send.
  private mutating func readableStream(_ number: UInt64) throws(ConnectionError) -> Stream? {
    let stream = try stream(number)
    if let stream, !stream.isReadable { throw .wrongStream(stream.id) }
    return stream
  }

  /// The same for a frame that only the receiver of the stream's data may send.
  private mutating func writableStream(_ number: UInt64) throws(ConnectionError) -> Stream? {
    let stream = try stream(number)
    if let stream, !stream.isWritable { throw .wrongStream(stream.id) }
    return stream
  }

  /// Checks the end of received data against windows and final size, and counts what is new.
  private mutating func admit(_ stream: Stream, end: UInt64, isFinal: Bool) throws(ConnectionError) {
    if let size = stream.finalSize {
      guard isFinal ? end == size : end <= size else { throw .finalSizeChanged(stream.id, was: size, now: end) }
      return
    }
    let highest = stream.receive.highest
    if isFinal, end < highest { throw .finalSizeChanged(stream.id, was: highest, now: end) }
    guard end > highest else { return }
    guard end <= stream.receiveLimit else { throw .windowExceeded(stream: stream.id, limit: stream.receiveLimit) }
    guard end - highest <= dataRoom else { throw .windowExceeded(stream: nil, limit: dataAllowed) }
  }

  /// Returns `false` when there was no memory for the data.
  private mutating func receive(_ frame: StreamFrame, in message: RawSpan) throws(ConnectionError) -> Bool {
    guard let stream = try readableStream(frame.id) else { return true }
    let (end, overflow) = frame.offset.addingReportingOverflow(UInt64(frame.data.count))
    guard !overflow, end <= PacketLimits.maxOffset else { throw .offsetTooLarge(stream.id) }
    try admit(stream, end: end, isFinal: frame.fin)
    if stream.peerResetCode != nil { return true }
    if stream.stopCode != nil {
      let before = stream.receive.highest
      stream.receive.skip(to: end)
      dataReceived += stream.receive.highest - before
      consumed(stream.receive.highest - before)
      if frame.fin {
        stream.finalSize = end
        stream.isReceiveDone = true
        removeIfDone(stream)
      }
      return true
    }
    if stream.isReceiveDone { return true }
    let before = stream.receive.highest
    let gapsBefore = stream.receive.gaps
    let outcome = stream.receive.insert(
      message.extracting(frame.data), at: frame.offset, mostGaps: gapsBefore + Self.mostGaps - gaps, pool: pool)
    gaps += stream.receive.gaps - gapsBefore
    dataReceived += stream.receive.highest - before
    counters.bytesReceived += stream.receive.highest - before
    guard outcome == .accepted else { return false }
    if frame.fin { stream.finalSize = end }
    if !stream.isAnnounced, frame.offset == 0 {
      stream.isAnnounced = true
      guard let lane = Lane(rawValue: UInt8(clamping: frame.lane)) else { throw .packet(.malformed(offset: 0)) }
      stream.lane = lane
      let service =
        frame.service.map { String(decoding: [UInt8](copying: message.extracting($0)), as: UTF8.self) } ?? ""
      events.append(.streamOpened(stream.id, service: service))
    }
    notifyReadable(stream)
    return true
  }

  private mutating func notifyReadable(_ stream: Stream) {
    guard stream.wantsReadable, stream.isAnnounced,
      stream.receive.readable > 0 || stream.finalSize == stream.receive.position
    else { return }
    stream.wantsReadable = false
    events.append(.readable(stream.id))
  }

  private mutating func receive(_ frame: ResetStream) throws(ConnectionError) {
    guard let stream = try readableStream(frame.id) else { return }
    guard frame.finalSize <= PacketLimits.maxOffset else { throw .offsetTooLarge(stream.id) }
    try admit(stream, end: frame.finalSize, isFinal: true)
    // All has come already: the reset is late.
    if stream.isReceiveDone || stream.peerResetCode != nil || stream.finalSize == stream.receive.contiguous { return }
    stream.finalSize = frame.finalSize
    stream.peerResetCode = frame.code
    let before = stream.receive.highest
    gaps -= stream.receive.gaps
    let unread = frame.finalSize - stream.receive.position
    stream.receive.discard(pool: pool)
    stream.receive.skip(to: frame.finalSize)
    dataReceived += frame.finalSize - before
    consumed(unread)
    if stream.stopCode != nil {
      stream.isReceiveDone = true
    } else if stream.isAnnounced {
      events.append(.reset(stream.id, code: frame.code))
    } else {
      // It ended before it was known what it was for: nobody here can, so both directions end.
      stream.isReceiveDone = true
      if stream.resetCode == nil { resetSending(stream, code: .cancelled) }
    }
    removeIfDone(stream)
  }

  private mutating func receive(_ frame: StopSending) throws(ConnectionError) {
    guard let stream = try writableStream(frame.id), stream.peerStopCode == nil, !stream.isSendDone else { return }
    stream.peerStopCode = frame.code
    guard stream.resetCode == nil else { return }
    resetSending(stream, code: frame.code)
    if stream.isAnnounced { events.append(.stopped(stream.id, code: frame.code)) }
  }

  // MARK: Limits

  private mutating func raiseDataLimit(_ limit: UInt64) {
    guard limit > dataLimit else { return }
    dataLimit = min(limit, PacketLimits.maxOffset)
    let waiting = blockedByConnection
    blockedByConnection.removeAll(keepingCapacity: true)
    for stream in waiting {
      stream.isBlockedByConnection = false
      markReady(stream)
    }
    for lane in Lane.allCases where messages[lane.index].isBlockedByConnection {
      messages[lane.index].isBlockedByConnection = false
      markMessagesReady(lane)
    }
  }

  private mutating func receive(_ frame: StreamMaxData) throws(ConnectionError) {
    guard let stream = try writableStream(frame.id), frame.max > stream.sendLimit else { return }
    stream.sendLimit = min(frame.max, PacketLimits.maxOffset)
    markReady(stream)
  }

  private mutating func receive(_ frame: MaxStreams) {
    let before = (table[isOneWay: false].mayOpen, table[isOneWay: true].mayOpen)
    table[isOneWay: false].mayOpen = max(before.0, min(frame.bidirectional, 1 << 60))
    table[isOneWay: true].mayOpen = max(before.1, min(frame.unidirectional, 1 << 60))
    if wantsStreams, (table[isOneWay: false].mayOpen, table[isOneWay: true].mayOpen) != before {
      wantsStreams = false
      events.append(.streamsAvailable)
    }
  }
}
