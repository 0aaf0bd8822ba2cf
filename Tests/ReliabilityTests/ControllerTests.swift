import MeshPrimitives
import Testing

@testable import MeshReliability

private let start = Instant(nanoseconds: 1_000_000_000_000)
private let packet = 1_000

private func milliseconds(_ count: Int64) -> Instant { start.advanced(nanoseconds: count * 1_000_000) }

/// Acknowledges whole windows, round trip by round trip.
private struct Rounds<Controller: CongestionController> {
  var controller: Controller
  var now = start
  private var sentAt = start
  private var rtt = RTTEstimator()

  init(_ controller: Controller) { self.controller = controller }

  /// - Parameters:
  ///   - roundTrip: milliseconds.
  ///   - marked: the part of packets that come with CE.
  mutating func run(_ count: Int = 1, roundTrip: Int64, marked: Double = 0, isLimited: Bool = true) {
    for _ in 0..<count {
      sentAt = now
      now = now.advanced(nanoseconds: roundTrip * 1_000_000)
      rtt.update(sample: roundTrip * 1_000_000, delay: 0)
      let packets = controller.window / packet
      for index in 0..<packets {
        let isMarked = Int(Double(index + 1) * marked) > Int(Double(index) * marked)
        if isMarked { controller.marked(sentAt: sentAt, now: now) }
        controller.acknowledged(
          Delivery(
            bytes: packet, isLimited: isLimited, newestSentAt: sentAt, roundTrip: roundTrip * 1_000_000, ecnPackets: 1,
            cePackets: isMarked ? 1 : 0), rtt: rtt, now: now)
      }
    }
  }

  mutating func lose() { controller.lost(sentAt: now, now: now) }

  var packets: Double { Double(controller.window) / Double(packet) }
}

@Suite("HyStart++") struct HyStartTests {
  // RFC 9406 §4.2: a round whose least round trip is an eighth longer (4 to 16 ms) begins conservative slow start, in which
  // growth is a quarter, and which ends slow start after five rounds.
  @Test(arguments: [(50, 57), (20, 24), (200, 216)] as [(Int64, Int64)])
  func `slow start ends after the round trip has grown`(before: Int64, after: Int64) {
    func check(_ controller: some CongestionController) {
      var rounds = Rounds(controller)
      rounds.run(3, roundTrip: before)
      #expect(rounds.packets == 80)
      rounds.run(roundTrip: after)
      // The first eight samples find it out.
      #expect(abs(rounds.packets - (80 + 7 + 73 / 4.0)) < 1.5, "\(rounds.packets)")
      let entered = rounds.packets
      rounds.run(roundTrip: after)
      #expect(abs(rounds.packets - entered * 1.25) < 1)
      #expect(rounds.controller.isSlowStart)
      rounds.run(4, roundTrip: after)
      #expect(!rounds.controller.isSlowStart)
      let end = rounds.packets
      #expect(end < entered * 3.1)
      rounds.run(roundTrip: after)
      #expect(rounds.packets - end < 2)
    }
    check(NewReno(packetSize: packet))
    check(Cubic(packetSize: packet))
  }

  @Test(arguments: [(50, 56), (20, 23), (200, 215)] as [(Int64, Int64)])
  func `a small growth changes nothing`(before: Int64, after: Int64) {
    var rounds = Rounds(Cubic(packetSize: packet))
    rounds.run(3, roundTrip: before)
    rounds.run(2, roundTrip: after)
    #expect(rounds.packets == 320)
    #expect(rounds.controller.isSlowStart)
  }

  @Test func `slow start goes on when the growth was not of a queue`() {
    var rounds = Rounds(Cubic(packetSize: packet))
    rounds.run(3, roundTrip: 50)
    rounds.run(2, roundTrip: 70)
    let before = rounds.packets
    rounds.run(roundTrip: 50)
    // After eight samples below the baseline at full speed again.
    #expect(rounds.packets > before * 1.9)
    rounds.run(6, roundTrip: 50)
    #expect(rounds.controller.isSlowStart)
  }
}

