internal import MeshPrimitives
internal import MeshSimulation

/// Somebody who sees packets, and sends copies of them, damaged copies and garbage from addresses that are not its own.
struct Attacker {
  private var random: SeededEntropy

  init(seed: UInt64) { random = SeededEntropy(seed: seed) }

  /// Addresses of nobody, 119.0.0.0/8: what an attacker claims to be.
  static func isForged(_ address: IPAddress) -> Bool { address.family == .v4 && address.low >> 24 == 0x77 }

  /// What is sent after a packet was seen, and from where; mostly nothing.
  mutating func next(_ seen: [UInt8]) -> (bytes: [UInt8], source: SocketAddress)? {
    guard random.upTo(19) == 0 else { return nil }
    let source = SocketAddress(
      IPAddress(v4: 0x7700_0000 | UInt32(random.upTo(15))), port: UInt16(1024 + random.upTo(3)))
    var bytes = seen
    switch random.upTo(3) {
    case 0: break
    case 1: bytes[Int(random.upTo(Int64(bytes.count - 1)))] ^= 1 << UInt8(random.upTo(7))
    case 2: bytes.removeLast(Int(random.upTo(Int64(bytes.count - 1))))
    default:
      let count = Int(random.upTo(200)) + 1
      bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      if random.upTo(1) == 0, count > 4 { bytes.replaceSubrange(0..<4, with: [UInt8(random.upTo(4)), 0, 0, 0]) }
    }
    return (bytes, source)
  }
}
