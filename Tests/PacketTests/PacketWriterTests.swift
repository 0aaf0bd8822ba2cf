import MeshPacket
import MeshPrimitives
import Testing

@Suite("Packet writer") struct PacketWriterTests {
  @Test func `a frame that does not fit writes nothing`() {
    let service = Array("echo".utf8)
    let writers: [(Int, (inout OutputRawSpan) -> Bool)] = [
      (3, { PacketWriter.writeNumber(200, to: &$0) }),
      (12, { PacketWriter.writeStream(id: 1, offset: 0, fin: true, service: service.bytes, dataLength: 0, to: &$0) }),
      (8, { PacketWriter.writeStream(id: 1, offset: 0, fin: false, dataLength: 2, to: &$0) }),
      (6, { PacketWriter.writeMessage(MessageFrame(), service: RawSpan(), dataLength: 2, to: &$0) }),
      (8, { PacketWriter.writeDatagram(channel: 1, service: RawSpan(), dataLength: 2, to: &$0) }),
      (2, { PacketWriter.writeMaxData(1, to: &$0) }),
      (11, { PacketWriter.writePathProbe(1, to: &$0) }),
      (21, { PacketWriter.writePathReply(PathReply(data: 1, observed: SocketAddress("192.0.2.1:1")), to: &$0) }),
      (9, { PacketWriter.writeRelay(label: 1, ecn: .ect0, packetLength: 0, to: &$0) }),
      (2, { PacketWriter.writePing(to: &$0) }),
      (7, { PacketWriter.writeMaxStreams(MaxStreams(bidirectional: 1, unidirectional: 1), to: &$0) }),
      (11, { PacketWriter.writeFragment(id: 1, offset: 0, size: 9, dataLength: 2, to: &$0) }),
      (5, { PacketWriter.writePadding(5, to: &$0) > 0 }),
    ]
    for (index, (size, write)) in writers.enumerated() {
      for capacity in 0...size + 1 {
        let written = packet(capacity: capacity) { output in
          let fits = write(&output)
          #expect(fits == (capacity >= size), "writer \(index), capacity \(capacity)")
        }
        // Writers of data count the bytes that the caller appends.
        #expect(written.isEmpty == (capacity < size), "writer \(index), capacity \(capacity)")
      }
    }
  }

  @Test func `stream capacity is the greatest that fits, at every size of a packet`() {
    let service = Array("echo".utf8)
    for free in 0...600 {
      for (id, offset) in [(0, 0), (1, 1), (300, 1 << 40)] as [(UInt64, UInt64)] {
        let room = PacketWriter.streamCapacity(id: id, offset: offset, service: service.bytes, free: free)
        let sizes = [room, room + 1].map { length in
          packet(capacity: 2000) { output in
            PacketWriter.writeStream(
              id: id, offset: offset, fin: false, service: service.bytes, dataLength: length, to: &output)
            output.append(zeros: length)
          }.count
        }
        #expect(room == 0 || sizes[0] <= free)
        #expect(sizes[1] > free)
        // Padding of the payload makes up for what no length can fill.
        #expect(room == 0 || free - sizes[0] <= 2)
      }
    }
  }

  @Test func `capacities of messages and datagrams are the greatest that fit`() {
    var frame = MessageFrame()
    frame.id = 5
    frame.size = 100_000
    for free in stride(from: 20, through: 17_000, by: 13) {
      let room = PacketWriter.messageCapacity(frame, service: RawSpan(), free: free)
      for (length, fits) in [(room, true), (room + 1, false)] {
        _ = packet(capacity: free) {
          let written = PacketWriter.writeMessage(frame, service: RawSpan(), dataLength: length, to: &$0)
          #expect(written == fits)
        }
      }
      let datagram = PacketWriter.datagramCapacity(channel: 3, service: RawSpan(), free: free)
      for (length, fits) in [(datagram, true), (datagram + 1, false)] {
        _ = packet(capacity: free) {
          let written = PacketWriter.writeDatagram(channel: 3, service: RawSpan(), dataLength: length, to: &$0)
          #expect(written == fits)
        }
      }
    }
  }

  @Test func `an acknowledgement drops its oldest ranges when it does not fit`() throws {
    var top: UInt64 = 1 << 40
    let ranges = (0..<300).map { _ -> ClosedRange<UInt64> in
      defer { top -= 1000 }
      return top - 500...top
    }
    for capacity in 0...1200 {
      var count = -1
      let bytes = packet(capacity: capacity) {
        count = PacketWriter.writeAck(ranges, delayMicroseconds: 25_000, ect0: 7, to: &$0)
      }
      guard count > 0 else {
        #expect(bytes.isEmpty)
        #expect(capacity < 25)
        continue
      }
      #expect(
        try read(bytes) == [.ack(delay: 25_000, ranges: Array(ranges.prefix(count)), ect0: 7, ect1: 0, ce: 0)])
      #expect(count == 256 || capacity - bytes.count < 12)
    }
    var count = 0
    let all = packet { count = PacketWriter.writeAck(ranges, delayMicroseconds: 0, to: &$0) }
    #expect(count == 256)
    #expect(try read(all).count == 1)
    let few = packet { count = PacketWriter.writeAck(ranges, delayMicroseconds: 0, maxRanges: 3, to: &$0) }
    #expect(count == 3)
    #expect(few.count < 30)
    _ = packet { count = PacketWriter.writeAck([], delayMicroseconds: 0, to: &$0) }
    #expect(count == 0)
  }

  @Test func `padding takes the bytes that it was asked for, or one less where a length grows`() throws {
    for count in 3...20_000 {
      let bytes = packet(capacity: count) { output in
        let written = PacketWriter.writePadding(count, to: &output)
        #expect(written == count || (written == count - 1 && [131, 16_388].contains(count)))
      }
      if count % 97 == 0 { #expect(try read(bytes) == []) }
    }
  }

  @Test func `a relay writes label and congestion over the old ones, in place`() throws {
    var bytes = packet { output in
      PacketWriter.writeNumber(5, to: &output)
      PacketWriter.writeRelay(label: 1, ecn: .ect0, packetLength: 2, to: &output)
      output.append([8, 9].bytes)
    }
    var reader = PacketReader(bytes.bytes)
    _ = try reader.next()
    guard case .relay(let frame)? = try reader.next() else {
      Issue.record("no relay frame")
      return
    }
    var span = bytes.mutableBytes
    PacketWriter.patchRelay(frame, label: 0x1234_5678, ecn: .ce, in: &span)
    #expect(try read(bytes) == [.frame(.number(5)), .relay(label: 0x1234_5678, ecn: .ce, packet: [8, 9])])
  }
}