@Suite("CUBIC in detail") struct CubicTests {
  // RFC 9438 §4.3: α is 1 from cwnd_prior on, and not from the lower W_max of fast convergence.
  @Test func `the Reno-friendly window grows faster only above the old window`() {
    var rounds = Rounds(Cubic(packetSize: packet))
    rounds.run(3, roundTrip: 1)
    rounds.lose()
    rounds.run(roundTrip: 1)
    rounds.lose()
    // 80, 56, 39.5 packets; W_max is 47.9 and cwnd_prior 56.5. Short round trips, so that Reno is faster.
    #expect(abs(rounds.packets - 39.5) < 0.5)
    rounds.run(25, roundTrip: 1)
    let first = rounds.packets
    #expect(abs(first - 39.5 - 25 * 9 / 17) < 1.2, "\(first)")
    rounds.run(10, roundTrip: 1)
    let second = rounds.packets
    rounds.run(10, roundTrip: 1)
    #expect(second > first)
    #expect(abs(rounds.packets - second - 10) < 1, "\(rounds.packets - second)")
  }

  // RFC 9438 §5.8.
  @Test(arguments: [true, false]) func `time without enough to send does not count`(sends: Bool) {
    var busy = Rounds(Cubic(packetSize: packet))
    busy.run(6, roundTrip: 100)
    busy.lose()
    busy.run(10, roundTrip: 100)
    var idle = busy
    if sends {
      idle.run(300, roundTrip: 100, isLimited: false)
    } else {
      idle.now = idle.now + .seconds(30)
      idle.run(roundTrip: 100, isLimited: false)
    }
    #expect(idle.controller.window == busy.controller.window)
    busy.run(20, roundTrip: 100)
    idle.run(20, roundTrip: 100)
    #expect(abs(busy.packets - idle.packets) < 6, "\(busy.packets) and \(idle.packets)")
  }

  // RFC 9438 §4.8: the curve after a timeout begins flat, where slow start ends.
  @Test func `after persistent congestion the curve begins at the threshold`() {
    var rounds = Rounds(Cubic(packetSize: packet))
    rounds.run(6, roundTrip: 100)
    rounds.lose()
    rounds.controller.persistentCongestion(now: rounds.now)
    #expect(rounds.controller.window == 2 * packet)
    rounds.run(8, roundTrip: 100)
    #expect(rounds.packets >= 448 && rounds.packets < 520, "\(rounds.packets)")
    let before = rounds.packets
    rounds.run(10, roundTrip: 100)
    #expect(rounds.packets - before < 12, "\(rounds.packets - before)")
  }

  @Test func `what was undone continues on the old curve`() {
    var rounds = Rounds(Cubic(packetSize: packet))
    rounds.run(6, roundTrip: 100)
    rounds.lose()
    rounds.run(10, roundTrip: 100)
    var other = rounds
    other.lose()
    other.controller.undo()
    rounds.run(20, roundTrip: 100)
    other.run(20, roundTrip: 100)
    #expect(rounds.controller.window == other.controller.window)
  }

  @Test func `marks are answered as losses are, and not undone`() {
    var rounds = Rounds(Cubic(packetSize: packet))
    rounds.run(3, roundTrip: 50)
    rounds.controller.marked(sentAt: rounds.now, now: rounds.now)
    #expect(rounds.packets == 56)
    rounds.controller.undo()
    #expect(rounds.packets == 56)
  }
}

@Suite("LEDBAT++") struct LEDBATTests {
  /// Past the first slow start and the first slowdown, at a round trip of 100 ms.
  private func settled() -> Rounds<LEDBAT> {
    var rounds = Rounds(LEDBAT(packetSize: packet))
    rounds.run(12, roundTrip: 100)
    rounds.run(1, roundTrip: 150)
    // Down for two round trips, and up again.
    rounds.run(22, roundTrip: 100)
    return rounds
  }

  // §4.2 and §4.3: two packets to begin with, and a gain of 1 ÷ min(16, ⌈2 × 60 ms ÷ base⌉).
  @Test(arguments: [(10, 12), (40, 3), (60, 2), (200, 1), (5, 16)] as [(Int64, Double)])
  func `the gain is that of the base of the round trip`(roundTrip: Int64, divisor: Double) {
    var rounds = Rounds(LEDBAT(packetSize: packet))
    #expect(rounds.packets == 2)
    rounds.run(roundTrip: roundTrip)
    #expect(abs(rounds.packets - 2 - 2 / divisor) < 0.01)
  }

  @Test func `the first slow start ends at three quarters of the target`() {
    var rounds = Rounds(LEDBAT(packetSize: packet))
    rounds.run(5, roundTrip: 100)
    rounds.run(1, roundTrip: 145)
    #expect(rounds.controller.isSlowStart)
    rounds.run(1, roundTrip: 146)
    #expect(!rounds.controller.isSlowStart)
  }

