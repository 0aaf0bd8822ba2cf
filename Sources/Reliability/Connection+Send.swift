internal import MeshPacket
public import MeshPrimitives

/// A frame about a stream or the connection that goes into the packet being made.
struct PlannedControl {
  var frame: SentFrame
  var code = ErrorCode.noError
  var value: UInt64 = 0
}

/// The ranges of an acknowledgement, newest first.
struct AckReport: Collection {
  let numbers: RangeSet
  /// Numbers below are not reported.
  let floor: UInt64
  let endIndex: Int
  var startIndex: Int { 0 }

  init(_ tracker: borrowing AckTracker, most: Int) {
    numbers = tracker.received
    floor = tracker.reportFloor
    var count = 0
    let total = numbers.count
    while count < total, count < most, numbers[total - 1 - count].upperBound > floor { count += 1 }
    endIndex = count
  }

  func index(after index: Int) -> Int { index + 1 }

  subscript(index: Int) -> ClosedRange<UInt64> {
    let range = numbers[numbers.count - 1 - index]
    return Swift.max(range.lowerBound, Swift.min(floor, range.upperBound - 1))...range.upperBound - 1
  }
}

// What goes to the peer.
extension Connection {
  /// The most ranges in an acknowledgement of its own, and in one beside data.
  private static var rangesAlone: Int { 160 }
  private static var rangesBesideData: Int { 16 }
  /// The least room in which a piece of a stream is worth its header.
  private static var leastRoom: Int { 32 }
  /// The most control frames in a packet.
  static var mostControlFrames: Int { PacketLimits.fields / 2 }
  /// Packets of acknowledgements only before one asks for an acknowledgement, so that ranges can be forgotten.
  private static var mostSilentPackets: Int { 32 }

  /// Appends one `Packet` message that fills at most the free capacity of `output`, or returns `false` when nothing may or
  /// need be sent at `now`; ``deadline`` then tells when to ask again, if nothing comes before.
  ///
  /// While there is more to send than fits, packets fill the capacity to the byte, or to one less. Mark the datagram with
  /// ``outgoingECN`` as it was before the call.
  /// - Parameter output: with at least ``smallestCapacity`` bytes free.
  public mutating func nextPacket(into output: inout OutputRawSpan, now: Instant) -> Bool {
    guard case .open = state, output.freeCapacity >= Self.smallestCapacity,
      sent.count < Self.mostRecords || probes > 0
    else {
      return false
    }
    acks.handleTimeout(now: now)
    var hasContent = findContent()
    // A peer without room for new data answers none of it, time and again: what it waits for is old (RFC 9002 §6.2.4).
    if probes > 0, !hasContent || timeouts >= 2 {
      repairOldest()
      hasContent = findContent()
    }
    if let sampler = path.sampler, !hasContent, bytesInFlight < path.congestion.window {
      sampler.applicationLimited(inFlight: bytesInFlight)
    }
    let mayAsk = probes > 0 || hasContent && mayFly(output.freeCapacity, now: now)
    guard mayAsk || acks.isDue && acks.hasReport else { return false }

    let before = output.byteCount
    if skipper.skips(sent.next) { sent.append(SentPacket(state: .acknowledged, isSkipped: true)) }
    let number = sent.next
    var packet = SentPacket()
    packet.sentAt = now
    PacketWriter.writeNumber(number, to: &output)
    writeAck(into: &output, alone: !mayAsk, packet: &packet, now: now)
    if mayAsk {
      packet.isBackground = foundLane == .background
      writeContent(into: &output, packet: &packet, now: now)
    }
    if packet.frame.kind == .none {
      if probes > 0 || silentPackets >= Self.mostSilentPackets || mustTryMarks(now) {
        PacketWriter.writePing(to: &output)
        packet.asksForAck = true
      } else if packet.acknowledges == 0 {
        // What was to be sent does not fit into a packet of this size: there is nothing but the number.
        output.removeLast(output.byteCount - before)
        return false
      }
    }
    record(&packet, bytes: output.byteCount - before, now: now)
    return true
  }

