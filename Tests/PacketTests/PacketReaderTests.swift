import MeshPacket
import MeshPrimitives
import Testing

@Suite("Packet reader") struct PacketReaderTests {
  static let everyFrame: [UInt8] = packet { output in
    PacketWriter.writeNumber(7, to: &output)
    PacketWriter.writeAck([9...12, 3...5, 1...1], delayMicroseconds: 300, ect0: 1, ect1: 2, ce: 3, to: &output)
    PacketWriter.writeStream(
      id: 4, offset: 0, fin: true, service: Array("echo".utf8).bytes, lane: 2, compression: 1, dataLength: 2,
      to: &output)
    output.append([1, 2].bytes)
    PacketWriter.writeStream(id: 300, offset: 1 << 40, fin: false, dataLength: 1, to: &output)
    output.append([3].bytes)
    var message = MessageFrame()
    message.id = 1
    message.offset = 10
    message.size = 12
    message.lane = 1
    message.sequence = 5
    message.channel = 2
    message.compression = 3
    PacketWriter.writeMessage(message, service: Array("chat".utf8).bytes, dataLength: 2, to: &output)
    output.append([4, 5].bytes)
    PacketWriter.writeDatagram(channel: 1, service: Array("dns".utf8).bytes, compression: 2, dataLength: 1, to: &output)
    output.append([6].bytes)
    PacketWriter.writeMaxData(1 << 20, to: &output)
    PacketWriter.writeStreamMaxData(StreamMaxData(id: 4, max: 70_000), to: &output)
    PacketWriter.writeResetStream(ResetStream(id: 8, code: .refused, finalSize: 10), to: &output)
    PacketWriter.writeStopSending(StopSending(id: 8, code: .cancelled), to: &output)
    PacketWriter.writePathProbe(0x0102_0304_0506_0708, to: &output)
    PacketWriter.writePathReply(PathReply(data: 9, observed: SocketAddress("192.0.2.1:51820")), to: &output)
    PacketWriter.writeRelay(label: 0xAABB_CCDD, ecn: .ect1, packetLength: 3, to: &output)
    output.append([7, 8, 9].bytes)
    PacketWriter.writeOther(field: FieldNumber.hello, length: 2, to: &output)
    output.append([0x18, 1].bytes)
    PacketWriter.writePing(to: &output)
    PacketWriter.writeMaxStreams(MaxStreams(bidirectional: 100, unidirectional: 3), to: &output)
    PacketWriter.writeDataBlocked(5, to: &output)
    PacketWriter.writeStreamDataBlocked(StreamDataBlocked(id: 4, limit: 9), to: &output)
    PacketWriter.writeStreamsBlocked(StreamsBlocked(bidirectional: 100), to: &output)
    PacketWriter.writeFragment(id: 3, offset: 100, size: 102, dataLength: 2, to: &output)
    output.append([1, 1].bytes)
    PacketWriter.writePadding(10, to: &output)
  }

  static let everyFrameSaid: [Said] = {
    var message = MessageFrame()
    message.id = 1
    message.offset = 10
    message.size = 12
    message.lane = 1
    message.sequence = 5
    message.channel = 2
    message.compression = 3
    return [
      .frame(.number(7)),
      .ack(delay: 300, ranges: [9...12, 3...5, 1...1], ect0: 1, ect1: 2, ce: 3),
      .stream(id: 4, offset: 0, fin: true, service: Array("echo".utf8), lane: 2, compression: 1, data: [1, 2]),
      .stream(id: 300, offset: 1 << 40, fin: false, service: [], lane: 0, compression: 0, data: [3]),
      .message(message, service: Array("chat".utf8), data: [4, 5]),
      .datagram(channel: 1, service: Array("dns".utf8), compression: 2, data: [6]),
      .frame(.maxData(1 << 20)),
      .frame(.streamMaxData(StreamMaxData(id: 4, max: 70_000))),
      .frame(.resetStream(ResetStream(id: 8, code: .refused, finalSize: 10))),
      .frame(.stopSending(StopSending(id: 8, code: .cancelled))),
      .frame(.pathProbe(0x0102_0304_0506_0708)),
      .frame(.pathReply(PathReply(data: 9, observed: SocketAddress("192.0.2.1:51820")))),
      .relay(label: 0xAABB_CCDD, ecn: .ect1, packet: [7, 8, 9]),
      .other(13, [0x18, 1]),
      .frame(.ping),
      .frame(.maxStreams(MaxStreams(bidirectional: 100, unidirectional: 3))),
      .frame(.dataBlocked(5)),
      .frame(.streamDataBlocked(StreamDataBlocked(id: 4, limit: 9))),
      .frame(.streamsBlocked(StreamsBlocked(bidirectional: 100))),
      .fragment(id: 3, offset: 100, size: 102, data: [1, 1]),
    ]
  }()

