import MeshPacket
import MeshPrimitives
import MeshReliability
import MeshSimulation
import Testing

@Suite("Loss recovery") struct RecoveryTests {
  private static func path(_ milliseconds: Int = 10) -> LinkConditions {
    var path = LinkConditions()
    path.delay = .milliseconds(milliseconds)
    return path
  }

  /// A connection whose packets are acknowledged by hand.
  private final class Sender {
    var connection: Connection
    var now = Instant(nanoseconds: 1_000_000_000_000)
    let id: StreamID
    private var number: UInt64 = 0

    init(_ configuration: Configuration = Configuration()) throws {
      connection = Connection(configuration: configuration, opensOddStreams: true, pool: ChunkPool(), now: now)
      id = try connection.openStream(service: "x")
    }

    /// Writes one packet's worth, and sends it.
    func sendOne() throws -> Int {
      _ = try connection.write([UInt8](repeating: 1, count: 100).bytes, to: id)
      return send()
    }

    func send() -> Int {
      var count = 0
      while true {
        var sent = false
        _ = [UInt8](capacity: 1_400) { sent = connection.nextPacket(into: &$0, now: now) }
        guard sent else { return count }
        count += 1
      }
    }

    func acknowledge(
      _ ranges: [ClosedRange<UInt64>], ect0: UInt64 = 0, ce: UInt64 = 0, delay: UInt64 = 0
    ) throws {
      number += 1
      let message = [UInt8](capacity: 1_400) {
        PacketWriter.writeNumber(number, to: &$0)
        PacketWriter.writeAck(ranges, delayMicroseconds: delay, ect0: ect0, ce: ce, to: &$0)
      }
      _ = try connection.handle(message.bytes, ecn: .notECT, now: now)
    }
  }

  private static func withoutECN() -> Configuration {
    var configuration = Configuration()
    configuration.usesECN = false
    return configuration
  }

