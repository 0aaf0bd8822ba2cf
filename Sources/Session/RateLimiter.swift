internal import MeshPrimitives

/// Token buckets by source prefix: 20 handshakes a second, bursts of 5 (as the Linux implementation limits under load);
/// and one for all sources together, where there is to be one.
///
/// The table is capped; when it is full of active sources, new ones are refused until old ones have refilled.
struct RateLimiter {
  /// A rate and a burst. The state of a bucket is the time at which it is full again, in nanoseconds.
  struct Bucket {
    let cost: Int64
    let burst: Int64

    init(perSecond rate: Int64, burst: Int64) {
      cost = 1_000_000_000 / rate
      self.burst = burst
    }

    /// The state after a token was taken at `now`; `nil` when there is none.
    func taking(from fullAt: Int64?, now: Int64) -> Int64? {
      let start = max(fullAt ?? now, now)
      return start - now <= cost * (burst - 1) ? start + cost : nil
    }
  }

  static let capacity = 4096
  private static let perSource = Bucket(perSecond: 20, burst: 5)

  /// A bucket that is full needs no entry.
  private var fullAt: [IPAddress: Int64] = [:]
  private let overall: Bucket?
  private var overallFullAt: Int64?

  /// - Parameter overall: what all sources share.
  init(overall: Bucket? = nil) { self.overall = overall }

  /// Takes a token for `source`: `false` when there is none for it, or none for all.
  mutating func allow(_ source: IPAddress, now: Instant) -> Bool {
    let prefix = source.ratePrefix
    let time = now.nanoseconds
    guard let next = Self.perSource.taking(from: fullAt[prefix], now: time) else { return false }
    if fullAt[prefix] == nil, fullAt.count >= Self.capacity {
      fullAt = fullAt.filter { $0.value > time }
      guard fullAt.count < Self.capacity else { return false }
    }
    if let overall {
      guard let nextOverall = overall.taking(from: overallFullAt, now: time) else { return false }
      overallFullAt = nextOverall
    }
    fullAt[prefix] = next
    return true
  }
}

extension IPAddress {
  /// What one source is taken to be when it is limited: an IPv4 address, or the /64 of an IPv6 address.
  var ratePrefix: IPAddress { family == .v4 ? self : IPAddress(v6High: high, low: 0) }
}
