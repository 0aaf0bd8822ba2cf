import MeshPrimitives
import MeshSimulation
import Testing

private let start = VirtualClock().now

/// Sends packets of 1,000 bytes at an even rate, and gives back all that arrives.
private struct Source {
  var link: Link
  var now = start
  var arrivals: [(arrival: Link.Arrival, time: Instant)] = []
  private let packet = [UInt8](repeating: 7, count: 1_000)
  private var number: UInt32 = 0

  init(seed: UInt64 = 1, _ change: (inout LinkConditions) -> Void) {
    var conditions = LinkConditions()
    change(&conditions)
    link = Link(conditions, seed: seed)
  }

  /// - Parameter rate: bits per second.
  mutating func send(_ count: Int, rate: Int, ecn: ECN = .notECT) {
    let packet = packet
    for _ in 0..<count {
      let next = now.advanced(nanoseconds: Int64(8_000_000_000_000 / rate))
      collect(until: next)
      now = next
      link.send(packet.bytes, ecn: ecn, tag: number, now: now)
      number += 1
    }
  }

  mutating func collect(until end: Instant = .distantFuture) {
    while let time = link.deadline, time <= end {
      while let arrival = link.nextArrival(now: time) { arrivals.append((arrival, time)) }
    }
  }

  func marks(_ ecn: ECN) -> Int { arrivals.count { $0.arrival.ecn == ecn } }
}

@Suite("Loss in bursts") struct BurstLossTests {
  @Test(arguments: [(0.01, 5.0), (0.05, 10.0), (0.2, 2.0)])
  func `the average and the length of bursts are those of the model`(average: Double, length: Double) {
    let loss = BurstLoss(average: average, length: length)
    #expect(abs(loss.average - average) < 1e-12)
    var source = Source { $0.burstLoss = loss }
    var fates: [Bool] = []
    let packet: [UInt8] = [1]
    for _ in 0..<200_000 { fates.append(source.link.send(packet.bytes, now: start) == .lost) }
    let lost = fates.count { $0 }
    let bursts = zip([false] + fates, fates).count { !$0 && $1 }
    // The average varies with the number of bursts, hence the root.
    let tolerance = 5 * (Double(bursts) * length * length * 2).squareRoot() / 200_000
    #expect(abs(Double(lost) / 200_000 - average) < tolerance)
    #expect(abs(Double(lost) / Double(bursts) - length) < 0.15 * length)
    #expect(source.link.counts.lost == lost)
  }

  @Test func `the state that is not bad can lose, too`() {
    let loss = BurstLoss(toBad: 0.02, toGood: 0.1, lossInGood: 0.01, lossInBad: 0.5)
    var source = Source { $0.burstLoss = loss }
    let packet: [UInt8] = [1]
    for _ in 0..<200_000 { source.link.send(packet.bytes, now: start) }
    #expect(abs(Double(source.link.counts.lost) / 200_000 - loss.average) < 0.01)
    #expect(BurstLoss(toBad: 0, toGood: 0, lossInGood: 0.3).average == 0.3)
  }
}

@Suite("ECN on links") struct BleachingTests {
  private static let table: [(Bleaching, [ECN])] = [
    (.none, [.notECT, .ect1, .ect0, .ce]),
    (.clearsField, [.notECT, .notECT, .notECT, .notECT]),
    (.clearsCE, [.notECT, .ect1, .ect0, .notECT]),
    (.remarksECT1, [.notECT, .ect0, .ect0, .ce]),
    (.marksAll, [.notECT, .ce, .ce, .ce]),
  ]

  @Test(arguments: table) func `the field arrives as the path leaves it`(bleaching: Bleaching, arriving: [ECN]) {
    var source = Source { $0.bleaching = bleaching }
    for ecn in [ECN.notECT, .ect1, .ect0, .ce] { source.send(1, rate: 1_000_000, ecn: ecn) }
    source.collect()
    #expect(source.arrivals.map(\.arrival.ecn) == arriving)
  }

  @Test func `marks are bleached behind the queue that made them`() {
    var source = Source {
      $0.rate = 1_000_000
      $0.markingThreshold = 1
      $0.bleaching = .clearsCE
    }
    source.send(10, rate: 10_000_000, ecn: .ect0)
    source.collect()
    #expect(source.link.counts.marked == 9)
    #expect(source.marks(.ce) == 0)
    #expect(source.marks(.notECT) == 9)
  }
}

@Suite("Path MTU of links") struct LinkMTUTests {
  @Test(arguments: [true, false]) func `the limit is told where the path tells it`(reports: Bool) {
    var conditions = LinkConditions()
    conditions.mtu = 1_280
    conditions.reportsTooLong = reports
    var link = Link(conditions, seed: 1)
    let packet = [UInt8](repeating: 0, count: 1_281)
    #expect(link.send(packet.bytes, now: start) == .tooLong(limit: reports ? 1_280 : nil))
    #expect(link.counts.tooLong == 1)
    #expect(link.deadline == nil)
  }
}

