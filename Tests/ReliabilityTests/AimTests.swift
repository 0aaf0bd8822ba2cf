import MeshPrimitives
import MeshReliability
import MeshSimulation
import Testing

/// What docs/congestion.md promises, on links slow enough for a debug build.
@Suite("Congestion control on links") struct AimTests {
  private func bottleneck(
    _ rate: Int64, roundTrip: Int, buffer: Double, discipline: QueueDiscipline = .dropTail
  ) -> LinkConditions {
    var conditions = LinkConditions()
    conditions.rate = rate
    conditions.delay = .milliseconds(roundTrip) / 2
    conditions.queue = max(Int(Double(rate) / 8_000 * Double(roundTrip) * buffer), 3 * Dumbbell.packetSize)
    conditions.discipline = discipline
    return conditions
  }

  private func dumbbell(
    _ flows: [(CongestionAlgorithm, Int)], _ conditions: LinkConditions, seed: UInt64 = 1
  ) -> Dumbbell {
    Dumbbell(
      flows.map { ($0.0, .seconds($0.1), .seconds(1_000)) }, bottleneck: conditions, window: 4 << 20, seed: seed)
  }

  /// The part of a link that one CUBIC flow fills when all losses are its own: its window W goes along the curve of RFC 9438
  /// §4.2 from 0.7 to 1 times (1 + b) × BDP, and the link is idle as far as W is below the BDP. 1,385 of 1,400 bytes are
  /// data.
  private func analyticShare(buffer: Double) -> Double {
    let steps = 10_000
    let sum = (0..<steps).reduce(0.0) { sum, step in
      let left = 1 - Double(step) / Double(steps)
      return sum + min(1, (1 + buffer) * (1 - 0.3 * left * left * left))
    }
    return sum / Double(steps) * 1_385 / 1_400
  }

  @Test(arguments: [0.25, 1.0, 4.0]) func `CUBIC fills a clean link as its curve says`(buffer: Double) {
    let dumbbell = dumbbell([(.cubic, 0)], bottleneck(20_000_000, roundTrip: 50, buffer: buffer))
    dumbbell.run(until: .seconds(30))
    let share = dumbbell.share(dumbbell.flows[0], from: .seconds(10), to: .seconds(30))
    let expected = analyticShare(buffer: buffer)
    #expect(abs(share - expected) < 0.05 * expected, "\(share) and not \(expected)")
  }

