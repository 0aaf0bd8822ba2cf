import MeshPrimitives
import MeshSTUN
import MeshSimulation

private let client = SocketAddress(IPAddress(v4: 0xCB00_7109), port: 40_000)
private let identifier = TransactionID(high: 0x0102_0304, low: 0x0506_0708_090A_0B0C)
private let key = IntegrityKey(shortTerm: "VOkJxbRl1RmTxUk/WvJxBt")

let stunCases: [Benchmark] = [
  // Header, all attributes, and the mapped address.
  Benchmark("stun/decode/binding-response", allocationFree: true) {
    decode(response(fingerprint: false)) { _ in true }
  },
  Benchmark("stun/decode/binding-response-fingerprint", allocationFree: true) {
    decode(response(fingerprint: true)) { $0.fingerprint == .valid }
  },
  Benchmark("stun/decode/ice-check-sha1", allocationFree: true) {
    decode(check(.sha1)) { $0.integrity(with: key) == .valid }
  },
  Benchmark("stun/decode/ice-check-sha256", allocationFree: true) {
    decode(check(.sha256)) { $0.integrity(with: key) == .valid }
  },
  Benchmark("stun/encode/binding-response", allocationFree: true) {
    let buffer = memory(256)
    return .loop { count in
      for _ in 0..<count {
        var output = OutputRawSpan(buffer: buffer, initializedCount: 0)
        var writer = MessageWriter(.success, .binding, identifier, to: &output)
        writer.append(.xorMappedAddress, client, to: &output)
        use(UInt64(output.byteCount))
        _ = output.finalize(for: buffer)
      }
    }
  },
  Benchmark("stun/serve/binding", allocationFree: true) {
    var entropy = SeededEntropy(seed: 1)
    var configuration = BindingServer.Configuration()
    (configuration.requestsPerSecond, configuration.burst) = (1_000_000_000, 1_000_000)
    let server = Box(BindingServer(configuration, entropy: &entropy))
    let request = [UInt8](capacity: 64) { _ = MessageWriter(.request, .binding, identifier, to: &$0) }
    let buffer = memory(1500)
    let now = Box(Instant(nanoseconds: 0))
    return .loop { count in
      for _ in 0..<count {
        now.value = now.value.advanced(nanoseconds: 1000)
        var output = OutputRawSpan(buffer: buffer, initializedCount: 0)
        let reply = server.value.respond(to: request.bytes, from: client, now: now.value, into: &output)
        use(UInt64(reply?.destination.port ?? 0))
        _ = output.finalize(for: buffer)
      }
    }
  },
]

private func response(fingerprint: Bool) -> [UInt8] {
  [UInt8](capacity: 256) { output in
    var writer = MessageWriter(.success, .binding, identifier, to: &output)
    writer.append(.xorMappedAddress, client, to: &output)
    writer.append(.software, "test vector", to: &output)
    if fingerprint { writer.appendFingerprint(to: &output) }
  }
}

/// A response to a connectivity check.
private func check(_ algorithm: IntegrityAlgorithm) -> [UInt8] {
  [UInt8](capacity: 256) { output in
    var writer = MessageWriter(.success, .binding, identifier, to: &output)
    writer.append(.xorMappedAddress, client, to: &output)
    writer.appendIntegrity(algorithm, key, to: &output)
    writer.appendFingerprint(to: &output)
  }
}

private func decode(_ message: [UInt8], _ verify: @escaping (borrowing STUNMessage) -> Bool) -> Benchmark.Work {
  .loop { count in
    for _ in 0..<count {
      guard let read = try? STUNMessage(message.bytes), read.transactionID == identifier, verify(read),
        let address = try? read.value(.xorMappedAddress)
      else { fatalError("the sample must be read") }
      use(address.address.low &+ UInt64(address.port))
    }
  }
}
