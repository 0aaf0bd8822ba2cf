/// Leaves a packet number out now and then: a peer that acknowledges one has acknowledged what it never got, to be sent more
/// than the path carries (RFC 9000 §21.4).
struct NumberSkipper {
  private var state: UInt64
  private var next: UInt64
  private var spacing: UInt64 = 512

  /// - Parameters:
  ///   - seed: random, and unknown to the peer; 0: no number is left out.
  ///   - first: of the packets.
  init(seed: UInt64, from first: UInt64) {
    state = seed
    next = .max
    if seed != 0 { advance(from: first) }
  }

  /// Whether `number` is left out.
  mutating func skips(_ number: UInt64) -> Bool {
    guard number >= next else { return false }
    advance(from: number)
    return true
  }

  /// A gap makes the receiver acknowledge more often for a while, so they become rare on a long connection.
  private mutating func advance(from number: UInt64) {
    // xorshift64: what the peer sees are the gaps only, hundreds of packets late.
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    next = number &+ spacing / 2 &+ state % spacing
    spacing = min(spacing * 2, 16_384)
  }
}
