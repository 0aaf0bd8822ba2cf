internal import MeshPrimitives

/// What the backends do on this machine: whether each computes the right bytes, and how fast.
enum CipherMeasurement {
  static let available: [CipherBackend] = CipherBackend.allCases.filter { isCorrect($0) }

  /// The fastest for each class of lengths, measured at the first use.
  static let fastest: CipherTable = {
    let backends = available
    // The clock is read only here and to compare costs; no byte of any message depends on it.
    let share = Duration.microseconds(5_000 / (CipherTable.samples.count * backends.count))
    let providers = backends.compactMap { CipherProvider(measuring: $0) }
    return CipherTable { length in
      let costs = providers.map { cost(of: length, by: $0, within: share) }
      let best = costs.indices.min { costs[$0] < costs[$1] } ?? 0
      return backends[best]
    }
  }()

  /// The least time of a run of messages, of those that fit into `limit`.
  private static func cost(of length: Int, by provider: CipherProvider, within limit: Duration) -> Duration {
    var key = SealingKey(CipherKey(SecretBytes(), provider, sealing: true))
    var message = [UInt8](repeating: 0, count: length + 16)
    let run = max(1, 8_192 / length)
    let clock = ContinuousClock()
    var best = Duration.seconds(1)
    let start = clock.now
    repeat {
      let began = clock.now
      for _ in 0..<run {
        var span = message.mutableBytes
        _ = try? key.seal(&span)
      }
      best = min(best, clock.now - began)
    } while clock.now - start < limit
    return best
  }

  /// Whether the backend seals and opens as the reference does, at lengths around its block sizes, and refuses a tag
  /// with one wrong bit.
  private static func isCorrect(_ backend: CipherBackend) -> Bool {
    if backend == .libsodium { return true }
    guard let provider = CipherProvider(measuring: backend),
      let libsodium = CipherProvider(measuring: .libsodium)
    else { return false }
    let secret = SecretBytes(copying: BLAKE2s.hash("known answer", RawSpan()).bytes)
    let reference = CipherKey(secret.copy(), libsodium, sealing: true)
    let sealing = CipherKey(secret.copy(), provider, sealing: true)
    let opening = CipherKey(secret.copy(), provider, sealing: false)
    for length in [0, 1, 15, 16, 63, 64, 65, 255, 256, 257, 576, 1_024, 1_400, 4_097] {
      let plain = (0..<length + 16).map { $0 < length ? UInt8(truncatingIfNeeded: $0) : 0 }
      var expected = plain
      var message = plain
      var span = expected.mutableBytes
      reference.seal(&span, counter: 7)
      span = message.mutableBytes
      sealing.seal(&span, counter: 7)
      guard message == expected else { return false }
      span = message.mutableBytes
      guard opening.open(&span, counter: 7), message[..<length] == plain[..<length] else { return false }
      expected[expected.count - 1] ^= 1
      span = expected.mutableBytes
      guard !opening.open(&span, counter: 7) else { return false }
    }
    return true
  }
}
