import MeshPrimitives
import Testing

@testable import MeshReliability

@Suite("Round-trip times") struct RTTEstimatorTests {
  @Test func `the first sample sets everything`() {
    var rtt = RTTEstimator()
    #expect(rtt.probeTimeout(maximumAckDelay: 0) == 333_000_000 + 4 * 166_500_000)
    rtt.update(sample: 100_000_000, delay: 30_000_000)
    #expect(rtt.smoothed == 100_000_000)
    #expect(rtt.variation == 50_000_000)
    #expect(rtt.minimum == 100_000_000)
  }

  // RFC 9002 §5.3: smoothed = 7/8 smoothed + 1/8 adjusted, variation = 3/4 variation + 1/4 |smoothed - adjusted|.
  @Test func `later samples are smoothed, less the peer's delay`() {
    var rtt = RTTEstimator()
    rtt.update(sample: 100_000_000, delay: 0)
    rtt.update(sample: 180_000_000, delay: 20_000_000)
    #expect(rtt.smoothed == 107_500_000)
    #expect(rtt.variation == 52_500_000)
    #expect(rtt.latest == 180_000_000)
  }

  @Test func `a delay that would undercut the minimum is not subtracted`() {
    var rtt = RTTEstimator()
    rtt.update(sample: 100_000_000, delay: 0)
    rtt.update(sample: 110_000_000, delay: 20_000_000)
    #expect(rtt.smoothed == (7 * 100_000_000 + 110_000_000) / 8)
  }

  @Test func `loss is declared after nine eighths of a round trip, and never below the granularity`() {
    var rtt = RTTEstimator()
    rtt.update(sample: 80_000_000, delay: 0)
    #expect(rtt.lossDelay == 90_000_000)
    var fast = RTTEstimator()
    fast.update(sample: 1_000, delay: 0)
    #expect(fast.lossDelay == 1_000_000)
  }
}

extension CongestionController {
  mutating func acknowledged(_ bytes: Int, rtt: RTTEstimator, now: Instant) {
    acknowledged(Delivery(bytes: bytes), rtt: rtt, now: now)
  }
}

extension Congestion {
  fileprivate mutating func acknowledged(_ bytes: Int, rtt: RTTEstimator, now: Instant) {
    acknowledged(Delivery(bytes: bytes), rtt: rtt, now: now)
  }
}

@Suite("Congestion control") struct CongestionTests {
  private let start = Instant(nanoseconds: 1_000_000_000_000)
  private func rtt(_ nanoseconds: Int64) -> RTTEstimator {
    var rtt = RTTEstimator()
    rtt.update(sample: nanoseconds, delay: 0)
    return rtt
  }

  @Test(arguments: [(1_200, 12_000), (1_400, 14_000), (1_500, 14_720), (9_000, 18_000)])
  func `the initial window is that of RFC 9002 §7_2`(packetSize: Int, window: Int) {
    #expect(NewReno(packetSize: packetSize).window == window)
    #expect(Cubic(packetSize: packetSize).window == window)
  }

  @Test(arguments: [CongestionAlgorithm.newReno, .cubic])
  func `slow start doubles the window each round trip`(algorithm: CongestionAlgorithm) {
    var controller = Congestion(algorithm, packetSize: 1_200)
    for round in 1...5 {
      for _ in 0..<controller.window / 1_200 { controller.acknowledged(1_200, rtt: rtt(50_000_000), now: start) }
      #expect(controller.window == 12_000 << round)
    }
  }

  @Test func `NewReno halves once per event, and then adds a packet per window`() {
    var controller = NewReno(packetSize: 1_000)
    for _ in 0..<90 { controller.acknowledged(1_000, rtt: rtt(50_000_000), now: start) }
    #expect(controller.window == 100_000)
    controller.lost(sentAt: start, now: start.advanced(nanoseconds: 10))
    #expect(controller.window == 50_000)
    controller.lost(sentAt: start.advanced(nanoseconds: 10), now: start.advanced(nanoseconds: 20))
    #expect(controller.window == 50_000)
    for _ in 0..<50 { controller.acknowledged(1_000, rtt: rtt(50_000_000), now: start) }
    #expect(controller.window == 51_000)
    controller.lost(sentAt: start.advanced(nanoseconds: 11), now: start.advanced(nanoseconds: 20))
    #expect(controller.window == 25_500)
  }