  @Test func `after slow start the window falls to two packets for two round trips, and comes back`() {
    var rounds = Rounds(LEDBAT(packetSize: packet))
    rounds.run(6, roundTrip: 100)
    rounds.run(1, roundTrip: 150)
    let before = rounds.packets
    var least = before
    var low = 0
    for _ in 0..<6 {
      rounds.run(roundTrip: 100)
      least = min(least, rounds.packets)
      if rounds.packets == 2 { low += 1 }
    }
    #expect(least == 2)
    #expect(low >= 2 && low <= 3)
    rounds.run(8, roundTrip: 100)
    #expect(rounds.packets >= before && rounds.packets < before + 8)
  }

  @Test func `slowdowns take a tenth of the time`() {
    var rounds = settled()
    var low = 0
    var slowdowns = 0
    var wasLow = false
    for _ in 0..<1_000 {
      // With more than half of the delay that is aimed at, so that there is no room to grow fast.
      rounds.run(roundTrip: 135)
      let isLow = rounds.packets < 50
      if isLow { low += 1 }
      if isLow, !wasLow { slowdowns += 1 }
      wasLow = isLow
    }
    #expect(slowdowns >= 5)
    #expect(low <= 100, "\(low)")
  }

  @Test func `where nothing has queued for three seconds the window grows by a 64th per round trip`() {
    var rounds = settled()
    var most = 1.0
    for _ in 0..<60 {
      let before = rounds.packets
      rounds.run(roundTrip: 100)
      if before > 100 { most = max(most, rounds.packets / before) }
    }
    #expect(abs(most - 1 - 1.0 / 64) < 0.004, "\(most)")
  }

  @Test func `a loss or mark at a lower delay sets the aim to a quarter of it`() {
    for isMark in [false, true] {
      var rounds = settled()
      rounds.run(4, roundTrip: 140)
      if isMark {
        rounds.controller.marked(sentAt: rounds.now, now: rounds.now)
      } else {
        rounds.lose()
      }
      let before = rounds.packets
      rounds.run(4, roundTrip: 109)
      let below = rounds.packets
      #expect(below > before)
      rounds.run(4, roundTrip: 115)
      #expect(rounds.packets < 0.8 * below)
    }
  }

  // §4.1: above the target the window falls by itself × (delay ÷ target − 1) per round trip, by half at most.
  @Test(arguments: [(160 + 18, 0.7), (160 + 300, 0.5), (100 + 30, 1.0)] as [(Int64, Double)])
  func `the window falls with the delay above the target, and grows below`(roundTrip: Int64, factor: Double) {
    var rounds = settled()
    // Of the last four round trips the least counts.
    let before = rounds.packets
    #expect(before > 100)
    rounds.run(roundTrip: roundTrip)
    let after = rounds.packets / before
    // The decrease is spread over the round trip, and compounds.
    #expect(after < factor + 0.12 && after > factor - 0.02, "\(after)")
    if factor == 1 { #expect(after > 1) }
  }

  @Test func `a loss halves the window, once, and can be undone`() {
    var rounds = settled()
    let before = rounds.packets
    rounds.lose()
    rounds.lose()
    #expect(abs(rounds.packets - before / 2) < 1)
    rounds.controller.undo()
    #expect(rounds.packets == before)
    rounds.lose()
    rounds.controller.persistentCongestion(now: rounds.now)
    #expect(rounds.packets == 2)
  }
}

@Suite("Prague") struct PragueTests {
  @Test func `the first mark halves, and ends slow start`() {
    var rounds = Rounds(Prague(packetSize: packet))
    rounds.run(4, roundTrip: 50)
    #expect(rounds.packets == 160)
    rounds.controller.acknowledged(
      Delivery(bytes: packet, newestSentAt: rounds.now, ecnPackets: 1, cePackets: 1), rtt: RTTEstimator(),
      now: rounds.now)
    #expect(!rounds.controller.isSlowStart)
    #expect(rounds.packets == 80)
  }

  @Test func `marks of the first flight hold growth back, and no more`() {
    var rounds = Rounds(Prague(packetSize: packet))
    rounds.run(1, roundTrip: 50, marked: 1)
    #expect(rounds.packets == 10)
    #expect(rounds.controller.isSlowStart)
    rounds.run(1, roundTrip: 50)
    #expect(rounds.packets == 20)
    rounds.run(1, roundTrip: 50, marked: 1)
    #expect(!rounds.controller.isSlowStart)
  }