  /// Whether acknowledgements have perhaps got lost for a second because of their marks, and nothing under way would tell.
  private func mustTryMarks(_ now: Instant) -> Bool {
    path.marksECN && !path.markedArrived && !path.holdsMarks && silentPackets > 0 && unanswered == 0
      && now.nanoseconds(since: silentSince) > 1_000_000_000
  }

  private mutating func record(_ packet: inout SentPacket, bytes: Int, now: Instant) {
    counters.packetsSent += 1
    let isMarked = marksPackets
    if isMarked { path.sentMarked &+= 1 }
    if packet.frame.kind != .none { packet.asksForAck = true }
    guard packet.asksForAck else {
      if silentPackets == 0 { silentSince = now }
      silentPackets += 1
      // Nothing of value is in them: what piles up in front is forgotten.
      if sent.count > 256 { forgetSilentPackets() }
      sent.append(packet)
      return
    }
    if unanswered == 0 {
      unansweredSince = now
      // Who asks because nothing came any more has waited already.
      let isInquiry = inquiryAt.map { $0 <= now } ?? false
      waited = isInquiry ? min(now.nanoseconds(since: lastReceived), 1_000_000_000) : 0
    }
    silentPackets = 0
    let size = min(bytes + configuration.overheadPerPacket, Int(UInt16.max))
    packet.size = UInt16(size)
    packet.ecnMarked = isMarked
    sent.append(packet)
    bytesInFlight += size
    if packet.isBackground { background?.sent(size) }
    if let sampler = path.sampler {
      sampler.sent(sent.next - 1, size: size, inFlight: bytesInFlight, base: sent.base, now: now)
    }
    unanswered += 1
    lastAskedAt = now
    if probes > 0 { probes -= 1 }
    path.pacer.sent(size, now: now)
    trimAt = now.advanced(nanoseconds: Self.quietTime)
  }

  /// Whether a packet that counts as in flight may leave.
  private mutating func mayFly(_ capacity: Int, now: Instant) -> Bool {
    if bytesInFlight > 0 {
      let room = path.congestion.window - bytesInFlight - configuration.overheadPerPacket
      // What there is to send is only looked at when a full packet does not fit.
      if room < capacity, room < contentEstimate {
        limitedBelow = sent.next
        // Acknowledgements free the window, not time.
        path.pacer.cancelHold()
        return false
      }
    }
    if !path.pacer.allows(now) {
      limitedBelow = sent.next
      return false
    }
    return true
  }

  /// About how many bytes there are to send; never fewer than there are.
  private var contentEstimate: Int {
    guard controlList.isEmpty, lanes[0].isEmpty, lanes[1].isEmpty, lanes[2].count == 1, foundLane == .bulk,
      case .stream(let stream)? = lanes[2].first, !stream.send.hasLost
    else { return .max }
    return Int(clamping: stream.freshBytes) &+ stream.service.count &+ 128
  }

  // MARK: Acknowledgements

  private mutating func writeAck(
    into output: inout OutputRawSpan, alone: Bool, packet: inout SentPacket, now: Instant
  ) {
    // Beside data only what is owed, and not a long list unless it is due. A probe says it again: it was perhaps lost.
    guard acks.isDue || acks.pending > 0 || probes > 0, acks.hasReport else { return }
    let most = alone || acks.isDue ? Self.rangesAlone : Self.rangesBesideData
    let microseconds = UInt64(acks.delay(now: now) / 1000)
    let written = PacketWriter.writeAck(
      AckReport(acks, most: min(most, output.freeCapacity / 8)), delayMicroseconds: microseconds, ect0: acks.ect0,
      ect1: acks.ect1, ce: acks.ce, to: &output)
    guard written > 0 else { return }
    packet.acknowledges = acks.largest
    counters.acksSent += 1
    acks.reported()
  }

  // MARK: Content

  /// Whether there is anything to send besides acknowledgements.
  mutating func findContent() -> Bool {
    foundLane = findLane(besides: 0)
    return foundLane != nil || needsMaxData || needsMaxStreams || needsRefusals || !controlList.isEmpty
  }

