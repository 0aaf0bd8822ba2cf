import MeshPacket
import MeshPrimitives
import Testing

@testable import MeshReliability

@Suite("Acknowledgements of what came late") struct LateReportTests {
  @Test func `a number that came after the report is reported though a later packet confirms that report`() {
    var tracker = AckTracker(every: 10, maximumDelay: 25_000_000)
    let now = Instant(nanoseconds: 0)
    for number in 1...10 as ClosedRange<UInt64> where number != 5 {
      tracker.record(number, asksForAck: true, ecn: .notECT, ownNext: 7, now: now)
    }
    // Our packet 7 reports it.
    tracker.reported()
    tracker.record(5, asksForAck: true, ecn: .notECT, ownNext: 8, now: now)
    tracker.record(11, asksForAck: true, ecn: .notECT, ownNext: 8, now: now)
    tracker.confirmed(through: 10, by: 7)
    #expect(tracker.hasReport && tracker.reportFloor <= 5)
    // Packet 8 reports all; only now nothing of it need be said again.
    tracker.reported()
    tracker.confirmed(through: 11, by: 8)
    #expect(tracker.reportFloor == 12)
  }

  @Test func `under lasting reordering the reports stay short`() {
    var tracker = AckTracker(every: 10, maximumDelay: 25_000_000)
    var own: UInt64 = 1
    // Each pair arrives the wrong way round; what our packets report is confirmed three packets later.
    for pair in 0..<1_000 as Range<UInt64> {
      for number in [2 * pair + 2, 2 * pair + 1] {
        tracker.record(number, asksForAck: true, ecn: .notECT, ownNext: own, now: Instant(nanoseconds: 0))
      }
      tracker.reported()
      own += 1
      if pair > 3 { tracker.confirmed(through: 2 * (pair - 3) + 2, by: own - 4) }
    }
    #expect(tracker.reportFloor > 1_900)
  }

  @Test func `numbers that are never sent do not pile up`() {
    var tracker = AckTracker(every: 10, maximumDelay: 25_000_000)
    var own: UInt64 = 1
    for number in 1...100_000 as ClosedRange<UInt64> where number % 100 != 0 {
      tracker.record(number, asksForAck: true, ecn: .notECT, ownNext: own, now: Instant(nanoseconds: 0))
      guard number % 10 == 1 else { continue }
      tracker.reported()
      own += 1
      if own > 3 { tracker.confirmed(through: number > 30 ? number - 30 : 0, by: own - 3) }
    }
    #expect(tracker.received.count < 20)
    // What came long ago, and what was left out then, counts as come.
    #expect(tracker.isDuplicate(50) && tracker.isDuplicate(100) && !tracker.isDuplicate(99_900))
  }

  /// The first byte of a message that is longer.
  private func piece(of message: UInt64) -> MessageFrame {
    var frame = MessageFrame()
    frame.id = message
    frame.size = 100
    frame.channel = 1
    return frame
  }

  @Test func `an acknowledgement that has nothing to say makes no packets`() throws {
    let victim = Victim()
    let id = try victim.connection.openStream(service: "s")
    for number in 1...10 as ClosedRange<UInt64> where number != 5 {
      try victim.take(number: number) { PacketWriter.writePing(to: &$0) }
    }
    var sent: UInt64 = 0
    while victim.send() != nil { sent += 1 }
    // Messages that are never finished, up to the most: the next one finds no room, though the rest of its packet counts.
    for message in 0..<1_024 as Range<UInt64> {
      let name: [UInt8] = message == 0 ? Array("s".utf8) : []
      try victim.take(number: 20 + message) { output in
        _ = PacketWriter.writeMessage(piece(of: message), service: name.bytes, dataLength: 1, to: &output)
        output.append(zeros: 1)
      }
    }
    while victim.send() != nil { sent += 1 }
    try victim.take(number: 5) { PacketWriter.writePing(to: &$0) }
    let outcome = try victim.take(number: 2_000) { output in
      PacketWriter.writeAck([1...sent], delayMicroseconds: 0, to: &output)
      _ = PacketWriter.writeMessage(
        piece(of: 5_000), service: [UInt8]().bytes, dataLength: 1, to: &output)
      output.append(zeros: 1)
    }
    #expect(outcome == .noRoom)
    var packets = 0
    while packets < 1_000, victim.send() != nil { packets += 1 }
    #expect(packets < 10)
    _ = id
  }
}