  @Test(arguments: [CongestionAlgorithm.newReno, .cubic])
  func `the window never falls below two packets`(algorithm: CongestionAlgorithm) {
    var controller = Congestion(algorithm, packetSize: 1_200)
    for index in 1...20 as ClosedRange<Int64> {
      controller.lost(
        sentAt: start.advanced(nanoseconds: index * 10), now: start.advanced(nanoseconds: index * 10 + 1))
    }
    #expect(controller.window == 2_400)
    controller.persistentCongestion(now: start)
    #expect(controller.window == 2_400)
  }

  @Test(arguments: [CongestionAlgorithm.newReno, .cubic])
  func `undoing brings the window back, once`(algorithm: CongestionAlgorithm) {
    var controller = Congestion(algorithm, packetSize: 1_200)
    for _ in 0..<90 { controller.acknowledged(1_200, rtt: rtt(50_000_000), now: start) }
    let before = controller.window
    controller.lost(sentAt: start, now: start)
    #expect(controller.window < before)
    controller.undo()
    #expect(controller.window == before)
    controller.undo()
    #expect(controller.window == before)
  }

  // RFC 9438 §4.2: W(t) = C (t - K)³ + W_max, K = cbrt((W_max - cwnd_epoch) / C), windows in packets. With a round trip of
  // 100 ms and a window of 1,000 packets the curve lies above what Reno would have.
  @Test func `CUBIC follows its curve`() {
    let packet = 1_000
    var controller = Cubic(packetSize: packet)
    for _ in 0..<990 { controller.acknowledged(packet, rtt: rtt(100_000_000), now: start) }
    #expect(controller.window == 1_000 * packet)
    controller.lost(sentAt: start, now: start)
    #expect(controller.window == 700 * packet)
    let k = cubeRoot(300 / 0.4)
    #expect(abs(k - 9.0856) < 0.001)
    let epoch = start.advanced(nanoseconds: 100_000_000)
    for step in 1...150 as ClosedRange<Int64> {
      let now = epoch.advanced(nanoseconds: (step - 1) * 100_000_000)
      var left = controller.window
      while left > 0 {
        controller.acknowledged(min(packet, left), rtt: rtt(100_000_000), now: now)
        left -= packet
      }
      // Reached within the round trip before.
      let time = Double(step) / 10
      let expected = 0.4 * (time - k) * (time - k) * (time - k) + 1_000
      let actual = Double(controller.window) / Double(packet)
      #expect(abs(actual - expected) < 0.02 * expected, "after \(time) s: \(actual) and not \(expected)")
    }
  }

  // RFC 9438 §4.3: at short round trips the window must not grow slower than Reno's with α = 9/17.
  @Test func `CUBIC is no slower than Reno where Reno is fast`() {
    let packet = 1_000
    var controller = Cubic(packetSize: packet)
    for _ in 0..<90 { controller.acknowledged(packet, rtt: rtt(1_000_000), now: start) }
    controller.lost(sentAt: start, now: start)
    #expect(controller.window == 70 * packet)
    var now = start
    for _ in 0..<20 {
      now = now.advanced(nanoseconds: 1_000_000)
      for _ in 0..<controller.window / packet { controller.acknowledged(packet, rtt: rtt(1_000_000), now: now) }
    }
    let reno = 70 + 20 * 9.0 / 17
    #expect(abs(Double(controller.window) / Double(packet) - reno) < 0.6)
  }

