import MeshPrimitives
import MeshSimulation
import Testing

@Suite("Seeded entropy") struct SeededEntropyTests {
  @Test func `the same seed gives the same numbers, another seed others`() {
    var first = SeededEntropy(seed: 42)
    var second = SeededEntropy(seed: 42)
    var other = SeededEntropy(seed: 43)
    let numbers = (0..<100).map { _ in first.next() }
    #expect(numbers == (0..<100).map { _ in second.next() })
    #expect(numbers != (0..<100).map { _ in other.next() })
  }

  @Test(arguments: [0, 1, 7, 8, 9, 31]) func `all bytes are filled, and as many as the words have`(count: Int) {
    var bytes = [UInt8](repeating: 0, count: count)
    var entropy = SeededEntropy(seed: 1)
    var span = bytes.mutableBytes
    entropy.fill(&span)
    var words = SeededEntropy(seed: 1)
    let expected = (0..<4).flatMap { _ in withUnsafeBytes(of: words.next().littleEndian) { Array($0) } }
    #expect(bytes == Array(expected.prefix(count)))
  }

  @Test func `chances come about as often as they should`() {
    var entropy = SeededEntropy(seed: 3)
    let hits = (0..<20_000).count { _ in entropy.chance(0.25) }
    #expect((4_700...5_300).contains(hits))
    #expect((0..<100).allSatisfy { _ in !entropy.chance(0) && entropy.chance(1) })
  }
}

@Suite("Link") struct LinkTests {
  private func numbered(_ number: Int, size: Int = 100) -> [UInt8] {
    [UInt8(number & 0xFF), UInt8(number >> 8)] + [UInt8](repeating: 0, count: size - 2)
  }

  private func number(_ arrival: Link.Arrival) -> Int { Int(arrival.bytes[0]) | Int(arrival.bytes[1]) << 8 }

  @Test func `a packet arrives after the delay and not before`() {
    var conditions = LinkConditions()
    conditions.delay = .milliseconds(10)
    var link = Link(conditions, seed: 1)
    var clock = VirtualClock()
    link.send(numbered(1).bytes, ecn: .ect0, now: clock.now)
    #expect(link.deadline == clock.now + .milliseconds(10))
    clock.advance(by: .microseconds(9_999))
    #expect(link.nextArrival(now: clock.now) == nil)
    clock.advance(by: .microseconds(1))
    #expect(link.nextArrival(now: clock.now) == Link.Arrival(bytes: numbered(1), ecn: .ect0))
    #expect(link.deadline == nil)
  }

  @Test func `jitter keeps the order unless told otherwise`() {
    for reorders in [false, true] {
      var conditions = LinkConditions()
      conditions.jitter = .milliseconds(10)
      conditions.jitterReorders = reorders
      var link = Link(conditions, seed: 2)
      var clock = VirtualClock()
      for index in 0..<200 { link.send(numbered(index).bytes, now: clock.now + .microseconds(index * 100)) }
      clock.advance(by: .seconds(1))
      var order: [Int] = []
      while let arrival = link.nextArrival(now: clock.now) { order.append(number(arrival)) }
      #expect(order.sorted() == Array(0..<200))
      #expect((order == Array(0..<200)) == !reorders)
    }
  }

  @Test func `loss, duplication and reordering come at their rates`() {
    var conditions = LinkConditions()
    conditions.loss = 0.1
    conditions.duplication = 0.1
    var link = Link(conditions, seed: 3)
    let clock = VirtualClock()
    for index in 0..<10_000 { link.send(numbered(index).bytes, now: clock.now) }
    #expect((850...1150).contains(link.counts.lost))
    #expect((9_600...10_200).contains(link.inFlight))
  }

  @Test func `the rate spaces packets, and the queue drops what does not fit`() {
    var conditions = LinkConditions()
    conditions.rate = 8_000_000
    conditions.queue = 5_000
    conditions.markingThreshold = 3_000
    var link = Link(conditions, seed: 4)
    let clock = VirtualClock()
    let fates = (0..<8).map { link.send(numbered($0, size: 1_000).bytes, ecn: .ect0, now: clock.now) }
    #expect(fates == [.sent, .sent, .sent, .sent, .sent, .queueFull, .queueFull, .queueFull])
    var times: [Int64] = []
    var marks: [ECN] = []
    while let next = link.deadline, let arrival = link.nextArrival(now: next) {
      times.append(next.nanoseconds(since: clock.now))
      marks.append(arrival.ecn)
    }
    // 1,000 bytes take a millisecond.
    #expect(times == [1, 2, 3, 4, 5].map { $0 * 1_000_000 })
    #expect(marks == [.ect0, .ect0, .ect0, .ce, .ce])
  }

  @Test func `a packet above the MTU does not pass`() {
    var conditions = LinkConditions()
    conditions.mtu = 1_280
    var link = Link(conditions, seed: 5)
    #expect(link.send(numbered(0, size: 1_280).bytes, now: VirtualClock().now) == .sent)
    #expect(link.send(numbered(0, size: 1_281).bytes, now: VirtualClock().now) == .tooLong(limit: nil))
  }
}

@Suite("Virtual clock") struct VirtualClockTests {
  @Test func `it never goes back`() {
    var clock = VirtualClock()
    let start = clock.now
    clock.advance(by: .seconds(1))
    clock.advance(by: .seconds(-5))
    clock.advance(to: start)
    #expect(clock.now == start + .seconds(1))
  }
}
