internal import MeshPrimitives

/// The size of packets to one peer: found by probing from a size that every path carries (RFC 8899, in its simplest
/// form: a few sizes, the largest first).
struct PathMTU {
  /// Bytes of UDP payload that are sent without proof (BASE_PLPMTU).
  static let base = 1200
  private static let attempts = 3
  private static let spacing: Int64 = 300_000_000

  /// Bytes of UDP payload that the path is known to carry.
  private(set) var current = base
  private(set) var due = Instant.distantFuture
  /// Sizes still to be tried, the next one last.
  private var candidates: [Int] = []
  private var tries = 0
  private(set) var probe: UInt64?

  private var family = IPAddress.Family.v4
  /// PMTU_RAISE_TIMER (RFC 8899 §5.1.1): after a fall, larger sizes are tried again so much later.
  private static let raiseAfter: Int64 = 600_000_000_000

  /// Starts anew with a path towards `endpoint`.
  mutating func begin(to endpoint: SocketAddress, now: Instant) {
    family = endpoint.address.family
    current = Self.base
    search(from: now)
  }

  private mutating func search(from start: Instant) {
    // Ethernet, and what is left of it under one more tunnel. Each is 32 bytes of WireGuard and a multiple of 16.
    candidates = family == .v4 ? [1392, 1472] : [1360, 1440]
    tries = 0
    probe = nil
    due = start
  }

  /// The size to be probed now, if one is due.
  mutating func nextProbe(token: UInt64, now: Instant) -> Int? {
    guard due <= now else { return nil }
    if tries == Self.attempts {
      candidates.removeLast()
      tries = 0
    }
    guard let size = candidates.last, size > current else {
      due = .distantFuture
      probe = nil
      return nil
    }
    tries += 1
    probe = token
    due = now.advanced(nanoseconds: Self.spacing)
    return size
  }

  /// There is no connection that could probe.
  mutating func end() { due = .distantFuture }

  /// A probe was answered: `true` when it was ours.
  mutating func handleReply(_ token: UInt64) -> Bool {
    guard let probe, probe == token, let size = candidates.last else { return false }
    current = size
    candidates.removeAll()
    due = .distantFuture
    self.probe = nil
    return true
  }

  /// Packets of the current size are lost one after the other while the peer lives: back to what every path carries.
  mutating func collapse(now: Instant) {
    current = Self.base
    search(from: now.advanced(nanoseconds: Self.raiseAfter))
  }
}
