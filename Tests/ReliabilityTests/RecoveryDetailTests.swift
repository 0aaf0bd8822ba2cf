import MeshPacket
import MeshPrimitives
import MeshSimulation
import Testing

@testable import MeshReliability

/// What RFC 9002 asks for beyond `RecoveryTests`, packet by packet.
@Suite("Loss recovery in detail") struct RecoveryDetailTests {
  /// A connection whose packets are acknowledged by hand. Marks are off, so that acknowledgements need no counts.
  private final class Sender {
    var connection: Connection
    var now = Instant(nanoseconds: 1_000_000_000_000)
    let id: StreamID
    /// Where the stream's bytes in each packet begin.
    var offsets: [UInt64] = []
    /// The streams whose bytes were sent, one for each piece.
    var streams: [StreamID] = []
    private var number: UInt64 = 0

    init(_ change: (inout Configuration) -> Void = { _ in }) throws {
      var configuration = Configuration()
      configuration.usesECN = false
      change(&configuration)
      connection = Connection(configuration: configuration, opensOddStreams: true, pool: ChunkPool(), now: now)
      id = try connection.openStream(service: "x")
    }

    func wait(_ milliseconds: Int) {
      now = now + .milliseconds(milliseconds)
      connection.handleTimeout(now: now)
    }

    /// Until the next probe timeout.
    func waitForProbe() {
      let timeouts = statistics.probeTimeouts
      while statistics.probeTimeouts == timeouts, let due = connection.deadline {
        now = max(now, due)
        connection.handleTimeout(now: now)
      }
    }

    /// Writes one packet's worth, and sends what may be sent. Returns how many packets that were.
    @discardableResult
    func sendOne(_ size: Int = 100) throws -> Int {
      _ = try connection.write([UInt8](repeating: 1, count: size).bytes, to: id)
      return send()
    }

    func send() -> Int {
      var count = 0
      while true {
        var sent = false
        let message = [UInt8](capacity: 1_400) { sent = connection.nextPacket(into: &$0, now: now) }
        guard sent else { return count }
        var reader = PacketReader(message.bytes)
        while let frame = try? reader.next() {
          if case .stream(let stream) = frame {
            offsets.append(stream.offset)
            streams.append(StreamID(rawValue: stream.id))
          }
        }
        count += 1
      }
    }

    func acknowledge(_ ranges: ClosedRange<UInt64>..., delay: Duration = .zero, ect0: UInt64 = 0) throws {
      number += 1
      let message = [UInt8](capacity: 1_400) {
        PacketWriter.writeNumber(number, to: &$0)
        PacketWriter.writeAck(
          Array(ranges.reversed()), delayMicroseconds: UInt64(delay.wholeNanoseconds / 1_000), ect0: ect0, ce: 0,
          to: &$0)
      }
      _ = try connection.handle(message.bytes, ecn: .notECT, now: now)
    }

    /// A number that asks for an acknowledgement.
    func receive() throws {
      number += 1
      let message = [UInt8](capacity: 1_400) {
        PacketWriter.writeNumber(number, to: &$0)
        PacketWriter.writePing(to: &$0)
      }
      _ = try connection.handle(message.bytes, ecn: .notECT, now: now)
    }

    var last: UInt64 { connection.statistics.packetsSent }
    var statistics: ConnectionStatistics { connection.statistics }
  }

  // MARK: Round trips

  // RFC 9002 §5.3: no more than the agreed maximum is believed; §5.2: the least ignores the delay.
  @Test func `the peer's delay counts up to the agreed maximum`() throws {
    let sender = try Sender()
    try sender.sendOne()
    sender.wait(100)
    try sender.acknowledge(1...1)
    try sender.sendOne()
    sender.wait(180)
    try sender.acknowledge(1...2, delay: .milliseconds(60))
    #expect(sender.statistics.smoothedRTT == .microseconds((7 * 100_000 + 160_000) / 8))
    #expect(sender.statistics.minimumRTT == .milliseconds(100))
    try sender.sendOne()
    sender.wait(90)
    try sender.acknowledge(1...3, delay: .milliseconds(20))
    #expect(sender.statistics.minimumRTT == .milliseconds(90))
  }

  // §5.1: only when the largest is newly acknowledged.
  @Test func `an acknowledgement of older packets is no sample`() throws {
    let sender = try Sender()
    for _ in 1...2 { try sender.sendOne() }
    sender.wait(100)
    try sender.acknowledge(2...2)
    let before = sender.statistics.smoothedRTT
    sender.now = sender.now + .milliseconds(10)
    try sender.acknowledge(1...2)
    #expect(sender.statistics.smoothedRTT == before)
    #expect(sender.statistics.packetsLost == 0)
  }