  @Test(arguments: [(20, 5), (20, 50), (10, 50), (10, 300)] as [(Int64, Int)])
  func `Prague keeps the queue of a marking link short, and the link full`(rate: Int64, roundTrip: Int) {
    let dumbbell = dumbbell(
      [(.prague, 0)], bottleneck(rate * 1_000_000, roundTrip: roundTrip, buffer: 20, discipline: .dualPI2()))
    // A hundred round trips, and not those in which slow start is got over.
    let (from, end) = roundTrip > 100 ? (Duration.seconds(20), Duration.seconds(50)) : (.seconds(5), .seconds(20))
    dumbbell.recordsFrom = dumbbell.begin + from
    dumbbell.run(until: end)
    let flow = dumbbell.flows[0]
    let wait = Dumbbell.quantile(0.99, of: flow.waits)
    #expect(wait < 5, "\(wait) ms")
    #expect(dumbbell.share(flow, from: from, to: end) > 0.9)
    // Above 100 ms slow start overloads the controller of the queue, which then drops.
    if roundTrip < 100 { #expect(flow.sender.statistics.packetsLost == 0) }
  }

  // The controller of RFC 9332 goes on marking for a second after the queue that slow start has made.
  @Test(arguments: [CongestionAlgorithm.newReno, .cubic, .prague])
  func `the end of slow start does not cost a marking link for long`(algorithm: CongestionAlgorithm) {
    let dumbbell = dumbbell(
      [(algorithm, 0)], bottleneck(100_000_000, roundTrip: 50, buffer: 8, discipline: .dualPI2()))
    dumbbell.run(until: .seconds(8))
    let share = dumbbell.share(dumbbell.flows[0], from: .seconds(3), to: .seconds(8))
    #expect(share > 0.9, "\(share)")
  }

  @Test func `Prague beside CUBIC keeps its own queue short, and shares fairly`() {
    let dumbbell = dumbbell(
      [(.cubic, 0), (.prague, 0)], bottleneck(40_000_000, roundTrip: 30, buffer: 10, discipline: .dualPI2()))
    dumbbell.recordsFrom = dumbbell.begin + .seconds(8)
    dumbbell.run(until: .seconds(24))
    let shares = dumbbell.flows.map { dumbbell.share($0, from: .seconds(8), to: .seconds(24)) }
    let wait = Dumbbell.quantile(0.99, of: dumbbell.flows[1].waits)
    #expect(wait < 5, "\(wait) ms")
    #expect(shares[0] + shares[1] > 0.9)
    #expect(shares[0] / shares[1] < 2 && shares[1] / shares[0] < 2, "\(shares)")
  }

  @Test func `Prague does not starve CUBIC where a classic queue marks both`() {
    let dumbbell = dumbbell(
      [(.cubic, 0), (.prague, 0)], bottleneck(20_000_000, roundTrip: 30, buffer: 10, discipline: .coDel()))
    dumbbell.run(until: .seconds(20))
    let shares = dumbbell.flows.map { dumbbell.share($0, from: .seconds(8), to: .seconds(20)) }
    #expect(shares[0] > 0.25, "\(shares)")
  }

  @Test(arguments: [1.0, 4.0]) func `LEDBAT++ yields to CUBIC within two seconds`(buffer: Double) {
    let dumbbell = dumbbell(
      [(.ledbat, 0), (.cubic, 10)], bottleneck(20_000_000, roundTrip: 60, buffer: buffer))
    dumbbell.run(until: .seconds(20))
    let (ledbat, cubic) = (dumbbell.flows[0], dumbbell.flows[1])
    #expect(dumbbell.share(ledbat, from: .seconds(5), to: .seconds(10)) > 0.6)
    let late = dumbbell.share(ledbat, from: .seconds(12), to: .seconds(20))
    #expect(late < 0.15, "\(late)")
    #expect(dumbbell.share(cubic, from: .seconds(12), to: .seconds(20)) > 0.8)
  }

  // Where the queue never holds the target of 60 ms.
  @Test(arguments: [QueueDiscipline.dropTail, .coDel(), .dualPI2()])
  func `LEDBAT++ yields to CUBIC where queues are short`(discipline: QueueDiscipline) {
    let dumbbell = dumbbell(
      [(.ledbat, 0), (.cubic, 10)],
      bottleneck(50_000_000, roundTrip: 10, buffer: discipline == .dropTail ? 1 : 8, discipline: discipline))
    dumbbell.run(until: .seconds(20))
    let shares = dumbbell.flows.map { dumbbell.share($0, from: .seconds(12), to: .seconds(20)) }
    #expect(dumbbell.share(dumbbell.flows[0], from: .seconds(5), to: .seconds(10)) > 0.6)
    #expect(shares[0] < 0.1, "\(shares)")
    #expect(shares[1] > 0.85, "\(shares)")
  }

  @Test(arguments: [0.001, 0.01]) func `BBR fills a link that loses packets at random, where CUBIC cannot`(loss: Double)
  {
    var conditions = bottleneck(40_000_000, roundTrip: 100, buffer: 1)
    conditions.loss = loss
    let shares = [CongestionAlgorithm.bbr, .cubic].map { algorithm in
      let dumbbell = dumbbell([(algorithm, 0)], conditions)
      dumbbell.run(until: .seconds(20))
      return dumbbell.share(dumbbell.flows[0], from: .seconds(5), to: .seconds(20))
    }
    #expect(shares[0] > 0.7, "\(shares)")
    #expect(shares[1] < 0.3, "\(shares)")
  }

  @Test func `BBR fills a link and not its bloated queue`() {
    let dumbbell = dumbbell([(.bbr, 0)], bottleneck(20_000_000, roundTrip: 50, buffer: 8))
    dumbbell.recordsFrom = dumbbell.begin + .seconds(5)
    dumbbell.run(until: .seconds(25))
    let flow = dumbbell.flows[0]
    let median = Dumbbell.quantile(0.5, of: flow.waits)
    #expect(median < 5, "\(median) ms")
    #expect(dumbbell.share(flow, from: .seconds(5), to: .seconds(25)) > 0.9)
    // It finds again what it has left for others.
    let window = flow.sender.statistics.congestionWindow
    #expect(window < 3 * 125_000, "\(window)")
  }

  @Test func `BBR does not starve CUBIC where the queue holds one round trip`() {
    let dumbbell = dumbbell([(.cubic, 0), (.bbr, 2)], bottleneck(20_000_000, roundTrip: 50, buffer: 1))
    dumbbell.run(until: .seconds(40))
    let shares = dumbbell.flows.map { dumbbell.share($0, from: .seconds(10), to: .seconds(40)) }
    #expect(shares[0] > 0.25 && shares[1] > 0.25, "\(shares)")
  }

  @Test(arguments: CongestionAlgorithm.allCases) func `the same seed gives the same run`(algorithm: CongestionAlgorithm)
  {
    func run(_ seed: UInt64) -> [Int] {
      var conditions = bottleneck(10_000_000, roundTrip: 20, buffer: 2, discipline: .dualPI2())
      conditions.loss = 0.005
      let dumbbell = dumbbell([(algorithm, 0), (.cubic, 1)], conditions, seed: seed)
      dumbbell.run(until: .seconds(4))
      return dumbbell.flows.flatMap { $0.deliveredInBin + $0.windowInBin } + dumbbell.queueInBin
    }
    #expect(run(1) == run(1))
    #expect(run(1) != run(2))
  }

  // RFC 9000 §13.4.2: a path that does not carry marks gets none.
  @Test(arguments: CongestionAlgorithm.allCases, Bleaching.allCases)
  func `marks go where they get through, and bytes in any case`(algorithm: CongestionAlgorithm, bleaching: Bleaching)
    throws
  {
    var path = bottleneck(20_000_000, roundTrip: 20, buffer: 2, discipline: .coDel())
    path.bleaching = bleaching
    var configuration = Configuration()
    configuration.congestion = algorithm
    let pair = Pair(path, seed: 3, a: configuration)
    let id = try pair.open(.a, "x")
    let transfer = Transfer(pair, id, from: .a, size: 1_500_000, salt: 1)
    #expect(pair.run(.seconds(30), work: transfer.work, until: { transfer.isComplete }))
    let passes =
      switch bleaching {
      // It does not answer marks.
      case _ where algorithm == .bbr: false
      case .none: true
      // Found out only where the queue marks.
      case .clearsCE: pair.toB.counts.marked == 0
      case .remarksECT1: algorithm != .prague
      case .clearsField, .marksAll: false
      }
    let ecn = pair.a.outgoingECN
    #expect((ecn != .notECT) == passes, "\(ecn), \(pair.toB.counts)")
  }
}