  @Test func `every frame comes back as it was written`() throws {
    #expect(try read(Self.everyFrame) == Self.everyFrameSaid)
    let summary = try PacketReader.validate(Self.everyFrame.bytes)
    #expect(summary.number == 7)
    #expect(summary.frames == 19)
    #expect(summary.isAckEliciting)
  }

  @Test func `a packet cut inside a field is refused, and between two fields it is a shorter packet`() {
    var whole = 0
    for count in 0..<Self.everyFrame.count {
      do {
        let said = try read(Array(Self.everyFrame[..<count]))
        #expect(said == Array(Self.everyFrameSaid.prefix(said.count)))
        whole += 1
      } catch {
        guard case .truncated = error else {
          Issue.record("cut at \(count): \(error)")
          continue
        }
      }
    }
    #expect(whole == 21)
  }

  @Test func `no change of a single byte traps, and none makes a longer packet out of a shorter one`() {
    for index in Self.everyFrame.indices {
      for bit in 0..<8 {
        var bytes = Self.everyFrame
        bytes[index] ^= 1 << bit
        if let said = try? read(bytes) { #expect(said.count <= bytes.count) }
      }
    }
  }

  static let refused: [(String, [UInt8], PacketError)] = [
    ("field 0", [0x00, 0x01], .malformed(offset: 0)),
    ("group start", [0x0B], .malformed(offset: 1)),
    ("group end", [0x0C], .malformed(offset: 1)),
    ("wire type 6", [0x86, 0x04], .malformed(offset: 2)),
    ("number as fixed64", [0x09, 0, 0, 0, 0, 0, 0, 0, 0], .malformed(offset: 1)),
    ("ack as varint", [0x10, 1], .malformed(offset: 1)),
    ("hello as varint", [0x68, 1], .malformed(offset: 1)),
    ("padding as varint", [0x80, 0x04, 1], .malformed(offset: 2)),
    ("tag above 32 bits", [0x80, 0x80, 0x80, 0x80, 0x10, 0], .malformed(offset: 0)),
    ("overlong tag", [0x88, 0x00, 1], .notCanonical(offset: 0)),
    ("overlong number", [0x08, 0x81, 0x00], .notCanonical(offset: 1)),
    ("number twice", [0x08, 1, 0x08, 2], .notCanonical(offset: 2)),
    ("descending", [0x30, 1, 0x08, 2], .notCanonical(offset: 2)),
    ("a relay's fields descending", [0x62, 7, 0x10, 1, 0x0D, 1, 0, 0, 0], .notCanonical(offset: 4)),
    ("ping of 2", [0x78, 2], .notCanonical(offset: 1)),
    ("lane above 32 bits", [0x1A, 6, 0x28, 0x80, 0x80, 0x80, 0x80, 0x10], .notCanonical(offset: 3)),
    ("unpacked ranges", [0x12, 4, 0x08, 1, 0x18, 0], .notCanonical(offset: 5)),
    ("length beyond the end", [0x1A, 1], .truncated(offset: 1)),
    ("length of 2^63", [0x1A] + [UInt8](repeating: 0x80, count: 9) + [1], .truncated(offset: 1)),
    ("inner length beyond its frame", [0x1A, 2, 0x7A, 1, 0x00], .truncated(offset: 3)),
    ("unknown field 7 in a stream frame", [0x1A, 2, 0x38, 1], .unsupported(field: 7, offset: 3)),
    ("ack without ranges", [0x12, 2, 0x08, 1], .malformed(offset: 2)),
    ("ack of number 0", [0x12, 3, 0x1A, 1, 0], .malformed(offset: 4)),
    ("ack below number 1", [0x12, 5, 0x08, 5, 0x1A, 1, 5], .malformed(offset: 6)),
    ("ack with a gap below number 1", [0x12, 7, 0x08, 5, 0x1A, 3, 2, 1, 0], .malformed(offset: 7)),
    ("ack that ends with a gap", [0x12, 6, 0x08, 5, 0x1A, 2, 0, 0], .malformed(offset: 7)),
    ("stream beyond 2^62", [0x1A, 10, 0x10] + [UInt8](repeating: 0xFF, count: 8) + [0x40], .malformed(offset: 2)),
    ("message piece cut by its frame", [0x22, 5, 0x18, 1, 0x7A, 2, 0, 0], .truncated(offset: 5)),
    ("message piece beyond its size", [0x22, 6, 0x18, 1, 0x7A, 2, 0, 0], .malformed(offset: 2)),
    ("message piece at an offset without a size", [0x22, 2, 0x10, 1], .malformed(offset: 2)),
    ("relay without label", [0x62, 0], .malformed(offset: 2)),
    ("relay with ECN 4", [0x62, 7, 0x0D, 1, 0, 0, 0, 0x10, 4], .malformed(offset: 8)),
    ("address of 5 bytes", [0x5A, 9, 0x12, 7, 0x0A, 5, 1, 2, 3, 4, 5], .malformed(offset: 6)),
    ("port 65536", [0x5A, 12, 0x12, 10, 0x0A, 4, 1, 2, 3, 4, 0x10, 0x80, 0x80, 0x04], .malformed(offset: 4)),
    ("service that is not UTF-8", [0x1A, 3, 0x22, 1, 0xFF], .malformed(offset: 3)),
    ("service with a NUL", [0x1A, 3, 0x22, 1, 0x00], .malformed(offset: 3)),
    ("number 2^62", [0x08] + [UInt8](repeating: 0x80, count: 8) + [0x40], .malformed(offset: 1)),
    ("ack that a later one completes", [0x12, 0, 0x08, 1, 0x12, 5, 0x08, 1, 0x1A, 1, 0], .notCanonical(offset: 2)),
    ("ECN 4 that a later one replaces", [0x62, 9, 0x0D, 1, 0, 0, 0, 0x10, 4, 0x10, 1], .notCanonical(offset: 9)),
    (
      "address that a later one completes", [0x5A, 10, 0x12, 0, 0x12, 6, 0x0A, 4, 1, 2, 3, 4],
      .notCanonical(offset: 4)
    ),
    ("address with a later IP", [0x5A, 11, 0x12, 9, 0x0A, 1, 1, 0x0A, 4, 1, 2, 3, 4], .notCanonical(offset: 7)),
    (
      "service of 256 bytes", [0x1A, 0x83, 2, 0x22, 0x80, 2] + [UInt8](repeating: 0x61, count: 256),
      .tooLarge(offset: 4, limit: 255)
    ),
    (
      "257 fields", [0x08, 1] + [UInt8](repeating: 0, count: 256).flatMap { [0x1A, $0] },
      .tooLarge(offset: 513, limit: 256)
    ),
  ]

  @Test(arguments: refused) func `what is not allowed is refused`(name: String, bytes: [UInt8], error: PacketError) {
    #expect(throws: error, "\(name)") { try PacketReader.validate(bytes.bytes) }
  }

  @Test func `the greatest number of a packet is 2^62 - 1`() throws {
    let greatest = [0x08] + [UInt8](repeating: 0xFF, count: 8) + [0x3F]
    #expect(try PacketReader.validate(greatest.bytes).number == 1 << 62 - 1)
  }

  @Test func `default values and hints give no frame`() throws {
    #expect(try read([0x08, 0, 0x30, 0, 0x78, 0]) == [])
    // Field 64 (padding), 65 as varint twice, 66 as fixed32, 70 as fixed64.
    #expect(
      try read([0x82, 4, 2, 0, 0, 0x88, 4, 1, 0x88, 4, 1, 0x95, 4, 1, 2, 3, 4, 0xB1, 4, 1, 2, 3, 4, 5, 6, 7, 8]) == [])
    // The same inside a frame.
    #expect(
      try read([0x1A, 5, 0x08, 1, 0x80, 4, 9]) == [
        .stream(id: 1, offset: 0, fin: false, service: [], lane: 0, compression: 0, data: [])
      ])
  }

  @Test func `unknown content goes to the caller`() throws {
    #expect(try read([0xE8, 1, 5]) == [.other(29, [5])])
    #expect(try read([0xFA, 3, 2, 8, 9]) == [.other(63, [8, 9])])
  }
}