  // MARK: Probe timeouts

  @Test func `the probe timer starts again with each packet that asks, and not with others`() throws {
    let sender = try Sender()
    try sender.sendOne()
    sender.wait(100)
    try sender.acknowledge(1...1)
    try sender.sendOne()
    sender.wait(50)
    try sender.sendOne()
    // 100 + 4 × 50 + 20 ms.
    let due = sender.now + .milliseconds(320)
    #expect(sender.connection.deadline == due)
    sender.wait(50)
    try sender.receive()
    try sender.receive()
    #expect(sender.send() == 1)
    #expect(sender.connection.deadline == due)
  }

  // Milliseconds of the round trip, and of the timeouts.
  @Test(arguments: [
    (100, [320, 640, 1_280, 2_560, 3_000, 3_000]), (10, [50, 100, 200, 400, 800, 1_000]),
  ])
  func `an answer ends the doubling, which never waits longer than a second, or three on long paths`(
    roundTrip: Int, expected: [Int64]
  ) throws {
    let sender = try Sender()
    try sender.sendOne()
    sender.wait(roundTrip)
    try sender.acknowledge(1...1)
    try sender.sendOne()
    var waits: [Int64] = []
    for _ in expected {
      guard let due = sender.connection.deadline else { break }
      waits.append(due.nanoseconds(since: sender.now) / 1_000_000)
      sender.now = due
      sender.connection.handleTimeout(now: due)
      _ = sender.send()
    }
    #expect(waits == expected)
    #expect(sender.connection.consecutiveProbeTimeouts == 6)
    sender.wait(100)
    try sender.acknowledge(1...sender.last)
    #expect(sender.connection.consecutiveProbeTimeouts == 0)
    try sender.sendOne()
    let timeout = sender.connection.deadline.map { $0.nanoseconds(since: sender.now) / 1_000_000 }
    #expect(timeout.map { $0 < 330 } == true)
  }

  @Test(arguments: [false, true])
  func `a path that never answers marked packets is asked without`(answersFirst: Bool) throws {
    let sender = try Sender { $0.usesECN = true }
    if answersFirst {
      try sender.sendOne()
      sender.wait(100)
      try sender.acknowledge(1...1, ect0: 1)
    }
    for _ in 0..<3 { try sender.sendOne() }
    // One that has answered before may only be away: the second probe finds out.
    for isMarked in [answersFirst, false, false] {
      sender.waitForProbe()
      #expect(sender.connection.outgoingECN == (isMarked ? .ect0 : .notECT))
      _ = sender.send()
    }
    // Only the last one arrives. What was lost before says nothing of a path that has carried marks.
    sender.wait(100)
    try sender.acknowledge(sender.last...sender.last, ect0: answersFirst ? 1 : 0)
    #expect(sender.statistics.packetsLost >= 3)
    #expect(sender.statistics.usesECN == answersFirst)
    guard answersFirst else { return }
    // But what is lost from now on does.
    for _ in 0..<3 { try sender.sendOne() }
    #expect(sender.connection.outgoingECN == .ect0)
    sender.waitForProbe()
    #expect(sender.send() == 1)
    sender.wait(100)
    try sender.acknowledge(sender.last...sender.last, ect0: 1)
    #expect(!sender.statistics.usesECN)
  }

  @Test func `packets on their way over an old path do not hide a loss on the new one`() throws {
    let sender = try Sender()
    for _ in 0..<3 { try sender.sendOne() }
    sender.connection.pathChanged(oldIsDead: false, roundTrip: .milliseconds(50), now: sender.now)
    for _ in 0..<6 { try sender.sendOne() }
    sender.wait(50)
    try sender.acknowledge(5...8)
    #expect(sender.statistics.packetsLost == 1)
    // Those of the old path arrive after all, or are lost in their time.
    try sender.acknowledge(1...2, 5...8)
    #expect(sender.statistics.packetsLost == 1)
    sender.wait(1_000)
    #expect(sender.statistics.packetsLost >= 2)
    #expect(sender.statistics.spuriousLosses == 0)
  }

  /// Small packets that leave faster than the probe timer runs out, and more slowly than the window fills.
  @Test(arguments: [10, 50, 100, 200]) func `a steady trickle does not put the probes off`(every: Int) throws {
    let sender = try Sender()
    // The round trip is 50 ms.
    for _ in 0..<20 {
      try sender.sendOne()
      sender.wait(50)
      try sender.acknowledge(sender.last...sender.last)
    }
    let begin = sender.now
    while sender.connection.consecutiveProbeTimeouts < 2, sender.now < begin + .seconds(20) {
      try sender.sendOne()
      sender.wait(every)
    }
    let took = sender.now.nanoseconds(since: begin) / 1_000_000
    #expect(took <= 600, "\(took) ms")
    while sender.connection.closeReason == nil, sender.now < begin + .seconds(60) {
      try? sender.sendOne()
      sender.wait(every)
    }
    #expect(sender.connection.closeReason == .timedOut)
    let vanished = sender.now.nanoseconds(since: begin) / 1_000_000
    #expect((14_900...16_000).contains(vanished), "\(vanished) ms")
  }