  /// The lane whose turn it is. Afterwards the flow in its front has something to send.
  /// - Parameter skipped: lanes, as bits, that are not asked.
  private mutating func findLane(besides skipped: UInt8) -> Lane? {
    // The first lane that has something, but the last one in every sixteenth packet, and the background in every 64th.
    if sent.next & 15 == 0 {
      if sent.next & 63 == 0, skipped & Lane.background.bit == 0, findBackground() { return .background }
      if skipped & Lane.bulk.bit == 0, findFlow(.bulk) { return .bulk }
      if skipped & Lane.message.bit == 0, findFlow(.message) { return .message }
    }
    if skipped & Lane.control.bit == 0, findFlow(.control) { return .control }
    if skipped & Lane.message.bit == 0, findFlow(.message) { return .message }
    if skipped & Lane.bulk.bit == 0, findFlow(.bulk) { return .bulk }
    if skipped & Lane.background.bit == 0, findBackground() { return .background }
    return nil
  }

  /// Whether the background lane has something that its controller lets go. A probe passes in any case.
  private mutating func findBackground() -> Bool {
    guard !lanes[Lane.background.index].isEmpty else { return false }
    if background == nil { background = BackgroundFlow(packetSize: path.packetSize) }
    guard let background else { return false }
    if probes == 0, !background.hasRoom(for: path.packetSize) {
      background.limitedBelow = sent.next
      return false
    }
    return findFlow(.background)
  }

  /// Bytes of the peer's window that a lane may still use.
  func credit(_ lane: Lane) -> UInt64 {
    let left = dataLimit - dataSent
    guard lane != .control else { return left }
    return left > controlReserve ? left - controlReserve : 0
  }

  private mutating func findFlow(_ lane: Lane) -> Bool {
    let index = lane.index
    while lanes[index].isRepairing, let flow = lanes[index].first {
      switch flow {
      case .stream(let stream):
        if stream.hasLost { return true }
        stream.isRepairing = false
      case .messages:
        if messages[index].hasLost { return true }
        messages[index].isRepairing = false
      case .datagrams: break
      }
      lanes[index].removeFirst()
    }
    while let flow = lanes[index].first {
      switch flow {
      case .stream(let stream):
        if !stream.isRemoved {
          switch stream.readiness {
          case .something: return true
          case .onlyWithConnectionWindow:
            if credit(lane) > 0 { return true }
            if !stream.isBlockedByConnection {
              stream.isBlockedByConnection = true
              // Only a larger window empties the list: streams that end meanwhile must not pile up.
              if blockedByConnection.count >= 2 * table.count { blockedByConnection.removeAll(where: \.isRemoved) }
              blockedByConnection.append(stream)
            }
          case .nothing: break
          }
        }
        stream.isReady = false
      case .messages:
        switch messages[index].readiness(credit: credit(lane)) {
        case .something: return true
        case .onlyWithConnectionWindow: messages[index].isBlockedByConnection = true
        case .nothing: break
        }
        messages[index].isReady = false
      case .datagrams:
        if !datagrams.isEmpty { return true }
        datagrams.isReady = false
      }
      lanes[index].removeFirst()
    }
    return false
  }

  private mutating func writeContent(into output: inout OutputRawSpan, packet: inout SentPacket, now: Instant) {
    var reserved = 0
    if needsMaxData || needsMaxStreams || needsRefusals || !controlList.isEmpty {
      reserved = planControl(room: output.freeCapacity / 2, now: now)
    }
    // Number, acknowledgement and control frames are fields, too.
    var fields = PacketLimits.fields - 2 - planned.count
    // Messages come behind streams in a packet, and datagrams behind messages, whoever has chosen first.
    let reservedForControl = reserved
    var plannedDatagrams = 0
    // Background data is alone in its packets, or it would not be known which ones count for it.
    var full: UInt8 = foundLane == .background ? ~Lane.background.bit : Lane.background.bit
    // The first lane is known from the question whether there is anything to send.
    var found = foundLane
    while fields > 0, output.freeCapacity - reserved >= Self.leastRoom, let lane = found ?? findLane(besides: full),
      let flow = lanes[lane.index].first
    {
      found = nil
      let room = output.freeCapacity - reserved
      var weight = 1
      let size: Int
      switch flow {
      case .stream(let stream):
        size = writePiece(of: stream, room: room, into: &output, packet: &packet)
        weight = stream.weight
      case .messages:
        size = planPiece(lane, room: room)
        reserved += size
      case .datagrams:
        size = planDatagram(plannedDatagrams, room: room)
        reserved += size
        if size > 0 { plannedDatagrams += 1 }
      }
      guard size > 0 else {
        full |= lane.bit
        continue
      }
      fields -= 1
      lanes[lane.index].serve(size, weight: weight)
    }
    writePieces(into: &output, packet: &packet)
    writeDatagrams(plannedDatagrams, into: &output, packet: &packet)
    if reservedForControl > 0 { writeControl(into: &output, packet: &packet) }
  }

