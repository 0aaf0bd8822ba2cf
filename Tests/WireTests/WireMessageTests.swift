import MeshPacket
import MeshPrimitives
import MeshWire
import Testing

/// Written and read.
private func again<Message: WireMessage>(_ message: Message) throws -> Message {
  let bytes = try message.encoded()
  return try Message(decoding: bytes.bytes)
}

@Suite("Wire messages") struct WireMessageTests {
  static let refused: [(String, [UInt8], WireError)] = [
    ("field 0", [0x00, 1], .malformed(offset: 0)),
    ("group", [0x0B, 0x0C], .malformed(offset: 1)),
    ("cut varint", [0x08, 0x80], .malformed(offset: 1)),
    ("varint of 11 bytes", [0x08] + [UInt8](repeating: 0x80, count: 10) + [0], .malformed(offset: 1)),
    ("length of 2^64 - 1", [0x1A] + [UInt8](repeating: 0xFF, count: 9) + [1], .malformed(offset: 1)),
    ("cut fixed64", [0x52, 3, 0x09, 0, 0], .malformed(offset: 3)),
    ("wire type of number", [0x0A, 0], .malformed(offset: 0)),
    ("unknown content", [0xE8, 1, 1], .unsupported(field: 29)),
    ("unknown content in a frame", [0x1A, 2, 0x38, 1], .unsupported(field: 7)),
    ("packet number 2^62", [0x08] + [UInt8](repeating: 0x80, count: 8) + [0x40], .invalid(field: 1)),
    ("257 fields", [UInt8](repeating: 0, count: 257).flatMap { [0x1A, $0] }, .tooLarge(offset: 512, limit: 256)),
    (
      "1,025 ranges, not packed", [0x12, 0x82, 0x10] + (0..<1025).flatMap { _ in [0x18, 0] as [UInt8] },
      .tooLarge(offset: 2051, limit: 1024)
    ),
    ("513 ranges", [0x12, 0x86, 4, 0x08, 1, 0x1A, 0x81, 4] + [UInt8](repeating: 0, count: 513), .invalid(field: 3)),
    ("service that is not UTF-8", [0x1A, 3, 0x22, 1, 0xC0], .invalid(field: 4)),
    ("service with a NUL", [0x1A, 5, 0x22, 3, 0x61, 0, 0x62], .invalid(field: 4)),
    (
      "service of 256 bytes", [0x1A, 0x83, 2, 0x22, 0x80, 2] + [UInt8](repeating: 0x61, count: 256), .invalid(field: 4)
    ),
    ("discover without target", [0xAA, 1, 0], .invalid(field: 3)),
    ("candidate of kind 4", [0xA2, 1, 4, 0x22, 2, 0x08, 4], .invalid(field: 1)),
    ("candidate without address", [0xA2, 1, 2, 0x22, 0], .invalid(field: 2)),
    ("dictionary index 1", [0xDA, 1, 2, 0x08, 1], .invalid(field: 2)),
  ]

  @Test(arguments: refused) func `what is not allowed is refused`(name: String, bytes: [UInt8], error: WireError) {
    #expect(throws: error, "\(name)") { try Wire.Packet(decoding: bytes.bytes) }
  }

  @Test func `a Hello skips what it does not know, at every level`() throws {
    let bytes: [UInt8] = [0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0xF8, 1, 7, 0x2A, 5, 0x08, 9, 0xF2, 1, 0]
    var hello = Wire.Hello()
    hello.incarnation = 1
    hello.limits.maxData = 9
    #expect(try Wire.Hello(decoding: bytes.bytes) == hello)
    let packet = [0x6A, UInt8(bytes.count)] + bytes
    #expect(try Wire.Packet(decoding: packet.bytes).hello == hello)
  }

  @Test func `hints are skipped and not written again`() throws {
    let bytes: [UInt8] = [0x08, 5, 0x88, 4, 1, 0x95, 4, 1, 2, 3, 4]
    let packet = try Wire.Packet(decoding: bytes.bytes)
    #expect(packet.number == 5)
    #expect(try packet.encoded() == [0x08, 5])
  }

  @Test func `a message outgrows a small arena with an error, and a greater one suffices`() throws {
    var packet = Wire.Packet()
    var stream = Wire.StreamFrame()
    stream.data = [UInt8](repeating: 7, count: 3000)
    packet.streams = [stream]
    let bytes = try packet.encoded()
    var small = WireArena(capacity: 2048)
    var errors: [WireError] = []
    do throws(WireError) { _ = try Wire.Packet(decoding: bytes.bytes, using: &small) } catch { errors.append(error) }
    do throws(WireError) { _ = try packet.encodedSize(using: &small) } catch { errors.append(error) }
    #expect(errors == [.arenaFull(capacity: 2048), .arenaFull(capacity: 2048)])
    // It is as good as new afterwards.
    let number: [UInt8] = [0x08, 5]
    let after = try Wire.Packet(decoding: number.bytes, using: &small)
    #expect(after.number == 5)
    var great = WireArena(capacity: 8192)
    for _ in 0..<2 {
      let read = try Wire.Packet(decoding: bytes.bytes, using: &great)
      #expect(read == packet)
    }
  }

  @Test func `the greatest packet within the caps is read with the arena that comes by itself`() throws {
    var packet = Wire.Packet()
    packet.ack = Wire.Ack()
    packet.ack!.largest = .max
    packet.ack!.ranges = [UInt64](repeating: 1 << 50, count: 511)
    packet.streams = (0..<255).map { index in
      var stream = Wire.StreamFrame()
      stream.service = "a"
      stream.data = [UInt8](repeating: UInt8(index), count: 230)
      return stream
    }
    let bytes = try packet.encoded()
    #expect(bytes.count > 60_000 && bytes.count < 65_507)
    #expect(try PacketReader.validate(bytes.bytes).frames == 256)
    #expect(try Wire.Packet(decoding: bytes.bytes) == packet)
  }

  @Test func `an output that is too small stays as it is`() throws {
    var hello = Wire.Hello()
    hello.incarnation = 1
    hello.software = "pnet"
    let size = try hello.encoded().count
    for capacity in 0..<size {
      var failure: WireError?
      let written = Array(capacity: capacity) { (output: inout OutputRawSpan) in
        do throws(WireError) { try hello.encode(into: &output) } catch { failure = error }
      }
      #expect(failure == .noRoom(needed: size, available: capacity))
      #expect(written.isEmpty)
    }
  }

  @Test func `the messages of the dictionary service come back as they were written`() throws {
    var random = Xorshift(seed: 5)
    var request = Wire.DictionaryRequest()
    request.service = "chat"
    request.wanted = random.bytes(32)
    request.held = [random.bytes(32), random.bytes(32)]
    #expect(try again(request) == request)
    var reply = Wire.DictionaryReply()
    reply.dictionary = randomDictionary(&random)
    reply.reference = random.bytes(32)
    reply.encoding = 1
    reply.length = 10_400
    #expect(try again(reply) == reply)
    reply = Wire.DictionaryReply()
    reply.refusal = .refused
    #expect(try again(reply) == reply)
  }
}
