import MeshPrimitives
import Testing

@testable import MeshReliability

@Suite("Egress queue") struct EgressQueueTests {
  private let pool = ChunkPool()
  private let start = Instant(nanoseconds: 1_000_000_000)

  /// A way out of `rate` bits per second: asks the queue whose turn it is, for `duration`, while `arrivals` puts packets in
  /// every millisecond. Returns the bytes that left of each flow, and the longest wait of each in the last second.
  private func drain(
    _ queue: EgressQueue, rate: Int, duration: Duration, connectionWants: Bool,
    arrivals: (EgressQueue, Instant) -> Void
  ) -> (bytes: [EgressQueue.Flow: Int], waits: [EgressQueue.Flow: Duration]) {
    var bytes: [EgressQueue.Flow: Int] = [:]
    var waits: [EgressQueue.Flow: Duration] = [:]
    var now = start
    var arrival = start
    let end = start + duration
    while now < end {
      while arrival <= now {
        arrivals(queue, arrival)
        arrival = arrival + .milliseconds(1)
      }
      guard let flow = queue.next(connectionWants: connectionWants, now: now) else {
        now = arrival
        continue
      }
      var left = 0
      if flow == .connection {
        left = 1_400
        queue.chargeConnection(left)
      } else if let packet = queue.front(of: flow, now: now) {
        left = packet.size
        let content = [UInt8](capacity: left) { queue.takeFront(of: flow, into: &$0) }
        let sent = content.withUnsafeBytes { unsafe $0.loadUnaligned(as: Int64.self) }
        if now.nanoseconds(since: start) > duration.wholeNanoseconds - 1_000_000_000 {
          waits[flow] = max(waits[flow] ?? .zero, .nanoseconds(now.nanoseconds - sent))
        }
      }
      bytes[flow, default: 0] += left
      now = now.advanced(nanoseconds: Int64(left) * 8_000_000_000 / Int64(rate))
    }
    return (bytes, waits)
  }

  /// A packet that says when it came.
  private func packet(_ size: Int, at now: Instant) -> [UInt8] {
    let stamp = now.nanoseconds
    return withUnsafeBytes(of: stamp) { unsafe Array($0) } + [UInt8](repeating: 0, count: size - 8)
  }

  @Test func `the connection, IP and each relayed flow get the same share, whatever the size of their packets`() {
    let queue = EgressQueue(pool: pool)
    let (bytes, _) = drain(queue, rate: 20_000_000, duration: .seconds(4), connectionWants: true) { queue, now in
      // Each flow wants half of the rate.
      for (flow, size) in [(EgressQueue.Flow.ip, 1_250), (.relayed(7), 625), (.relayed(9), 250)] {
        for _ in 0..<1_250 / size { queue.append(packet(size, at: now).bytes, to: flow, ecn: .notECT, now: now) }
      }
    }
    let share = 20_000_000 / 8 * 4 / 4
    for flow in [EgressQueue.Flow.connection, .ip, .relayed(7), .relayed(9)] {
      #expect(abs(bytes[flow, default: 0] - share) < share / 10, "\(flow): \(bytes[flow] ?? 0) of \(share)")
    }
  }

  @Test(arguments: [ECN.notECT, .ect0])
  func `a flow that answers to signals waits little, and one that sends seldom hardly at all`(ecn: ECN) {
    let queue = EgressQueue(pool: pool)
    // Like a sender that halves its rate when it hears of a mark or a drop, and else speeds up.
    var perMillisecond = 4.0
    var heard: UInt64 = 0
    var owed = 0.0
    var lastCut = start
    let (bytes, waits) = drain(queue, rate: 40_000_000, duration: .seconds(10), connectionWants: false) { queue, now in
      let signals = queue.marked + queue.dropped + queue.overflowed
      if signals > heard, now - lastCut > .milliseconds(20) {
        perMillisecond /= 2
        lastCut = now
      }
      heard = signals
      perMillisecond += 0.002
      owed += perMillisecond
      while owed >= 1 {
        queue.append(packet(1_250, at: now).bytes, to: .ip, ecn: ecn, now: now)
        owed -= 1
      }
      if now.nanoseconds % 50_000_000 == 0 {
        queue.append(packet(100, at: now).bytes, to: .relayed(1), ecn: .notECT, now: now)
      }
    }
    #expect(ecn == .notECT ? queue.dropped > 0 && queue.marked == 0 : queue.marked > 0 && queue.dropped == 0)
    #expect(bytes[.ip, default: 0] > 40_000_000 / 8 * 10 * 7 / 10)
    #expect(waits[.ip, default: .zero] < .milliseconds(60))
    // One turn of the other at most: 16 KiB.
    #expect(waits[.relayed(1), default: .seconds(1)] < .milliseconds(4))
  }

  @Test func `whoever does not answer to signals fills the queue and no more, and the others lose nothing`() {
    let queue = EgressQueue(pool: pool)
    var offered = 0
    let (bytes, _) = drain(queue, rate: 10_000_000, duration: .seconds(3), connectionWants: false) { queue, now in
      for _ in 0..<20 { queue.append(packet(1_250, at: now).bytes, to: .relayed(1), ecn: .notECT, now: now) }
      if now.nanoseconds % 10_000_000 == 0 {
        queue.append(packet(500, at: now).bytes, to: .ip, ecn: .notECT, now: now)
        offered += 500
      }
      #expect(queue.count <= EgressQueue.mostPackets && queue.bytes <= EgressQueue.mostBytes)
    }
    #expect(queue.overflowed > 1_000)
    #expect(bytes[.ip, default: 0] >= offered - 1_000)
    queue.removeAll()
    #expect(pool.used == 0)
  }

  @Test func `labels beyond the most share a line, and memory comes back`() {
    let queue = EgressQueue(pool: pool)
    for label in 0..<1_000 as Range<UInt32> {
      queue.append(packet(100, at: start).bytes, to: .relayed(label), ecn: .notECT, now: start)
    }
    var left = 0
    while let flow = queue.next(connectionWants: false, now: start) {
      while queue.front(of: flow, now: start) != nil {
        left += [UInt8](capacity: 2_000) { queue.takeFront(of: flow, into: &$0) }.count
      }
    }
    #expect(left == 100_000 && queue.isEmpty && pool.used == 0)
  }
}
