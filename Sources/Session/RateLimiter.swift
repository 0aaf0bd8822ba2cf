internal import MeshPrimitives

/// Token buckets by source prefix: 20 handshakes a second, bursts of 5 (as the Linux implementation limits under load).
///
/// The table is capped; when it is full of active sources, new ones are refused until old ones have refilled.
struct RateLimiter {
  private static let cost: Int64 = 1_000_000_000 / 20
  private static let burst: Int64 = 5
  static let capacity = 4096

  /// When the bucket of a prefix will be full again, in nanoseconds. A bucket that is full needs no entry.
  private var fullAt: [IPAddress: Int64] = [:]

  /// Takes a token for `source`: `false` when there is none.
  mutating func allow(_ source: IPAddress, now: Instant) -> Bool {
    let prefix = source.ratePrefix
    let start = max(fullAt[prefix] ?? now.nanoseconds, now.nanoseconds)
    guard start - now.nanoseconds <= Self.cost * (Self.burst - 1) else { return false }
    if fullAt[prefix] == nil, fullAt.count >= Self.capacity {
      fullAt = fullAt.filter { $0.value > now.nanoseconds }
      guard fullAt.count < Self.capacity else { return false }
    }
    fullAt[prefix] = start + Self.cost
    return true
  }
}

extension IPAddress {
  /// What one source is taken to be when it is limited: an IPv4 address, or the /64 of an IPv6 address.
  var ratePrefix: IPAddress { family == .v4 ? self : IPAddress(v6High: high, low: 0) }
}