  // RFC 9002 §6.1.1: kPacketThreshold is 3.
  @Test func `a packet is lost when one three later has come, and not before`() throws {
    let sender = try Sender(Self.withoutECN())
    for _ in 1...5 { #expect(try sender.sendOne() == 1) }
    sender.now = sender.now + .milliseconds(50)
    try sender.acknowledge([2...3])
    #expect(sender.connection.statistics.packetsLost == 0)
    try sender.acknowledge([2...4])
    #expect(sender.connection.statistics.packetsLost == 1)
    #expect(sender.connection.statistics.congestionEvents == 1)
    #expect(sender.send() == 1)
    #expect(sender.connection.statistics.bytesRetransmitted == 100)
  }

  // RFC 9002 §6.1.2: 9/8 of the round trip.
  @Test func `a packet just below the newest is lost after nine eighths of a round trip`() throws {
    let sender = try Sender(Self.withoutECN())
    for _ in 1...2 { #expect(try sender.sendOne() == 1) }
    let sent = sender.now
    sender.now = sent + .milliseconds(80)
    try sender.acknowledge([2...2])
    #expect(sender.connection.deadline == sent + .milliseconds(90))
    sender.now = sent + .milliseconds(89)
    sender.connection.handleTimeout(now: sender.now)
    #expect(sender.connection.statistics.packetsLost == 0)
    sender.now = sent + .milliseconds(90)
    sender.connection.handleTimeout(now: sender.now)
    #expect(sender.connection.statistics.packetsLost == 1)
  }

  // RFC 9002 §6.2.1: smoothed + 4 × variation + max_ack_delay, doubled each time.
  @Test func `probes come after the probe timeout, and twice as late each time`() throws {
    let sender = try Sender(Self.withoutECN())
    #expect(try sender.sendOne() == 1)
    sender.now = sender.now + .milliseconds(100)
    try sender.acknowledge([1...1])
    #expect(try sender.sendOne() == 1)
    // 100 + 4 × 50 + 20 ms.
    var due = sender.now + .milliseconds(320)
    #expect(sender.connection.deadline == due)
    for round in 1...3 {
      sender.now = due
      sender.connection.handleTimeout(now: sender.now)
      #expect(sender.connection.statistics.probeTimeouts == UInt64(round))
      #expect(sender.send() == (round == 1 ? 1 : 2))
      due = sender.now + .milliseconds(320 << round)
      #expect(sender.connection.deadline == due)
    }
    #expect(sender.connection.statistics.packetsLost == 0)
    #expect(sender.connection.statistics.congestionEvents == 0)
  }

  // RFC 9002 §7.6.2, with the example's shape: a run of losses longer than three probe timeouts.
  @Test func `losses over three probe timeouts bring the window to its minimum`() throws {
    let sender = try Sender(Self.withoutECN())
    #expect(try sender.sendOne() == 1)
    sender.now = sender.now + .milliseconds(100)
    try sender.acknowledge([1...1])
    for _ in 2...10 {
      sender.now = sender.now + .milliseconds(200)
      sender.connection.handleTimeout(now: sender.now)
      _ = try sender.sendOne()
    }
    let last = sender.connection.statistics.packetsSent
    sender.now = sender.now + .milliseconds(100)
    try sender.acknowledge([last...last, 1...1])
    #expect(sender.connection.statistics.congestionWindow == 2 * 1_400)
  }

  @Test func `a packet that was only late is not held against the path`() throws {
    let sender = try Sender(Self.withoutECN())
    for _ in 1...6 { #expect(try sender.sendOne() == 1) }
    sender.now = sender.now + .milliseconds(50)
    let window = sender.connection.statistics.congestionWindow
    try sender.acknowledge([2...6])
    #expect(sender.connection.statistics.packetsLost == 1)
    #expect(sender.connection.statistics.congestionWindow < window)
    sender.now = sender.now + .milliseconds(1)
    try sender.acknowledge([1...6])
    #expect(sender.connection.statistics.spuriousLosses == 1)
    #expect(sender.connection.statistics.congestionWindow == window)
  }

  @Test func `marks of congestion shrink the window once per round trip, without loss`() throws {
    let sender = try Sender()
    for _ in 1...6 { #expect(try sender.sendOne() == 1) }
    #expect(sender.connection.outgoingECN == .ect0)
    sender.now = sender.now + .milliseconds(50)
    try sender.acknowledge([1...2], ect0: 1, ce: 1)
    #expect(sender.connection.statistics.congestionEvents == 1)
    sender.now = sender.now + .milliseconds(1)
    try sender.acknowledge([1...4], ect0: 2, ce: 2)
    #expect(sender.connection.statistics.congestionEvents == 1)
    #expect(sender.connection.statistics.packetsLost == 0)
    #expect(sender.connection.outgoingECN == .ect0)
  }

  @Test(arguments: [(0, 0), (1, 0)] as [(UInt64, UInt64)])
  func `a path that wipes marks gets none`(ect0: UInt64, ce: UInt64) throws {
    let sender = try Sender()
    for _ in 1...6 { #expect(try sender.sendOne() == 1) }
    sender.now = sender.now + .milliseconds(50)
    try sender.acknowledge([1...2], ect0: ect0, ce: ce)
    #expect(sender.connection.outgoingECN == .notECT)
    #expect(try sender.sendOne() == 1)
  }

  @Test func `a marking queue holds the delay down without loss`() throws {
    var path = Self.path()
    path.rate = 50_000_000
    path.queue = 400_000
    path.markingThreshold = 60_000
    let pair = Pair(path, seed: 2)
    let id = try pair.open(.a, "x")
    let transfer = Transfer(pair, id, from: .a, size: 4_000_000, salt: 1)
    #expect(pair.run(work: transfer.work, until: { transfer.isComplete }))
    #expect(pair.a.statistics.packetsLost == 0)
    #expect(pair.a.statistics.congestionEvents > 0)
    #expect(pair.toB.counts.queueFull == 0)
  }

  @Test func `acknowledgements are never acknowledged alone`() throws {
    let pair = Pair(Self.path())
    let id = try pair.open(.a, "x")
    _ = try pair.write(.a, [1], to: id)
    pair.run(for: .seconds(20))
    // One packet (stream and byte together), and its acknowledgement.
    #expect(pair.packets <= 3)
  }

  @Test func `what the peer knows to be acknowledged is not repeated`() throws {
    var path = Self.path()
    path.loss = 0.05
    let pair = Pair(path, seed: 8)
    var longest = 0
    pair.onPacket = { side, message in
      guard side == .b else { return }
      var reader = PacketReader(message.bytes)
      while let frame = try? reader.next() {
        if case .ack(let ack) = frame { longest = max(longest, ack.ranges.count) }
      }
    }
    let id = try pair.open(.a, "x")
    let transfer = Transfer(pair, id, from: .a, size: 2_000_000, salt: 1)
    #expect(pair.run(work: transfer.work, until: { transfer.isComplete }))
    #expect(pair.a.statistics.packetsLost > 50)
    #expect(longest < 200)
  }

  @Test func `reordering costs little once it is known`() throws {
    var path = Self.path()
    path.reordering = 0.05
    path.reorderDelay = .milliseconds(3)
    path.rate = 100_000_000
    path.queue = 300_000
    let pair = Pair(path, seed: 4)
    let id = try pair.open(.a, "x")
    let transfer = Transfer(pair, id, from: .a, size: 4_000_000, salt: 1)
    #expect(pair.run(work: transfer.work, until: { transfer.isComplete }))
    let statistics = pair.a.statistics
    #expect(statistics.bytesRetransmitted < 200_000, "\(statistics)")
  }
}
