/// A source of random bytes that are fit for keys.
///
/// Layers own no randomness: `SystemEntropy` (MeshCrypto) is the operating system's, `SeededEntropy` (MeshSimulation)
/// repeats from a seed.
public protocol Entropy: Sendable {
  /// Overwrites all of `bytes` with random bytes.
  mutating func fill(_ bytes: inout MutableRawSpan)
}

extension Entropy {
  /// 64 random bits.
  public mutating func nextUInt64() -> UInt64 {
    var bytes = [UInt8](repeating: 0, count: 8)
    var span = bytes.mutableBytes
    fill(&span)
    return unsafe span.bytes.unsafeLoadUnaligned(as: UInt64.self)
  }
}
