import MeshReplay
import Testing

@Suite("Replay window") struct ReplayWindowTests {
  static let limit = ReplayWindow.rejectAfterMessages

  static let firstPacket: [(UInt64, ReplayWindow.Verdict)] = [
    (0, .fresh), (1, .fresh), (8128, .fresh), (8129, .fresh), (1 << 40, .fresh), (1 << 63, .fresh),
    (limit - 1, .fresh), (limit, .exhausted), (.max, .exhausted),
  ]
  @Test(arguments: firstPacket) func `the first packet`(counter: UInt64, verdict: ReplayWindow.Verdict) {
    #expect(ReplayWindow().check(counter) == verdict)
    var window = ReplayWindow()
    #expect(window.commit(counter) == verdict)
    #expect(window.check(counter) == (verdict == .fresh ? .replayed : verdict))
    #expect(window.commit(counter) == (verdict == .fresh ? .replayed : verdict))
  }

  @Test func `the limit is the one of WireGuard`() {
    #expect(Self.limit == 18_446_744_073_709_543_423)
  }

  @Test func `a packet that was not authenticated does not move the window`() {
    let window = ReplayWindow()
    #expect(window.check(1 << 40) == .fresh)
    #expect(window.check(1) == .fresh)
    #expect(window.highest == 0)
  }

  @Test(arguments: [64, 192, 8128, 32_704], [0, 1, 31, 63, 64, 100_000, 1 << 40] as [UInt64])
  func `the window reaches back by its capacity and no further`(capacity: Int, offset: UInt64) {
    var window = ReplayWindow(capacity: capacity)
    #expect(window.capacity == capacity)
    let last = UInt64(capacity) + 1 + offset
    window.commit(last)
    #expect(window.check(last - UInt64(capacity)) == .fresh)
    #expect(window.check(last - UInt64(capacity) - 1) == .tooOld)
    #expect(window.commit(last - UInt64(capacity) - 1) == .tooOld)
    #expect(window.commit(last - UInt64(capacity)) == .fresh)
    #expect(window.commit(last - UInt64(capacity)) == .replayed)
    #expect(window.highest == last)
  }

  @Test func `a counter that is too old marks no newer one`() {
    var window = ReplayWindow()
    window.commit(20_000)
    window.commit(20_000 - 8192)  // would fall on the word of 20,000 + 0
    window.commit(20_001 - 8192)
    #expect(window.check(20_001) == .fresh)
    #expect(window.check(20_000) == .replayed)
  }

  @Test(arguments: [8127, 8128, 8129, 8191, 8192, 8193, 1 << 20, 1 << 63] as [UInt64])
  func `a jump forgets what it leaves behind and nothing else`(jump: UInt64) {
    var window = ReplayWindow()
    for counter in 0..<64 as Range<UInt64> { window.commit(counter) }
    let last = 63 + jump
    #expect(window.commit(last) == .fresh)
    #expect(window.commit(last) == .replayed)
    for counter in 0..<64 as Range<UInt64> {
      #expect(window.check(counter) == (last - counter > 8128 ? .tooOld : .replayed), "counter \(counter)")
    }
    for distance in 1...8128 as ClosedRange<UInt64> where last - distance > 63 {
      #expect(window.check(last - distance) == .fresh, "counter \(last - distance)")
    }
  }