  // RFC 9002 §6.2.4. A peer that has too many gaps takes nothing new.
  // RFC 9000 §13.3.
  @Test func `what was lost goes before what other streams have not sent`() throws {
    let sender = try Sender()
    try sender.sendOne(100)
    let long = try (0..<2).map { _ in try sender.connection.openStream(service: "long") }
    for stream in long { _ = try sender.connection.write([UInt8](repeating: 2, count: 60_000).bytes, to: stream) }
    let count = UInt64(sender.send())
    #expect(count >= 4)
    sender.wait(50)
    sender.streams = []
    try sender.acknowledge(2...count + 1)
    #expect(sender.send() > 0)
    #expect(sender.streams.prefix(2) == [sender.id, long[0]], "\(sender.streams)")
  }

  @Test func `a second probe brings what is oldest, whatever there is to send`() throws {
    let sender = try Sender()
    for _ in 1...5 { try sender.sendOne(1_000) }
    sender.wait(100)
    // The first bytes are sent again, behind newer ones.
    try sender.acknowledge(2...4)
    _ = sender.send()
    #expect(sender.statistics.bytesRetransmitted == 1_000)
    try sender.sendOne(200_000)
    sender.offsets = []
    sender.waitForProbe()
    #expect(sender.send() == 1)
    #expect(sender.offsets.contains(0) == false && !sender.offsets.isEmpty)
    sender.offsets = []
    sender.waitForProbe()
    #expect(sender.send() == 2)
    #expect(sender.offsets.first == 0, "\(sender.offsets)")
  }

  @Test func `a lost packet or two are no reason to give marks up`() throws {
    let sender = try Sender { $0.usesECN = true }
    for _ in 0..<2 { try sender.sendOne() }
    sender.now = sender.connection.deadline ?? sender.now
    sender.connection.handleTimeout(now: sender.now)
    _ = sender.send()
    sender.wait(100)
    try sender.acknowledge(3...3)
    #expect(sender.statistics.packetsLost == 2)
    #expect(sender.connection.outgoingECN == .ect0)
  }

  // RFC 9000 §13.4.2: three probe timeouts. The round trip is 50 ms, and known to the handshake.
  @Test(arguments: [false, true]) func `a path that drops marked packets is used within a second`(isBothWays: Bool)
    throws
  {
    var path = LinkConditions()
    path.delay = .milliseconds(25)
    var configuration = Configuration()
    configuration.initialRTT = .milliseconds(50)
    let pair = Pair(path, a: configuration)
    pair.dropsECT = isBothWays ? [.a, .b] : [.a]
    let start = pair.now
    let id = try pair.open(.a, "x")
    let transfer = Transfer(pair, id, from: .a, size: 100_000, salt: 1)
    #expect(pair.run(.seconds(30), work: transfer.work, until: { transfer.isComplete }))
    let took = pair.now.nanoseconds(since: start) / 1_000_000
    #expect(took < 1_000, "\(took) ms")
    #expect(pair.a.outgoingECN == .notECT)
    // Requests and answers, too, and not each with a timeout.
    let back = Transfer(pair, try pair.open(.b, "y"), from: .b, size: 100_000, salt: 2)
    let before = pair.now
    #expect(pair.run(.seconds(30), work: back.work, until: { back.isComplete }))
    let answered = pair.now.nanoseconds(since: before) / 1_000_000
    #expect(answered < 1_000, "\(answered) ms")
  }

  @Test func `who only acknowledges asks once whether its marks get through, and gives them up when they do not`()
    throws
  {
    let sender = try Sender()
    // One without a stream.
    sender.connection = Connection(
      configuration: Configuration(), opensOddStreams: true, pool: ChunkPool(), now: sender.now)
    let asks = try [20, 1_000, 20].map { wait in
      try sender.receive()
      sender.wait(wait)
      #expect(sender.send() == 1)
      return sender.statistics.bytesInFlight > 0
    }
    #expect(asks == [false, false, true])
    #expect(sender.connection.outgoingECN == .ect0)
    sender.now = sender.connection.deadline ?? sender.now
    sender.connection.handleTimeout(now: sender.now)
    _ = sender.send()
    #expect(sender.connection.outgoingECN == .notECT)
  }