  // α moves by a sixteenth per round towards the part that is marked, and the window falls by α ÷ 2.
  @Test(arguments: [0.02, 0.1, 0.5, 1.0]) func `the window falls by half of the average part of marks`(part: Double) {
    var rounds = Rounds(Prague(packetSize: packet))
    rounds.run(9, roundTrip: 50)
    rounds.run(1, roundTrip: 50, marked: 0.5)
    // Until the window may no longer return to what slow start has shown.
    rounds.run(161, roundTrip: 50, marked: part)
    #expect(abs(rounds.controller.alpha - part) < 0.03 + 0.1 * part, "\(rounds.controller.alpha)")
    let before = rounds.packets
    rounds.run(1, roundTrip: 50, marked: part)
    let expected = max(before * (1 - rounds.controller.alpha / 2) + 1 - part, 2)
    #expect(abs(rounds.packets - expected) < 2, "\(rounds.packets) and not \(expected)")
  }

  @Test func `the average moves by a sixteenth`() {
    var rounds = Rounds(Prague(packetSize: packet))
    rounds.run(4, roundTrip: 50)
    rounds.run(1, roundTrip: 50, marked: 1)
    let alpha = rounds.controller.alpha
    rounds.run(1, roundTrip: 50, marked: 0)
    rounds.run(1, roundTrip: 50, marked: 0)
    #expect(rounds.controller.alpha < alpha && rounds.controller.alpha >= alpha * 225 / 256 - 0.07)
  }

  // As if the round trip were 25 ms: (RTT ÷ 25 ms)² packets per round trip.
  @Test(arguments: [(5, 0.04), (10, 0.16), (25, 1.0), (50, 1.0)] as [(Int64, Double)])
  func `growth does not depend on round trips below 25 ms`(roundTrip: Int64, perRound: Double) {
    var rounds = Rounds(Prague(packetSize: packet))
    rounds.run(4, roundTrip: roundTrip)
    rounds.run(1, roundTrip: roundTrip, marked: 0.1)
    // Until the reduction of this round is done with.
    rounds.run(6, roundTrip: roundTrip)
    let before = rounds.packets
    rounds.run(10, roundTrip: roundTrip)
    #expect(abs(rounds.packets - before - 10 * perRound) < 0.3 * max(perRound, 0.2), "\(rounds.packets - before)")
  }

  @Test func `marks within a round reduce once`() {
    var rounds = Rounds(Prague(packetSize: packet))
    rounds.run(4, roundTrip: 50)
    rounds.run(1, roundTrip: 50, marked: 1)
    // What came in the last two rounds; a second reduction would leave a half of it.
    #expect(rounds.packets > 50)
  }

  @Test func `a loss is answered as CUBIC does, with and without marks`() {
    for marks in [0.0, 0.05] {
      var rounds = Rounds(Prague(packetSize: packet))
      rounds.run(4, roundTrip: 50)
      if marks > 0 {
        rounds.run(1, roundTrip: 50, marked: marks)
        // What ended slow start answers the losses of its round, too.
        let reduced = rounds.packets
        rounds.controller.lost(sentAt: rounds.now.advanced(nanoseconds: -50_000_000), now: rounds.now)
        #expect(rounds.packets == reduced)
        rounds.run(3, roundTrip: 50)
      }
      let before = rounds.packets
      rounds.lose()
      rounds.lose()
      #expect(abs(rounds.packets - 0.7 * before) < 0.1)
      rounds.controller.undo()
      #expect(rounds.packets == before)
    }
  }

  // RFC 9331 §4.3: the queue of a classic AQM is shared.
  @Test func `marks that come with a long wait are answered as CUBIC does`() {
    var rounds = Rounds(Prague(packetSize: packet))
    rounds.run(5, roundTrip: 50)
    rounds.run(1, roundTrip: 50, marked: 0.1)
    // So long does the smoothed round trip take.
    rounds.run(12, roundTrip: 60)
    let before = rounds.packets
    rounds.run(1, roundTrip: 60, marked: 0.1)
    #expect(abs(rounds.packets - before * 0.7) < 2, "\(rounds.packets) after \(before)")
    rounds.run(1, roundTrip: 60)
    rounds.run(1, roundTrip: 60, marked: 0.1)
    #expect(abs(rounds.packets - before * 0.49) < 3, "\(rounds.packets) after \(before)")
    // And back, where the queue is short again.
    rounds.run(12, roundTrip: 50)
    let short = rounds.packets
    rounds.run(1, roundTrip: 50, marked: 0.1)
    #expect(abs(rounds.packets - short * (1 - rounds.controller.alpha / 2)) < 2, "\(rounds.packets) after \(short)")
  }