@Suite("Rates of links") struct RateTests {
  // 1 Mbit/s: 8 ms a packet. From 20 ms on a quarter: the third packet has half of its bits left, which take 16 ms.
  @Test(arguments: [QueueDiscipline.dropTail, .coDel()])
  func `a packet that leaves while the rate changes takes part of each`(discipline: QueueDiscipline) {
    var source = Source {
      $0.rate = 1_000_000
      $0.rateChanges = [
        RateChange(at: start + .milliseconds(20), rate: 250_000),
        RateChange(at: start + .milliseconds(68), rate: 8_000_000),
      ]
      $0.discipline = discipline
    }
    let packet = [UInt8](repeating: 0, count: 1_000)
    for _ in 0..<5 { source.link.send(packet.bytes, now: start) }
    #expect(source.link.queuedBytes(now: start) == 5_000)
    source.collect()
    #expect(
      source.arrivals.map { $0.time.nanoseconds(since: start) / 1_000 } == [8_000, 16_000, 36_000, 68_000, 69_000])
  }

  @Test func `what waits is what has not left`() {
    for discipline in [QueueDiscipline.dropTail, .dualPI2()] {
      var source = Source {
        $0.rate = 8_000_000
        $0.queue = 20_000
        $0.discipline = discipline
      }
      let packet = [UInt8](repeating: 0, count: 1_000)
      for _ in 0..<30 { source.link.send(packet.bytes, now: start) }
      let room = discipline == .dropTail ? 20 : 21
      #expect(source.link.counts.queueFull == 30 - room)
      #expect(source.link.queuedBytes(now: start + .milliseconds(5)) == (room - 5) * 1_000)
      source.collect()
      #expect(source.link.queuedBytes(now: start + .seconds(1)) == 0)
      #expect(source.arrivals.count == room)
    }
  }
}

@Suite("Managed queues") struct ManagedQueueTests {
  private static let kinds: [QueueDiscipline] = [.coDel(), .dualPI2()]

  @Test(arguments: kinds) func `a link that is not full neither marks nor drops`(discipline: QueueDiscipline) {
    var source = Source {
      $0.rate = 10_000_000
      $0.discipline = discipline
      $0.delay = .milliseconds(3)
    }
    source.send(2_000, rate: 9_000_000, ecn: .ect0)
    source.send(2_000, rate: 9_000_000, ecn: .ect1)
    source.collect()
    #expect(source.arrivals.count == 4_000)
    #expect(source.marks(.ce) == 0)
    #expect(source.link.counts.dropped == 0)
  }

  @Test(arguments: kinds) func `packets of one kind stay in order, and each is counted once`(
    discipline: QueueDiscipline
  ) {
    var source = Source {
      $0.rate = 10_000_000
      $0.discipline = discipline
      $0.queue = 100_000
      $0.loss = 0.01
    }
    source.send(5_000, rate: 12_000_000)
    source.collect()
    let tags = source.arrivals.map(\.arrival.tag)
    #expect(tags == tags.sorted())
    let counts = source.link.counts
    #expect(counts.dropped > 0)
    #expect(counts.sent + counts.lost + counts.queueFull == 5_000)
    // Some of those that would be lost behind the queue are dropped in it.
    #expect((counts.sent - counts.dropped...counts.sent).contains(tags.count))
  }

  @Test(arguments: kinds) func `the same seed gives the same marks, however often one looks`(
    discipline: QueueDiscipline
  ) {
    func run(_ seed: UInt64, looks: Bool) -> [Int64] {
      var source = Source(seed: seed) {
        $0.rate = 10_000_000
        $0.discipline = discipline
        $0.jitter = .milliseconds(1)
        $0.loss = 0.01
      }
      for _ in 0..<1_500 {
        source.send(1, rate: 13_000_000, ecn: source.link.counts.sent % 3 == 0 ? .ect1 : .ect0)
        if looks { _ = source.link.queuedBytes(now: source.now.advanced(nanoseconds: 100_000)) }
      }
      source.collect()
      return source.arrivals.map { $0.time.nanoseconds * 4 + Int64($0.arrival.ecn.rawValue) }
    }
    #expect(run(5, looks: false) == run(5, looks: true))
    #expect(run(5, looks: false) != run(6, looks: false))
  }

  @Test func `a link without a managed queue has no memory for one`() {
    #expect(MemoryLayout<Link>.size <= 320)
  }

  // MARK: CoDel

  // RFC 8289 §5.3 and §5.5: nothing in the first interval above the target; then one after interval ÷ √n each.
  @Test func `CoDel waits an interval, and then drops sooner and sooner`() {
    var source = Source {
      $0.rate = 8_000_000
      $0.discipline = .coDel()
      $0.queue = 10_000_000
    }
    source.send(1_000, rate: 16_000_000)
    source.collect()
    var gaps: [Instant] = []
    for (before, after) in zip(source.arrivals, source.arrivals.dropFirst())
    where after.arrival.tag != before.arrival.tag + 1 { gaps.append(after.time) }
    #expect(gaps.count > 5)
    // The wait reaches 5 ms after 10 ms.
    let first = gaps[0].nanoseconds(since: start)
    #expect(first > 105_000_000 && first < 120_000_000, "\(first)")
    var expected = gaps[0]
    for index in 1...5 {
      expected = expected.advanced(nanoseconds: Int64(100_000_000 / Double(index).squareRoot()))
      #expect(abs(gaps[index].nanoseconds(since: expected)) < 3_000_000)
    }
  }

