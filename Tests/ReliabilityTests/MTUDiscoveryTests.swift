import MeshPrimitives
import MeshReliability
import Testing

@Suite("Packet size discovery") struct MTUDiscoveryTests {
  /// Probes until the search rests, over a path that carries `mtu` bytes of UDP payload; gives the number of probes.
  private func search(_ discovery: inout MTUDiscovery, mtu: Int, now: inout Instant) -> Int {
    var probes = 0
    while discovery.isSearching {
      now = max(now, discovery.due)
      guard let size = discovery.nextProbe(token: UInt64(probes), now: now) else { continue }
      #expect(size % 16 == 0 && size > discovery.current)
      probes += 1
      if size <= mtu {
        now = now + .milliseconds(20)
        let isOurs = discovery.handleReply(UInt64(probes - 1), now: now)
        #expect(isOurs)
      }
    }
    return probes
  }

  @Test(arguments: Array(stride(from: 1_024, through: 10_000, by: 97)) + [65_507])
  func `the size is found to 16 bytes, in a few dozen probes`(mtu: Int) {
    var discovery = MTUDiscovery(.v4)
    var now = Instant(nanoseconds: 0)
    discovery.begin(now: now)
    let probes = search(&discovery, mtu: mtu, now: &now)
    #expect(discovery.current <= mtu && discovery.current > mtu - 16)
    #expect(probes <= 50)
  }

  @Test func `Ethernet is found in four probes that pass or are known not to`() {
    var discovery = MTUDiscovery(.v4, limit: 1_472)
    var now = Instant(nanoseconds: 0)
    discovery.begin(now: now)
    #expect(search(&discovery, mtu: 1_472, now: &now) == 2)
    #expect(discovery.current == 1_472)
    var six = MTUDiscovery(.v6, limit: 1_452)
    six.begin(now: now)
    _ = search(&six, mtu: 1_452, now: &now)
    #expect(six.current == 1_440)
  }

  @Test func `a peer's limit is kept`() {
    var discovery = MTUDiscovery(.v4, limit: 1_300)
    var now = Instant(nanoseconds: 0)
    discovery.begin(now: now)
    _ = search(&discovery, mtu: 9_000, now: &now)
    #expect(discovery.current == 1_296)
    #expect(MTUDiscovery(.v4, limit: 5).current == MTUDiscovery.minimum)
    #expect(MTUDiscovery(.v4, limit: -1).next == nil)
  }

  @Test func `a stranger's reply, and a late one, change nothing`() {
    var discovery = MTUDiscovery(.v4)
    let now = Instant(nanoseconds: 0)
    discovery.begin(now: now)
    _ = discovery.nextProbe(token: 1, now: now)
    let answers = [2, 1, 1].map { discovery.handleReply($0, now: now) }
    #expect(answers == [false, true, false])
    #expect(discovery.current == 1_200)
  }

  @Test func `after a black hole it falls, and climbs to what passes now`() {
    var discovery = MTUDiscovery(.v4)
    var now = Instant(nanoseconds: 0)
    discovery.begin(now: now)
    _ = search(&discovery, mtu: 1_472, now: &now)
    let wentDown = discovery.collapse(othersPass: true, now: now)
    #expect(wentDown)
    #expect(discovery.current == 1_024)
    _ = search(&discovery, mtu: 1_252, now: &now)
    #expect(discovery.current == 1_248)
    // Ten minutes later what failed is tried again.
    #expect(discovery.due == now + .seconds(600))
    now = discovery.due
    let size = discovery.nextProbe(token: 9, now: now)
    #expect(size == 1_472)
  }

  @Test func `after an outage the old size is tried first, and what was lost meanwhile says nothing`() {
    var discovery = MTUDiscovery(.v4)
    var now = Instant(nanoseconds: 0)
    discovery.begin(now: now)
    _ = search(&discovery, mtu: 1_380, now: &now)
    #expect(discovery.current == 1_376)
    let fell = discovery.collapse(othersPass: false, now: now)
    #expect(fell && discovery.current == 1_024)
    // Five seconds in which nothing passes.
    for _ in 0..<20 {
      now = max(now, discovery.due)
      discovery.putOff(now: now)
    }
    now = discovery.due
    let first = discovery.nextProbe(token: 1, now: now)
    #expect(first == 1_376)
    let isOurs = discovery.handleReply(1, now: now)
    #expect(isOurs && discovery.current == 1_376)
  }

  @Test func `a report is believed when it can be true, four times a second, and costs some probes when it is not`() {
    var discovery = MTUDiscovery(.v4)
    var now = Instant(nanoseconds: 0)
    discovery.begin(now: now)
    _ = search(&discovery, mtu: 9_000, now: &now)
    #expect(discovery.current == 8_992)
    for absurd in [0, -1, .min, 68, 1_000, 8_992, 20_000, Int.max] {
      let fell = discovery.packetTooBig(absurd, now: now)
      #expect(!fell && discovery.current == 8_992)
    }
    let fell = discovery.packetTooBig(1_400, now: now)
    #expect(fell && discovery.current == 1_392)
    let probes = search(&discovery, mtu: 9_000, now: &now)
    #expect(discovery.current == 8_992 && probes < 40)
    now = now + .seconds(5)
    var falls = 0
    for size in stride(from: 8_000, to: 2_000, by: -100) where discovery.packetTooBig(size, now: now) { falls += 1 }
    #expect(falls == 4)
  }

  @Test func `a path inside another follows it`() {
    var discovery = MTUDiscovery(inside: 1_472)
    var now = Instant(nanoseconds: 0)
    #expect(discovery.current == 1_424 && discovery.next == nil)
    // Two layers.
    #expect(MTUDiscovery(inside: discovery.current).current == 1_376)
    let same = discovery.carrierChanged(to: 1_472, now: now)
    #expect(!same)
    let fell = discovery.carrierChanged(to: 1_200, now: now)
    #expect(fell && discovery.current == 1_152)
    // A relay further on passes less.
    let told = discovery.packetTooBig(1_100, now: now)
    #expect(told && discovery.current == 1_088)
    _ = search(&discovery, mtu: 1_100, now: &now)
    #expect(discovery.current == 1_088)
    // The carrier carries more again: that is looked for, and not taken for granted.
    let grew = discovery.carrierChanged(to: 9_000, now: now)
    #expect(!grew && discovery.current == 1_088)
    for hostile in [0, -5, Int.max, 17] { #expect(MTUDiscovery(inside: hostile).current >= 16) }
  }
}