  @Test func `where no marks come any more it grows as CUBIC does`() {
    var rounds = Rounds(Prague(packetSize: packet))
    rounds.run(5, roundTrip: 50)
    rounds.run(1, roundTrip: 50, marked: 0.1)
    rounds.run(17, roundTrip: 50)
    let before = rounds.packets
    rounds.run(320, roundTrip: 50)
    // Back to 320 packets after K = 7 s, and then 0.4 × 9³ more: not one per round trip.
    #expect(rounds.packets - before > 380, "\(rounds.packets - before)")
  }
}

@Suite("The end of slow start") struct FirstMarkTests {
  /// A path that carries a packet per millisecond, and 50 of them in its least round trip.
  private struct Path<Controller: CongestionController> {
    var controller: Controller
    var now = start
    private var sentAt: [Instant] = []
    private var rtt = RTTEstimator()

    init(_ controller: Controller) { self.controller = controller }

    var packets: Double { Double(controller.window) / Double(packet) }

    /// - Parameter marked: the part of packets that come with CE.
    mutating func run(_ count: Int, marked: Double = 0) {
      for index in 0..<count {
        while sentAt.isEmpty || sentAt.count < controller.window / packet { sentAt.append(now) }
        let sent = sentAt.removeFirst()
        now = max(now.advanced(nanoseconds: 1_000_000), sent.advanced(nanoseconds: 50_000_000))
        let roundTrip = now.nanoseconds(since: sent)
        rtt.update(sample: roundTrip, delay: 0)
        let isMarked = Int(Double(index + 1) * marked) > Int(Double(index) * marked)
        if isMarked { controller.marked(sentAt: sent, now: now) }
        controller.acknowledged(
          Delivery(
            bytes: packet, newestSentAt: sent, roundTrip: roundTrip, ecnPackets: 1, cePackets: isMarked ? 1 : 0),
          rtt: rtt, now: now)
      }
    }

    mutating func mark() { controller.marked(sentAt: now, now: now) }
  }

  @Test func `the first mark leaves what the path carries in its least round trip`() {
    var path = Path(Cubic(packetSize: packet))
    path.run(150)
    #expect(path.controller.isSlowStart && path.packets > 100, "\(path.packets)")
    path.mark()
    #expect(abs(path.packets - 50) < 7, "\(path.packets)")
    #expect(!path.controller.isSlowStart)
    // But never more than the usual answer.
    var early = Path(Cubic(packetSize: packet))
    early.run(30)
    let window = early.packets
    early.mark()
    #expect(early.packets <= 0.7 * window)
  }

  @Test func `for three seconds each further mark is answered, and the window returns after it, but not beyond`() {
    var path = Path(Cubic(packetSize: packet))
    path.run(150)
    path.mark()
    let carried = path.packets
    path.run(10)
    path.mark()
    let least = path.packets
    #expect(least < 0.75 * carried)
    path.run(40)
    #expect(abs(path.packets - least - 10) < 1, "\(path.packets)")
    path.run(40)
    #expect(abs(path.packets - carried) < 2, "\(path.packets) and not \(carried)")
    // Later it is CUBIC.
    path.run(3_500)
    let window = path.packets
    path.mark()
    path.run(80)
    #expect(path.packets < 0.8 * window, "\(path.packets) of \(window)")
  }

  @Test func `a loss is answered for good`() {
    var path = Path(Cubic(packetSize: packet))
    path.run(150)
    path.mark()
    let carried = path.packets
    path.run(1)
    path.controller.lost(sentAt: path.now, now: path.now)
    path.run(80)
    #expect(path.packets < 0.8 * carried)
  }

  @Test func `Prague takes the part of marks from later packets, and not from the queue that it has left`() {
    var path = Path(Prague(packetSize: packet))
    path.run(120)
    path.run(1, marked: 1)
    #expect(abs(path.packets - 50) < 7, "\(path.packets)")
    #expect(path.controller.alpha == 1)
    // What is still under way.
    path.run(49, marked: 1)
    path.run(150, marked: 0.1)
    #expect(abs(path.controller.alpha - 0.1) < 0.05, "\(path.controller.alpha)")
    #expect(path.packets > 35, "\(path.packets)")
  }
}
