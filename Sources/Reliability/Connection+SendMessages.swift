internal import MeshPacket
internal import MeshPrimitives

/// A piece of a message that goes into the packet being made.
struct PlannedPiece {
  var lane: Lane
  var channel: OutgoingChannel
  var frame: MessageFrame
  /// Offsets in the lane's buffer.
  var range: Range<UInt64>
  /// Bytes of the message in the piece.
  var length: Int
  var namesService: Bool
}

// Messages and datagrams on their way into a packet. In it they come behind streams, in the order of their fields, so they are
// chosen first and written last.
extension Connection {
  /// Chooses the next piece of the lane's messages. Returns its size in bytes; 0 when `room` is too small.
  mutating func planPiece(_ lane: Lane, room: Int) -> Int {
    var piece = messages[lane.index].nextPiece()
    let entry = piece.entry
    let isNew = entry.id == .max
    var frame = MessageFrame()
    frame.id = isNew ? nextMessageID : entry.id
    frame.lane = UInt32(lane.rawValue)
    frame.sequence = entry.sequence
    frame.channel = entry.channel.number
    let name = entry.channel.isBound ? [] : entry.channel.service
    frame.offset = piece.range.lowerBound - entry.start
    let left = entry.size - Int(frame.offset)
    let wanted = min(left, piece.range.count)
    var length = 0
    if frame.offset == 0, wanted == left {
      length = min(wanted, PacketWriter.messageCapacity(frame, service: name.bytes, free: room))
    }
    if length < entry.size {
      frame.size = UInt64(entry.size)
      length = min(wanted, PacketWriter.messageCapacity(frame, service: name.bytes, free: room))
    }
    let size = PacketWriter.messageSize(frame, service: name.bytes, dataLength: length)
    guard size <= room, length > 0 || entry.size == 0 else { return 0 }
    if isNew {
      messages[lane.index].begin(&piece, id: nextMessageID)
      nextMessageID += 1
      dataSent += entry.cost
      counters.messagesSent += 1
    }
    if piece.isAgain { counters.bytesRetransmitted += UInt64(length) }
    // The byte behind the message goes with its last piece.
    let end = length == left ? entry.end : piece.range.lowerBound + UInt64(length)
    messages[lane.index].markSent(piece, upTo: end)
    plannedPieces.append(
      PlannedPiece(
        lane: lane, channel: entry.channel, frame: frame, range: piece.range.lowerBound..<end, length: length,
        namesService: !name.isEmpty))
    return size
  }

  mutating func writePieces(into output: inout OutputRawSpan, packet: inout SentPacket) {
    for index in plannedPieces.indices {
      let piece = plannedPieces[index]
      let name = piece.namesService ? piece.channel.service : []
      let fits = PacketWriter.writeMessage(piece.frame, service: name.bytes, dataLength: piece.length, to: &output)
      precondition(fits, "room for messages is kept free")
      let start = piece.range.lowerBound
      messages[piece.lane.index].read(start..<start + UInt64(piece.length), into: &output)
      note(
        SentFrame(
          kind: .message, fin: piece.namesService, length: UInt32(piece.range.count),
          stream: UInt64(piece.lane.rawValue),
          offset: start),
        in: &packet)
    }
    plannedPieces.removeAll(keepingCapacity: true)
  }

  /// Chooses the channels whose refusal goes into the packet being made. Returns how many bytes they take at most.
  mutating func planRefusals(room: Int) -> Int {
    let most = 12
    var size = 0
    needsRefusals = false
    for channel in incomingChannels.all where !channel.refusal.isEmpty {
      guard size + 2 * most <= room, planned.count + 2 <= Self.mostControlFrames else {
        needsRefusals = true
        break
      }
      for (kind, datagrams) in [(IncomingChannel.Refusal.messages, false), (.datagrams, true)]
      where channel.refusal.contains(kind) {
        planned.append(
          PlannedControl(
            frame: SentFrame(kind: .refusal, fin: datagrams, stream: UInt64(channel.number)), code: .refused))
        size += most
      }
      channel.refusal = []
    }
    return size
  }

  /// Whether one more datagram fits into `room`: its size in a packet, or 0. One that fits into no packet is given up.
  mutating func planDatagram(_ planned: Int, room: Int) -> Int {
    while let entry = datagrams[planned] {
      let size = datagramSize(entry)
      if size <= room { return size }
      guard planned == 0, entry.size > datagramLimit(of: entry.channel) else { return 0 }
      datagrams.dropFirst(pool: pool)
    }
    return 0
  }

  private func datagramSize(_ entry: DatagramQueue.Entry) -> Int {
    let name = entry.channel.isBound ? [] : entry.channel.service
    return PacketWriter.datagramSize(channel: entry.channel.number, service: name.bytes, dataLength: entry.size)
  }

  mutating func writeDatagrams(_ count: Int, into output: inout OutputRawSpan, packet: inout SentPacket) {
    for _ in 0..<count {
      guard let entry = datagrams.first else { return }
      let name = entry.channel.isBound ? [] : entry.channel.service
      let fits = PacketWriter.writeDatagram(
        channel: entry.channel.number, service: name.bytes, dataLength: entry.size, to: &output)
      precondition(fits, "room for datagrams is kept free")
      datagrams.takeFirst(into: &output, pool: pool)
      counters.datagramsSent += 1
      note(
        SentFrame(kind: .datagram, fin: !name.isEmpty, stream: UInt64(entry.channel.number)), in: &packet)
    }
  }
}
