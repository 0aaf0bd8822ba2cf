import MeshCrypto

/// Bulk data of one stream from node to node: all that is ours on the way of a packet, and its encryption, of both sides
/// together. Held against the encryption alone. An operation is one full datagram. And IP packets, which have no connection.
let nodeCases: [Benchmark] = [
  Benchmark("node/stream/nodes", bytes: 1400, against: "keys", allocationFree: true) {
    let pair = NodePair(CipherProvider())
    return .loop { pair.move($0) }
  },
  Benchmark("node/stream/keys", bytes: 1400) { roundTrips(1400) },
  Benchmark("node/ip-1280/nodes", bytes: 1280, against: "keys", allocationFree: true) {
    let pair = NodePair(CipherProvider(), streams: false)
    return .loop { pair.sendIP($0) }
  },
  Benchmark("node/ip-1280/keys", bytes: 1280) { roundTrips(1280) },
]
