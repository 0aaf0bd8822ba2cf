public import MeshPrimitives

/// Random numbers that repeat from a seed: xoshiro256** seeded by SplitMix64. Never for real keys.
public struct SeededEntropy: Entropy, RandomNumberGenerator {
  private var state: (UInt64, UInt64, UInt64, UInt64)

  public init(seed: UInt64) {
    var mix = seed
    func step(_ mix: inout UInt64) -> UInt64 {
      mix &+= 0x9E37_79B9_7F4A_7C15
      var value = mix
      value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
      value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
      return value ^ value >> 31
    }
    state = (step(&mix), step(&mix), step(&mix), step(&mix))
  }

  public mutating func next() -> UInt64 {
    let product = state.1 &* 5
    let result = (product << 7 | product >> 57) &* 9
    let shifted = state.1 << 17
    state.2 ^= state.0
    state.3 ^= state.1
    state.1 ^= state.2
    state.0 ^= state.3
    state.2 ^= shifted
    state.3 = state.3 << 45 | state.3 >> 19
    return result
  }

  public mutating func nextUInt64() -> UInt64 { next() }

  public mutating func fill(_ bytes: inout MutableRawSpan) {
    var offset = 0
    while offset < bytes.byteCount {
      var word = next()
      for index in offset..<min(offset + 8, bytes.byteCount) {
        bytes.storeBytes(of: UInt8(truncatingIfNeeded: word), toByteOffset: index, as: UInt8.self)
        word >>= 8
      }
      offset += 8
    }
  }

  /// Whether an event of this probability, 0 to 1, happens now. Draws one number in any case.
  public mutating func chance(_ probability: Double) -> Bool {
    Double(next() >> 11) < probability * Double(1 << 53 as UInt64)
  }

  /// A whole number from 0 up to and including `limit`.
  public mutating func upTo(_ limit: Int64) -> Int64 {
    limit <= 0 ? 0 : Int64(next() % (UInt64(limit) + 1))
  }

  /// A generator whose numbers do not depend on how many this one is asked for later.
  public mutating func fork() -> SeededEntropy { SeededEntropy(seed: next()) }
}
