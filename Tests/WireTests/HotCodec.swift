import MeshPacket
import MeshPrimitives
import MeshWire

/// The packet that `bytes` are, read with MeshPacket, and what it leaves over with MeshWire. Padding is not seen.
func readHot(_ bytes: [UInt8]) throws -> Wire.Packet {
  var packet = Wire.Packet()
  var reader = PacketReader(bytes.bytes)
  func data(_ range: Range<Int>) -> [UInt8] { Array(bytes[range]) }
  func text(_ range: Range<Int>?) -> String { range.map { String(decoding: bytes[$0], as: UTF8.self) } ?? "" }
  while let frame = try reader.next() {
    switch frame {
    case .number(let number): packet.number = number
    case .ack(let frame):
      var ack = Wire.Ack()
      ack.largest = frame.largest
      ack.delay = frame.delayMicroseconds
      var ranges = AckRanges(frame, in: bytes.bytes)
      var bottom: UInt64 = 0
      while let range = try ranges.next() {
        if !ack.ranges.isEmpty { ack.ranges.append(bottom - range.upperBound - 2) }
        ack.ranges.append(range.upperBound - range.lowerBound)
        bottom = range.lowerBound
      }
      (ack.ect0, ack.ect1, ack.ce) = (frame.ect0, frame.ect1, frame.ce)
      packet.ack = ack
    case .stream(let frame):
      var stream = Wire.StreamFrame()
      (stream.id, stream.offset, stream.fin) = (frame.id, frame.offset, frame.fin)
      stream.service = text(frame.service)
      (stream.lane, stream.compression, stream.data) = (frame.lane, frame.compression, data(frame.data))
      packet.streams.append(stream)
    case .message(let frame):
      var message = Wire.MessageFrame()
      (message.id, message.offset, message.size, message.lane) = (frame.id, frame.offset, frame.size, frame.lane)
      (message.sequence, message.channel, message.service) = (frame.sequence, frame.channel, text(frame.service))
      (message.compression, message.data) = (frame.compression, data(frame.data))
      packet.messages.append(message)
    case .datagram(let frame):
      var datagram = Wire.DatagramFrame()
      (datagram.channel, datagram.service) = (frame.channel, text(frame.service))
      (datagram.compression, datagram.data) = (frame.compression, data(frame.data))
      packet.datagrams.append(datagram)
    case .maxData(let limit): packet.maxData = limit
    case .streamMaxData(let frame): packet.streamMaxData.append(frame)
    case .resetStream(let frame): packet.resets.append(frame)
    case .stopSending(let frame): packet.stops.append(frame)
    case .maxStreams(let frame): packet.maxStreams = frame
    case .dataBlocked(let limit): packet.dataBlocked = limit
    case .streamDataBlocked(let frame): packet.streamDataBlocked.append(frame)
    case .streamsBlocked(let frame): packet.streamsBlocked = frame
    case .pathProbe(let data):
      packet.pathProbe = Wire.PathProbe()
      packet.pathProbe!.data = data
    case .pathReply(let reply): packet.pathReply = reply
    case .relay(let frame):
      var relay = Wire.Relay()
      (relay.label, relay.ecn, relay.packet) = (frame.label, frame.ecn, data(frame.packet))
      packet.relay = relay
    case .ping: packet.ping = true
    case .ipFragment(let frame):
      var fragment = Wire.IPFragment()
      (fragment.id, fragment.offset, fragment.size) = (frame.id, frame.offset, frame.size)
      fragment.data = data(frame.data)
      packet.ipFragments.append(fragment)
    case .refuseChannel(let frame): packet.refusedChannels.append(frame)
    case .other(let field, let range):
      let content = data(range)
      switch field {
      case FieldNumber.hello: packet.hello = try Wire.Hello(decoding: content.bytes)
      case FieldNumber.close: packet.close = try Wire.Close(decoding: content.bytes)
      case FieldNumber.candidates: packet.candidates = try Wire.CandidateExchange(decoding: content.bytes)
      case FieldNumber.discover: packet.discover = try Wire.Discover(decoding: content.bytes)
      case FieldNumber.found: packet.found = try Wire.Found(decoding: content.bytes)
      case FieldNumber.routeError: packet.routeError = try Wire.RouteError(decoding: content.bytes)
      case FieldNumber.relayTooBig: packet.relayTooBig = try Wire.RelayTooBig(decoding: content.bytes)
      case FieldNumber.dictionaryOffers:
        packet.dictionaryOffers.append(try Wire.DictionaryOffer(decoding: content.bytes))
      case FieldNumber.dictionaryUses: packet.dictionaryUses.append(try Wire.DictionaryUse(decoding: content.bytes))
      case FieldNumber.extend: packet.extend = try Wire.Extend(decoding: content.bytes)
      default: throw WireError.unsupported(field: field)
      }
    }
  }
  return packet
}

