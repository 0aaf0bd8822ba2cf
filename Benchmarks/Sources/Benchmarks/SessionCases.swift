import CMeshBareCalls
import MeshCrypto
import MeshPrimitives
import MeshSession

let sessionCases: [Benchmark] =
  [
    // CPU time of one side of a whole handshake through `Device`: initiation, response, first packet.
    Benchmark("session/handshake/initiator") { handshakes(\.leftTime) },
    Benchmark("session/handshake/responder") { handshakes(\.rightTime) },
  ]
  + [64, 1400].flatMap { size in
    [
      // A packet sealed by one device and taken by the other (and an eighth of a small one back), each backend's calls
      // and nothing else beside it.
      Benchmark("session/packet-\(size)/devices", bytes: size, against: "keys", allocationFree: true) {
        let pair = DevicePair(CipherProvider())
        return .loop { pair.exchangeData($0, size: size) }
      },
      Benchmark("session/packet-\(size)/keys", bytes: size, allocationFree: true) { roundTrips(size) },
      Benchmark("session/packet-\(size)/c-libsodium", bytes: size) { roundTripsInC(size, .libsodium) },
      Benchmark("session/packet-\(size)/c-libcrypto", bytes: size) { roundTripsInC(size, .libcrypto) },
      Benchmark("session/packet-\(size)/c-ipsecMB", bytes: size) { roundTripsInC(size, .ipsecMB) },
    ]
  }
  + [
    // What a datagram costs that is nothing.
    Benchmark("session/drop/unknown-type", allocationFree: true) { drops(Array(repeating: 0x5A, count: 148)) },
    Benchmark("session/drop/unknown-receiver", allocationFree: true) {
      drops([4, 0, 0, 0] + Array(repeating: 0xFF, count: 1428))
    },
    // libcrypto makes and frees a context for each MAC.
    Benchmark("session/drop/wrong-mac1") {
      drops([1, 0, 0, 0] + Array(repeating: 0x5A, count: 144))
    },
  ]

private func handshakes(_ side: ReferenceWritableKeyPath<DevicePair, Int64>) -> Benchmark.Work {
  let pair = DevicePair(CipherProvider())
  return .timed { count in
    let before = pair[keyPath: side]
    for _ in 0..<count { pair.handshake() }
    return pair[keyPath: side] - before
  }
}

/// What `DevicePair.exchangeData` does, by keys alone.
func roundTrips(_ size: Int) -> Benchmark.Work {
  let keys = Box(TransportPair(CipherProvider()))
  let memory = memory(size + 16)
  return .loop { count in
    for index in 0..<count {
      var message = MutableRawSpan(_unsafeBytes: memory)
      do {
        let counter = try keys.value.left.sealing.seal(&message)
        try keys.value.right.opening.open(&message, counter: counter)
        guard index & 7 == 7 else { continue }
        var small = MutableRawSpan(_unsafeBytes: UnsafeMutableRawBufferPointer(rebasing: memory[..<48]))
        let back = try keys.value.right.sealing.seal(&small)
        try keys.value.left.opening.open(&small, counter: back)
      } catch { fatalError("a sealed message must open") }
    }
  }
}

private func roundTripsInC(_ size: Int, _ backend: CipherBackend) -> Benchmark.Work? {
  guard let bare = mesh_bare_make(number(backend)) else { return nil }
  let memory = memory(size + 16).baseAddress?.assumingMemoryBound(to: UInt8.self)
  var counter: UInt64 = 0
  return .loop { count in
    let good =
      mesh_bare_round_trip(bare, memory, size, counter, count)
      & mesh_bare_round_trip(bare, memory, 32, counter, count / 8)
    precondition(good == 1, "the library must open what it sealed")
    counter += UInt64(count)
  }
}

private func drops(_ message: [UInt8]) -> Benchmark.Work {
  let pair = DevicePair(CipherProvider())
  return .loop { pair.drop($0, message) }
}