  @Test func `a probe may leave whatever the window says`() throws {
    let sender = try Sender()
    try sender.sendOne(100_000)
    let full = sender.statistics
    #expect(full.bytesInFlight + 1_400 > full.congestionWindow)
    sender.now = sender.connection.deadline ?? sender.now
    sender.connection.handleTimeout(now: sender.now)
    #expect(sender.send() == 1)
    #expect(sender.statistics.bytesInFlight > full.congestionWindow)
  }

  // MARK: Persistent congestion

  /// One sample of 100 ms, and then packets every 200 ms for two seconds.
  private func outage(sampled: Bool = true) throws -> Sender {
    let sender = try Sender()
    try sender.sendOne()
    sender.wait(100)
    if sampled { try sender.acknowledge(1...1) }
    for _ in 0..<10 {
      sender.wait(200)
      try sender.sendOne()
    }
    sender.wait(100)
    return sender
  }

  @Test func `losses over three probe timeouts void the estimate of the path`() throws {
    let sender = try outage()
    sender.wait(150)
    try sender.sendOne()
    sender.wait(250)
    try sender.acknowledge(sender.last...sender.last)
    #expect(sender.statistics.congestionWindow == 2 * 1_400)
    // §5.2: the least round trip is the newest.
    #expect(sender.statistics.minimumRTT == .milliseconds(250))
  }

  // §7.6.2: none of the packets sent between has been acknowledged.
  @Test func `a packet that came in between ends the period`() throws {
    let sender = try outage()
    let middle = sender.last / 2 + 1
    let window = sender.statistics.congestionWindow
    try sender.acknowledge(1...1, middle...middle, sender.last...sender.last)
    #expect(sender.statistics.packetsLost > 4)
    #expect(sender.statistics.congestionWindow > 2 * 1_400)
    #expect(sender.statistics.congestionWindow < window)
  }

  @Test func `before the first sample there is no persistent congestion`() throws {
    let sender = try outage(sampled: false)
    try sender.acknowledge(sender.last...sender.last)
    #expect(sender.statistics.packetsLost > 0)
    #expect(sender.statistics.congestionWindow > 2 * 1_400)
  }

  // MARK: Windows

  // §7.8.
  @Test func `a window that is not used does not grow`() throws {
    let sender = try Sender()
    let window = sender.statistics.congestionWindow
    for number in 1...100 as ClosedRange<UInt64> {
      try sender.sendOne()
      sender.wait(20)
      try sender.acknowledge(1...number)
    }
    #expect(sender.statistics.congestionWindow == window)
  }

  @Test func `losses of one flight shrink the window once`() throws {
    let sender = try Sender()
    for _ in 1...30 { try sender.sendOne(10) }
    let sent = sender.last
    sender.wait(100)
    try sender.acknowledge(5...5)
    #expect(sender.statistics.congestionEvents == 1)
    let window = sender.statistics.congestionWindow
    try sender.acknowledge(5...5, 20...20)
    try sender.acknowledge(5...5, 20...20, sent...sent)
    #expect(sender.statistics.packetsLost >= 20)
    #expect(sender.statistics.congestionEvents == 1)
    #expect(sender.statistics.congestionWindow == window)
  }

  @Test func `a late packet of an earlier event does not undo the last one`() throws {
    let sender = try Sender()
    for _ in 1...8 { try sender.sendOne() }
    sender.wait(50)
    // 1 and 2 are lost.
    try sender.acknowledge(3...8)
    #expect(sender.statistics.congestionEvents == 1)
    sender.wait(5)
    _ = sender.send()
    for _ in 1...8 {
      sender.wait(1)
      try sender.sendOne()
    }
    let first = sender.last - 7
    sender.wait(40)
    try sender.acknowledge(3...first - 1, first + 1...sender.last)
    #expect(sender.statistics.congestionEvents == 2)
    let window = sender.statistics.congestionWindow
    // 2 was only late: nothing of the second event.
    try sender.acknowledge(2...first - 1, first + 1...sender.last)
    #expect(sender.statistics.spuriousLosses == 1)
    #expect(sender.statistics.congestionWindow == window)
    // The only packet of the second event was late.
    try sender.acknowledge(2...sender.last)
    #expect(sender.statistics.spuriousLosses == 2)
    #expect(sender.statistics.congestionWindow > window)
  }

  @Test func `acknowledgements do not wait longer than an eighth of the round trip`() throws {
    let sender = try Sender()
    try sender.sendOne()
    sender.wait(16)
    try sender.acknowledge(1...1)
    // Until the tracker is no longer eager.
    for _ in 0..<40 {
      try sender.receive()
      _ = sender.send()
    }
    try sender.receive()
    #expect(sender.send() == 0)
    #expect(sender.connection.deadline == sender.now + .milliseconds(2))
  }
}