  /// Remembers `frame` as part of `packet`.
  mutating func note(_ frame: SentFrame, in packet: inout SentPacket) {
    if packet.frame.kind == .none {
      packet.frame = frame
    } else {
      packet.more = sent.chain(frame, before: packet.more)
    }
  }

  /// Writes one frame with bytes of `stream`: lost ones first. Returns its size in bytes; 0 when `room` is too small.
  private mutating func writePiece(
    of stream: Stream, room: Int, into output: inout OutputRawSpan, packet: inout SentPacket
  ) -> Int {
    let before = output.byteCount
    let again: Bool
    var available: Range<UInt64>
    if stream.needsOpening, stream.send.sent > 0 {
      // The opening frame was empty, and was lost; bytes have followed since.
      again = false
      available = 0..<0
    } else if let lost = stream.send.nextLost {
      again = true
      available = lost
    } else {
      again = false
      let fresh = min(stream.freshBytes, credit(stream.lane))
      available = stream.send.sent..<stream.send.sent + fresh
    }
    let opens = stream.isLocal && available.lowerBound == 0
    let mayFin = stream.isFinishing && available.upperBound == stream.send.end
    let id = stream.id.rawValue
    var free = capacity(of: stream, at: available.lowerBound, opens: opens, fin: false, room: room)
    var fin = mayFin && free >= available.count
    if fin {
      free = capacity(of: stream, at: available.lowerBound, opens: opens, fin: true, room: room)
      // The mark of the end may be what does not fit: it goes into the next packet.
      fin = free >= available.count
    }
    let length = min(available.count, free)
    if length == 0, !available.isEmpty || (mayFin && !fin) { return 0 }
    available = available.lowerBound..<available.lowerBound + UInt64(length)
    let fits: Bool
    if opens {
      let name = stream.service
      fits = PacketWriter.writeStream(
        id: id, offset: 0, fin: fin, service: name.bytes, lane: UInt32(stream.lane.rawValue), dataLength: length,
        to: &output)
    } else {
      fits = PacketWriter.writeStream(
        id: id, offset: available.lowerBound, fin: fin, dataLength: length, to: &output)
    }
    guard fits else { return 0 }
    stream.send.read(available, into: &output)
    if again {
      stream.send.markSentAgain(upTo: available.upperBound)
      counters.bytesRetransmitted += UInt64(length)
    } else if length > 0 {
      stream.send.markSent(upTo: available.upperBound)
      offerRoom(in: stream)
      dataSent += UInt64(length)
      counters.bytesSent += UInt64(length)
    }
    if available.lowerBound == 0 { stream.needsOpening = false }
    if fin { stream.needsFin = false }
    note(
      SentFrame(
        kind: .stream, fin: fin, length: UInt32(length), stream: id, offset: available.lowerBound),
      in: &packet)
    return output.byteCount - before
  }

  private func capacity(of stream: Stream, at offset: UInt64, opens: Bool, fin: Bool, room: Int) -> Int {
    guard opens else {
      return PacketWriter.streamCapacity(id: stream.id.rawValue, offset: offset, fin: fin, free: room)
    }
    let name = stream.service
    return PacketWriter.streamCapacity(
      id: stream.id.rawValue, offset: 0, fin: fin, service: name.bytes, lane: UInt32(stream.lane.rawValue), free: room)
  }

  // MARK: Control

