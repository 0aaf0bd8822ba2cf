import MeshPrimitives
import MeshReliability

/// Bulk data of one stream between two connections, in packets of 1,400 bytes: writing, sending, receiving, reading, and
/// the acknowledgements, of both sides together. An operation is one full packet. And whole messages and datagrams of 200
/// bytes, likewise: an operation is one of them. And packets that pass the egress queue, of two flows that take turns with
/// the connection.
let reliabilityCases: [Benchmark] = [
  Benchmark("reliability/stream-1400/one-way", bytes: 1400, allocationFree: true) {
    let pair = ConnectionPair(bothWays: false)
    return .loop { pair.move($0) }
  },
  Benchmark("reliability/stream-1400/both-ways", bytes: 1400, allocationFree: true) {
    let pair = ConnectionPair(bothWays: true)
    return .loop { pair.move($0) }
  },
  Benchmark("reliability/stream-1400/background", bytes: 1400, allocationFree: true) {
    let pair = ConnectionPair(lane: .background)
    return .loop { pair.move($0) }
  },
  Benchmark("reliability/stream-1400/bbr", bytes: 1400, allocationFree: true) {
    let pair = ConnectionPair(congestion: .bbr)
    return .loop { pair.move($0) }
  },
  Benchmark("reliability/letter-200/message", bytes: 200, allocationFree: true) {
    let pair = ConnectionPair(letters: .messages)
    return .loop { pair.deliver($0) }
  },
  Benchmark("reliability/letter-200/datagram", bytes: 200, allocationFree: true) {
    let pair = ConnectionPair(letters: .datagrams)
    return .loop { pair.deliver($0) }
  },
  Benchmark("reliability/egress-1400/queue", bytes: 1400, allocationFree: true) {
    let load = EgressLoad()
    return .loop { load.pass($0) }
  },
]

/// Puts packets of two flows into an egress queue, 16 at a time, and takes them out as it says.
private final class EgressLoad {
  private let queue = EgressQueue(pool: ChunkPool())
  private let packet = [UInt8](repeating: 0xA5, count: 1_400)
  private let target = memory(65_536)
  private var now = Instant(nanoseconds: 0)

  func pass(_ count: Int) {
    let packet = packet
    var passed = 0
    while passed < count {
      for number in 0..<16 {
        queue.append(packet.bytes, to: number % 2 == 0 ? .ip : .relayed(7), ecn: .ect0, now: now)
      }
      now = now.advanced(nanoseconds: 100_000)
      var wants = true
      while let flow = queue.next(connectionWants: wants, now: now) {
        if flow == .connection {
          queue.chargeConnection(16_384)
          wants = false
          continue
        }
        var output = OutputRawSpan(buffer: target, initializedCount: 0)
        while output.freeCapacity >= 1_400, queue.front(of: flow, now: now) != nil {
          queue.takeFront(of: flow, into: &output)
          passed += 1
        }
      }
    }
  }
}
