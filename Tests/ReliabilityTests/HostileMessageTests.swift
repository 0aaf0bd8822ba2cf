import MeshPacket
import MeshPrimitives
import MeshReliability
import MeshSimulation
import Testing

@Suite("Hostile messages") struct HostileMessageTests {
  private func frame(
    _ id: UInt64, offset: UInt64 = 0, size: UInt64 = 0, lane: UInt32 = 1, sequence: UInt64 = 0, channel: UInt32 = 1
  ) -> MessageFrame {
    var frame = MessageFrame()
    frame.id = id
    frame.offset = offset
    frame.size = size
    frame.lane = lane
    frame.sequence = sequence
    frame.channel = channel
    return frame
  }

  private func take(_ victim: Victim, _ frame: MessageFrame, _ data: [UInt8], service: String = "x") throws
    -> PacketOutcome
  {
    try victim.take {
      PacketWriter.writeMessage(frame, service: Array(service.utf8).bytes, dataLength: data.count, to: &$0)
      $0.append(data.bytes)
    }
  }

  @Test func `a message longer than allowed ends the connection`() throws {
    var configuration = Configuration()
    configuration.local.message = 1_000
    let victim = Victim(configuration)
    #expect(throws: ConnectionError.messageTooLong(bytes: 1_001, limit: 1_000)) {
      try take(victim, frame(0, size: 1_001), [1])
    }
  }

  @Test func `messages beyond the window end the connection, by what they will be and not by what has come`() throws {
    var configuration = Configuration()
    configuration.local = ConnectionLimits(data: 10_000, message: 5_000)
    let victim = Victim(configuration)
    _ = try take(victim, frame(0, size: 5_000), [1])
    #expect(throws: ConnectionError.windowExceeded(stream: nil, limit: 10_000)) {
      try take(victim, frame(1, size: 5_000), [1])
    }
  }

  @Test func `pieces that contradict each other end the connection`() throws {
    let contradictions = [
      frame(0, offset: 1, size: 9), frame(0, offset: 1, size: 10, lane: 2), frame(0, offset: 1, size: 10, sequence: 1),
      frame(0, offset: 1, size: 10, channel: 2),
    ]
    for other in contradictions {
      let victim = Victim()
      _ = try take(victim, frame(0, size: 10), [1])
      #expect(throws: ConnectionError.contradictoryMessage(0)) { try take(victim, other, [1]) }
    }
  }

  @Test func `two messages with one place in the order end the connection`() throws {
    var victim = Victim()
    _ = try take(victim, frame(0, sequence: 1), [1])
    #expect(throws: ConnectionError.contradictoryMessage(1)) { try take(victim, frame(1, sequence: 1), [1]) }
    victim = Victim()
    _ = try take(victim, frame(0, sequence: 5), [1])
    #expect(throws: ConnectionError.contradictoryMessage(1)) { try take(victim, frame(1, sequence: 5), [1]) }
    victim = Victim()
    _ = try take(victim, frame(0, size: 4, sequence: 5), [1])
    _ = try take(victim, frame(1, sequence: 5), [1])
    #expect(throws: ConnectionError.contradictoryMessage(0)) {
      try take(victim, frame(0, offset: 1, size: 4, sequence: 5), [1, 1, 1])
    }
    #expect(victim.pool.used == 0)
  }

  @Test func `bytes that came once stay as they are, whatever a copy says`() throws {
    let victim = Victim()
    _ = try take(victim, frame(0, size: 4), [1, 2, 3])
    _ = try take(victim, frame(0, offset: 1, size: 4), [9, 9, 4])
    let read = [UInt8](capacity: 10) { output in
      for event in victim.events {
        if case .messages(let inbox, "x") = event { _ = victim.connection.readMessage(inbox, into: &output) }
      }
    }
    #expect(read == [1, 2, 3, 4])
    // And a message that came whole does not come again.
    _ = try take(victim, frame(0), [5, 5, 5, 5])
    #expect(victim.connection.statistics.messagesReceived == 1)
  }

  @Test func `channels without a name, with two, or out of range end the connection`() throws {
    #expect(throws: ConnectionError.contradictoryChannel(1)) { try take(Victim(), frame(0), [1], service: "") }
    #expect(throws: ConnectionError.contradictoryChannel(256)) { try take(Victim(), frame(0, channel: 256), [1]) }
    let victim = Victim()
    _ = try take(victim, frame(0), [1])
    #expect(throws: ConnectionError.contradictoryChannel(1)) { try take(victim, frame(1), [1], service: "y") }
    let other = Victim()
    _ = try take(other, frame(0), [1])
    #expect(throws: ConnectionError.contradictoryMessage(1)) { try take(other, frame(1, lane: 2), [1]) }
  }

  @Test func `services without end, each named in its own message, end the connection`() throws {
    let victim = Victim()
    for index in 0..<510 { _ = try take(victim, frame(UInt64(index), channel: 0), [1], service: "s\(index)") }
    #expect(throws: ConnectionError.tooManyChannels(limit: 510)) {
      try take(victim, frame(510, channel: 0), [1], service: "one more")
    }
  }

  @Test func `unknown lanes and compressions end the connection`() throws {
    #expect(throws: ConnectionError.packet(.malformed(offset: 0))) { try take(Victim(), frame(0, lane: 4), [1]) }
    var compressed = frame(0)
    compressed.compression = 1
    #expect(throws: ConnectionError.packet(.unsupported(field: 8, offset: 0))) { try take(Victim(), compressed, [1]) }
  }

  @Test func `beginnings of messages without end cost a capped amount`() throws {
    var configuration = Configuration()
    configuration.local.data = 16 << 20
    let victim = Victim(configuration)
    var refused = 0
    for id in 0..<5_000 as Range<UInt64> where try take(victim, frame(id, size: 1_000), [7]) == .noRoom { refused += 1 }
    #expect(refused == 5_000 - 1_024)
    #expect(victim.pool.used == 1_024)
    // Whole ones still come.
    #expect(try take(victim, frame(9_999), [1, 2]) == .accepted(hasForeignFrames: false))
  }

  @Test func `a flood of empty messages fills the window`() throws {
    var configuration = Configuration()
    configuration.local = ConnectionLimits(data: 128 * 1_000, message: 1_000)
    let victim = Victim(configuration)
    for id in 0..<1_000 as Range<UInt64> { _ = try take(victim, frame(id), []) }
    #expect(throws: ConnectionError.self) { try take(victim, frame(1_000), []) }
  }

  @Test(arguments: [0, 2, 256, .max] as [UInt32])
  func `a refusal of a channel that was never used ends the connection`(number: UInt32) throws {
    let victim = Victim()
    _ = try victim.connection.messageChannel(for: "x")
    let refusal = RefuseChannel(channel: number, code: .refused)
    #expect(throws: ConnectionError.contradictoryChannel(number)) {
      try victim.take { PacketWriter.writeRefuseChannel(refusal, to: &$0) }
    }
  }

  @Test func `numbers far apart are remembered`() throws {
    let victim = Victim()
    for id in [1 << 62 - 1, 5, 1 << 40] as [UInt64] {
      #expect(try take(victim, frame(id), [1]) == .accepted(hasForeignFrames: false))
      _ = try take(victim, frame(id), [1])
    }
    #expect(victim.connection.statistics.messagesReceived == 3)
    #expect(throws: ConnectionError.contradictoryMessage(1 << 62)) { try take(victim, frame(1 << 62), [1]) }
  }

  @Test func `numbers with gaps without end, read as they come, end the connection`() throws {
    var configuration = Configuration()
    configuration.peer.refusals = false
    let victim = Victim(configuration)
    #expect(throws: ConnectionError.contradictoryMessage(2 * 16_384)) {
      for id in 0...20_000 as ClosedRange<UInt64> {
        _ = try take(victim, frame(2 * id), [1])
        for event in victim.events {
          if case .messages(let inbox, _) = event { victim.connection.refuse(inbox, datagrams: false) }
        }
        victim.now = victim.now + .milliseconds(1)
        while victim.send() != nil {}
      }
    }
  }

  @Test func `frames for a direction that a one-way stream does not have end the connection`() throws {
    // Stream 3 is one-way and the peer's: it sends and reads nothing. Stream 2 is ours.
    let fromReader: [(inout OutputRawSpan) -> Void] = [
      { PacketWriter.writeStreamMaxData(StreamMaxData(id: 3, max: 5), to: &$0) },
      { PacketWriter.writeStopSending(StopSending(id: 3, code: .cancelled), to: &$0) },
    ]
    for frame in fromReader {
      #expect(throws: ConnectionError.wrongStream(StreamID(rawValue: 3))) { try Victim().take(frame) }
    }
    let victim = Victim()
    let id = try victim.connection.openStream(service: "x", options: StreamOptions(isOneWay: true))
    #expect(throws: ConnectionError.wrongStream(id)) { try victim.stream(id.rawValue, offset: 0, [1]) }
  }
}