  /// Chooses the control frames of a packet, and returns how many bytes they take at most.
  private mutating func planControl(room: Int, now: Instant) -> Int {
    // The least round trip: queues of our own making are no reason for larger windows.
    let roundTrip = path.rtt.hasSample ? path.rtt.minimum : 0
    planned.removeAll(keepingCapacity: true)
    var size = 0
    // A long acknowledgement may have left nothing: then they go with the next packet.
    if needsMaxData, size + 16 <= room {
      needsMaxData = false
      dataWindow.tell(roundTrip: roundTrip, now: now)
      dataAllowed = max(dataAllowed, dataConsumed + dataWindow.size)
      planned.append(PlannedControl(frame: SentFrame(kind: .maxData), value: dataAllowed))
      size += 1 + Varint.length(dataAllowed)
    }
    if needsMaxStreams, size + 32 <= room {
      needsMaxStreams = false
      planned.append(PlannedControl(frame: SentFrame(kind: .maxStreams)))
      size += 5
      for isOneWay in [false, true] {
        let quota = table[isOneWay: isOneWay]
        table[isOneWay: isOneWay].peerMayOpen = max(quota.peerMayOpen, quota.peerEnded + quota.window)
        size += Varint.length(table[isOneWay: isOneWay].peerMayOpen)
      }
    }
    if needsRefusals { size += planRefusals(room: room - size) }
    while size + 64 <= room, planned.count + 3 <= Self.mostControlFrames, let stream = controlList.popFirst() {
      stream.isInControlList = false
      let control = stream.control
      stream.control = []
      if stream.isRemoved { continue }
      let id = stream.id.rawValue
      if control.contains(.windowUpdate), stream.finalSize == nil, stream.stopCode == nil {
        stream.window.tell(roundTrip: roundTrip, now: now)
        stream.receiveLimit = max(stream.receiveLimit, stream.receive.position + stream.window.size)
        planned.append(
          PlannedControl(frame: SentFrame(kind: .streamMaxData, stream: id), value: stream.receiveLimit))
        size += 4 + Varint.length(id) + Varint.length(stream.receiveLimit)
      }
      if control.contains(.reset), let code = stream.resetCode {
        planned.append(
          PlannedControl(frame: SentFrame(kind: .reset, stream: id), code: code, value: stream.resetSize))
        size += 5 + Varint.length(id) + Varint.length(code.rawValue) + Varint.length(stream.resetSize)
      }
      if control.contains(.stop), let code = stream.stopCode, stream.finalSize == nil {
        planned.append(PlannedControl(frame: SentFrame(kind: .stop, stream: id), code: code))
        size += 4 + Varint.length(id) + Varint.length(code.rawValue)
      }
    }
    return size
  }

  /// Writes the planned frames in the order of their field numbers.
  private mutating func writeControl(into output: inout OutputRawSpan, packet: inout SentPacket) {
    write(.maxData, into: &output, packet: &packet)
    write(.streamMaxData, into: &output, packet: &packet)
    write(.reset, into: &output, packet: &packet)
    write(.stop, into: &output, packet: &packet)
    write(.maxStreams, into: &output, packet: &packet)
    write(.refusal, into: &output, packet: &packet)
    planned.removeAll(keepingCapacity: true)
  }

  private mutating func write(_ kind: SentFrame.Kind, into output: inout OutputRawSpan, packet: inout SentPacket) {
    for index in planned.indices where planned[index].frame.kind == kind {
      let item = planned[index]
      let id = item.frame.stream
      let fits =
        switch kind {
        case .maxData: PacketWriter.writeMaxData(item.value, to: &output)
        case .streamMaxData: PacketWriter.writeStreamMaxData(StreamMaxData(id: id, max: item.value), to: &output)
        case .reset:
          PacketWriter.writeResetStream(ResetStream(id: id, code: item.code, finalSize: item.value), to: &output)
        case .stop: PacketWriter.writeStopSending(StopSending(id: id, code: item.code), to: &output)
        case .maxStreams:
          PacketWriter.writeMaxStreams(
            MaxStreams(
              bidirectional: table[isOneWay: false].peerMayOpen, unidirectional: table[isOneWay: true].peerMayOpen),
            to: &output)
        case .refusal:
          PacketWriter.writeRefuseChannel(
            RefuseChannel(channel: UInt32(id), code: item.code, datagrams: item.frame.fin), to: &output)
        case .none, .stream, .message, .datagram: true
        }
      precondition(fits, "room for control frames is kept free")
      note(item.frame, in: &packet)
    }
  }
}