/// `packet` written with MeshPacket, and what it does not write with MeshWire.
func writeHot(_ packet: Wire.Packet) -> [UInt8] {
  Array(capacity: 70_000) { (output: inout OutputRawSpan) in
    var arena = WireArena()
    PacketWriter.writeNumber(packet.number, to: &output)
    if let ack = packet.ack {
      PacketWriter.writeAck(
        ack.acknowledged!, delayMicroseconds: ack.delay, ect0: ack.ect0, ect1: ack.ect1, ce: ack.ce, to: &output)
    }
    for frame in packet.streams {
      let service = Array(frame.service.utf8)
      if service.isEmpty, frame.lane == 0, frame.compression == 0 {
        PacketWriter.writeStream(
          id: frame.id, offset: frame.offset, fin: frame.fin, dataLength: frame.data.count, to: &output)
      } else {
        PacketWriter.writeStream(
          id: frame.id, offset: frame.offset, fin: frame.fin, service: service.bytes, lane: frame.lane,
          compression: frame.compression, dataLength: frame.data.count, to: &output)
      }
      output.append(frame.data.bytes)
    }
    for frame in packet.messages {
      var header = MessageFrame()
      (header.id, header.offset, header.size, header.lane) = (frame.id, frame.offset, frame.size, frame.lane)
      (header.sequence, header.channel, header.compression) = (frame.sequence, frame.channel, frame.compression)
      let service = Array(frame.service.utf8)
      PacketWriter.writeMessage(header, service: service.bytes, dataLength: frame.data.count, to: &output)
      output.append(frame.data.bytes)
    }
    for frame in packet.datagrams {
      let service = Array(frame.service.utf8)
      PacketWriter.writeDatagram(
        channel: frame.channel, service: service.bytes, compression: frame.compression, dataLength: frame.data.count,
        to: &output)
      output.append(frame.data.bytes)
    }
    PacketWriter.writeMaxData(packet.maxData, to: &output)
    for frame in packet.streamMaxData { PacketWriter.writeStreamMaxData(frame, to: &output) }
    for frame in packet.resets { PacketWriter.writeResetStream(frame, to: &output) }
    for frame in packet.stops { PacketWriter.writeStopSending(frame, to: &output) }
    if let probe = packet.pathProbe { PacketWriter.writePathProbe(probe.data, to: &output) }
    if let reply = packet.pathReply { PacketWriter.writePathReply(reply, to: &output) }
    if let relay = packet.relay {
      PacketWriter.writeRelay(label: relay.label, ecn: relay.ecn, packetLength: relay.packet.count, to: &output)
      output.append(relay.packet.bytes)
    }
    try? packet.hello?.write(as: FieldNumber.hello, into: &output, using: &arena)
    try? packet.close?.write(as: FieldNumber.close, into: &output, using: &arena)
    if packet.ping { PacketWriter.writePing(to: &output) }
    if let frame = packet.maxStreams { PacketWriter.writeMaxStreams(frame, to: &output) }
    PacketWriter.writeDataBlocked(packet.dataBlocked, to: &output)
    for frame in packet.streamDataBlocked { PacketWriter.writeStreamDataBlocked(frame, to: &output) }
    if let frame = packet.streamsBlocked { PacketWriter.writeStreamsBlocked(frame, to: &output) }
    try? packet.candidates?.write(as: FieldNumber.candidates, into: &output, using: &arena)
    try? packet.discover?.write(as: FieldNumber.discover, into: &output, using: &arena)
    try? packet.found?.write(as: FieldNumber.found, into: &output, using: &arena)
    try? packet.routeError?.write(as: FieldNumber.routeError, into: &output, using: &arena)
    try? packet.relayTooBig?.write(as: FieldNumber.relayTooBig, into: &output, using: &arena)
    for frame in packet.ipFragments {
      PacketWriter.writeFragment(
        id: frame.id, offset: frame.offset, size: frame.size, dataLength: frame.data.count, to: &output)
      output.append(frame.data.bytes)
    }
    for offer in packet.dictionaryOffers {
      try? offer.write(as: FieldNumber.dictionaryOffers, into: &output, using: &arena)
    }
    for use in packet.dictionaryUses { try? use.write(as: FieldNumber.dictionaryUses, into: &output, using: &arena) }
    try? packet.extend?.write(as: FieldNumber.extend, into: &output, using: &arena)
    for frame in packet.refusedChannels { PacketWriter.writeRefuseChannel(frame, to: &output) }
    if packet.padding > 0 {
      PacketWriter.writePadding(packet.padding + 2 + Varint.length(UInt64(packet.padding)), to: &output)
    }
  }
}
