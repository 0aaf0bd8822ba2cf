/// Bulk data of one stream between two connections, in packets of 1,400 bytes: writing, sending, receiving, reading, and
/// the acknowledgements, of both sides together. An operation is one full packet. And whole messages and datagrams of 200
/// bytes, likewise: an operation is one of them.
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
]