  // RFC 9438 §4.7.
  @Test func `a CUBIC flow that did not reach its old maximum gives way`() {
    let packet = 1_000
    var controller = Cubic(packetSize: packet)
    for _ in 0..<90 { controller.acknowledged(packet, rtt: rtt(100_000_000), now: start) }
    controller.lost(sentAt: start, now: start)
    #expect(controller.window == 70 * packet)
    controller.lost(sentAt: start.advanced(nanoseconds: 5), now: start.advanced(nanoseconds: 10))
    #expect(controller.window == 49 * packet)
    // The curve now aims at 0.85 × 70 = 59.5 packets and not at 70. (The round trip is long, so that Reno would be slower.)
    let k = cubeRoot((59.5 - 49) / 0.4)
    let epoch = start.advanced(nanoseconds: 1_000_000_000)
    for second in 0..<Int64(k + 0.1) {
      let now = epoch.advanced(nanoseconds: second * 1_000_000_000)
      for _ in 0..<controller.window / packet { controller.acknowledged(packet, rtt: rtt(1_000_000_000), now: now) }
    }
    #expect(abs(Double(controller.window) / Double(packet) - 59.5) < 2, "\(controller.window)")
  }

  @Test(arguments: [0, 1e-9, 0.001, 0.4, 1, 8, 27, 750, 1e6, 1e12]) func `cube roots are cube roots`(value: Double) {
    let root = cubeRoot(value)
    #expect(abs(root * root * root - value) <= 1e-12 * max(value, 1e-9))
  }
}

@Suite("Pacer") struct PacerTests {
  private let start = Instant(nanoseconds: 1_000_000_000_000)

  @Test func `without a round-trip time nothing is held back`() {
    var pacer = Pacer()
    for _ in 0..<1_000 {
      let allowed = pacer.allows(start)
      #expect(allowed)
      pacer.sent(1_500, now: start)
    }
  }

  // 1 MB per 100 ms × 5/4 = 12.5 MB/s.
  @Test func `over time packets leave at five fourths of the window per round trip`() {
    var pacer = Pacer()
    pacer.update(window: 1_000_000, smoothedRTT: 100_000_000, pace: .usual(isSlowStart: false), packetSize: 1_500)
    var now = start
    var bytes = 0
    while now.nanoseconds(since: start) < 1_000_000_000 {
      if pacer.allows(now) {
        pacer.sent(1_500, now: now)
        bytes += 1_500
      } else {
        now = pacer.deadline!
        pacer.expire(now: now)
      }
    }
    #expect(abs(bytes - 12_500_000) < 40_000)
  }

  // 12.5 MB/s: 12,500 bytes in a millisecond; and 3,906 in a sixteenth of 5 ms.
  @Test(arguments: [
    (100_000, 100_000_000, 3_000), (1_000_000, 100_000_000, 12_500), (50_000, 5_000_000, 3_906),
    (2_500_000, 20_000_000, 65_536), (10_000_000, 1_000_000, 262_144),
  ])
  func `a burst is a millisecond or a sixteenth of a round trip, within two packets and some offload calls`(
    window: Int, rtt: Int64, burst: Int
  ) {
    var pacer = Pacer()
    pacer.update(window: window, smoothedRTT: rtt, pace: .usual(isSlowStart: false), packetSize: 1_500)
    var bytes = 0
    while pacer.allows(start) {
      pacer.sent(1_500, now: start)
      bytes += 1_500
    }
    #expect(bytes >= burst - 1_500 && bytes <= burst + max(1_500, burst / 64), "\(bytes)")
    // After the wait half a burst may leave at once.
    let later = pacer.deadline!
    bytes = 0
    while pacer.allows(later) {
      pacer.sent(1_500, now: later)
      bytes += 1_500
    }
    #expect(bytes >= burst / 2 - 1_500 && bytes <= burst / 2 + 3_000, "\(bytes)")
  }

  @Test(arguments: [Int64.max, 1, 0]) func `absurd round-trip times do not trap`(rtt: Int64) {
    var pacer = Pacer()
    for window in [1, 1_500, Int.max / 4] {
      pacer.update(window: window, smoothedRTT: rtt, pace: .usual(isSlowStart: true), packetSize: 1_500)
      for _ in 0..<100 where pacer.allows(start) { pacer.sent(65_535, now: start) }
    }
  }
}