  @Test func `CoDel marks who understands it, and does not drop them`() {
    for ecn in [ECN.ect0, .ect1] {
      var source = Source {
        $0.rate = 8_000_000
        $0.discipline = .coDel()
        $0.queue = 10_000_000
      }
      source.send(2_000, rate: 12_000_000, ecn: ecn)
      source.collect()
      #expect(source.arrivals.count == 2_000)
      #expect(source.marks(.ce) > 10)
      #expect(source.marks(.ce) == source.link.counts.marked)
      #expect(source.link.counts.dropped == 0)
    }
  }

  // MARK: DualPI2

  // At a steady state of an unresponsive load the drops take what is too much: p = p′² = 1 − rate ÷ load, and L4S packets
  // are marked with k × p′ (RFC 9332 §2.1).
  @Test func `DualPI2 drops as much as is too much, and marks L4S by the coupling`() {
    var source = Source {
      $0.rate = 10_000_000
      $0.discipline = .dualPI2()
      $0.queue = 10_000_000
    }
    // In all 5 % too much: 10 Mbit/s classic and half a Mbit/s of L4S.
    for _ in 0..<2_000 {
      source.send(20, rate: 10_500_000)
      source.send(1, rate: 10_500_000, ecn: .ect1)
    }
    source.collect()
    let late = source.arrivals.filter { $0.time > start + .seconds(15) }
    let classic = late.filter { $0.arrival.ecn == .notECT }.count
    let scalable = late.filter { $0.arrival.ecn != .notECT }
    let share = Double(classic) / (20 * Double(scalable.count))
    let dropped = 1 - share
    // 10.5 × (20 × (1 − p) + 1) ÷ 21 = 10.
    #expect(abs(dropped - 0.05) < 0.01, "\(dropped)")
    let marked = Double(scalable.count { $0.arrival.ecn == .ce }) / Double(scalable.count)
    #expect(abs(marked - 2 * dropped.squareRoot()) < 0.06, "\(marked)")
    // The classic queue waits about the target.
    let waits = late.filter { $0.arrival.ecn == .notECT }.map {
      $0.time.nanoseconds(since: start) - Int64($0.arrival.tag + 1) * (8_000_000_000_000 / 10_500_000) - 800_000
    }
    let mean = Double(waits.reduce(0, +)) / Double(waits.count) / 1e6
    #expect(abs(mean - 15) < 5, "\(mean)")
  }

  @Test func `L4S packets pass a classic queue by, and are marked when they wait themselves`() {
    var source = Source {
      $0.rate = 10_000_000
      $0.discipline = .dualPI2()
      $0.queue = 10_000_000
    }
    source.send(200, rate: 20_000_000)
    let tag = UInt32(200)
    let before = source.now
    source.send(1, rate: 20_000_000, ecn: .ect1)
    source.collect()
    let arrival = source.arrivals.first { $0.arrival.tag == tag }
    // One packet may be leaving.
    #expect(arrival.map { $0.time.nanoseconds(since: before) < 2_500_000 } == true)

    var alone = Source {
      $0.rate = 10_000_000
      $0.discipline = .dualPI2()
    }
    alone.send(30, rate: 100_000_000, ecn: .ect1)
    alone.collect()
    let marks = alone.arrivals.map { $0.arrival.ecn == .ce }
    // The wait is above a millisecond from the third on; the last has no queue behind it.
    #expect(marks.prefix(2).allSatisfy { !$0 })
    #expect(marks[4..<28].allSatisfy { $0 })
  }

  @Test func `the classic queue has its tenth, however much L4S there is`() {
    var source = Source {
      $0.rate = 10_000_000
      $0.discipline = .dualPI2()
      $0.queue = 100_000_000
    }
    for _ in 0..<2_000 {
      source.send(9, rate: 50_000_000, ecn: .ect1)
      source.send(1, rate: 50_000_000, ecn: .ect0)
    }
    source.collect(until: source.now)
    let classic = source.arrivals.count { source in source.arrival.tag % 10 == 9 }
    #expect(abs(Double(classic) / Double(source.arrivals.count) - 0.1) < 0.02)
  }

  @Test func `a queue keeps its discipline until it is empty`() {
    var source = Source {
      $0.rate = 8_000_000
      $0.discipline = .coDel()
    }
    source.send(20, rate: 100_000_000)
    source.link.conditions.discipline = .dropTail
    source.send(20, rate: 100_000_000)
    source.collect()
    #expect(source.arrivals.map(\.arrival.tag) == (0..<40).map { UInt32($0) })
    source.now = source.now + .seconds(1)
    source.send(1, rate: 100_000_000)
    #expect(source.link.inFlight == 1)
  }
}