  @Test func `every counter of a full window is accepted once, in whatever order`() {
    var window = ReplayWindow()
    window.commit(8128)
    for step in 0..<8128 as Range<UInt64> {
      let counter = step * 4093 % 8128  // 4093 is prime to 8128
      #expect(window.check(counter) == .fresh)
      #expect(window.commit(counter) == .fresh)
      #expect(window.check(counter) == .replayed)
    }
    for counter in 0...8128 as ClosedRange<UInt64> { #expect(window.commit(counter) == .replayed) }
  }

  @Test func `the last counters below the limit are accepted once`() {
    var window = ReplayWindow()
    #expect(window.commit(Self.limit - 1) == .fresh)
    #expect(window.commit(Self.limit) == .exhausted)
    #expect(window.commit(.max) == .exhausted)
    #expect(window.highest == Self.limit - 1)
    #expect(window.commit(Self.limit - 1 - 8128) == .fresh)
    #expect(window.commit(Self.limit - 1) == .replayed)
  }

  @Test(arguments: [(1, 64), (64, 64), (65, 192), (8128, 8128), (8129, 16_320), (32_704, 32_704)])
  func `a capacity is rounded up to what a ring can hold`(asked: Int, given: Int) {
    #expect(ReplayWindow(capacity: asked).capacity == given)
  }

  @Test func `a window that was reset is as new`() {
    var window = ReplayWindow(capacity: 64)
    for counter in 0..<500 as Range<UInt64> { window.commit(counter) }
    window.reset()
    for counter in 0..<128 as Range<UInt64> { #expect(window.commit(counter) == .fresh) }
  }

  @Test(arguments: [0, 5, 64, 447, 448, 1000, 100_000, limit - 1] as [UInt64])
  func `a wider window knows what it knew, and takes nothing that it cannot know`(last: UInt64) {
    var window = ReplayWindow(capacity: 448)
    let known = (last - min(last, 448)...last).filter { $0 % 3 == 0 || $0 == last }
    for counter in known { window.commit(counter) }
    window.widen(to: 8128)
    #expect(window.capacity == 8128)
    #expect(window.highest == last)
    for counter in last - min(last, 10_000)...last {
      // The lowest word of the narrow window may know a few counters more than its capacity says: none was accepted.
      let isKnown = last >> 6 - counter >> 6 <= 7
      let expected: ReplayWindow.Verdict =
        last - counter > 8128 ? .tooOld : isKnown && !known.contains(counter) ? .fresh : .replayed
      #expect(window.check(counter) == expected, "\(counter) of \(last)")
    }
    // From here on it is as wide as one that began so.
    guard last < Self.limit - 9000 else { return }
    #expect(window.commit(last + 8000) == .fresh)
    #expect(window.commit(last + 1) == .fresh)
    #expect(window.commit(last) == .replayed)
  }

  @Test func `widening to less changes nothing`() {
    var window = ReplayWindow()
    window.commit(7)
    window.widen(to: 64)
    #expect(window.capacity == 8128)
    #expect(window.check(7) == .replayed)
  }

  /// What RFC 6479 asks for, said plainly.
  struct Model {
    var accepted: Set<UInt64> = []
    var last: UInt64 = 0
    let capacity: UInt64

    mutating func commit(_ counter: UInt64) -> ReplayWindow.Verdict {
      if counter >= limit { return .exhausted }
      if counter <= last, last - counter > capacity { return .tooOld }
      guard accepted.insert(counter).inserted else { return .replayed }
      last = max(last, counter)
      return .fresh
    }
  }

  @Test(arguments: 1...40 as ClosedRange<UInt64>)
  func `it agrees with a set of all counters`(seed: UInt64) {
    var random = SplitMix64(state: seed)
    let capacity = [64, 192, 448, 8128][Int(seed % 4)]
    var window = ReplayWindow(capacity: capacity)
    var model = Model(capacity: UInt64(capacity))
    for step in 0..<20_000 {
      let counter: UInt64
      switch random.next() % 64 {
      case 0: counter = model.last &+ random.next() % UInt64(4 * capacity)
      case 1: counter = model.last &+ random.next() >> (random.next() % 64)
      case 2: counter = .max - random.next() % 20_000
      case 3...20: counter = model.last &+ 1
      case 21...30: counter = model.last &+ random.next() % 8
      default: counter = model.last &- random.next() % UInt64(capacity + 8)
      }
      // Close to the limit nothing is left to test: most runs stay below.
      if counter > 1 << 62, step < 15_000 { continue }
      let checked = window.check(counter)
      if random.next() % 16 == 0 { continue }  // not authenticated
      let expected = model.commit(counter)
      #expect(checked == expected, "seed \(seed), step \(step), counter \(counter)")
      #expect(window.commit(counter) == expected, "seed \(seed), step \(step), counter \(counter)")
      #expect(window.highest == model.last)
    }
  }
}

/// A small generator with a seed (Steele, Lea, Flood 2014).
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}
