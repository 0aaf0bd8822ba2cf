public import MeshPrimitives

/// Token buckets by source: an IPv4 address, or the /64 of an IPv6 address. Of fixed size: it never allocates after `init`.
///
/// The table has sets of four buckets; a keyed hash chooses the set. A source that finds all four in use by others shares the
/// least used of them, so a flood with forged sources makes the limit stricter and the table no larger.
public struct SourceRateLimiter: Sendable {
  private struct Bucket {
    var high: UInt64 = 0
    var low: UInt64 = 0
    /// When the bucket is full again, in nanoseconds; in the past when it is.
    var fullAt = Int64.min
  }

  private var buckets: [Bucket]
  private let mask: UInt64
  private let keys: (UInt64, UInt64)
  private let cost: Int64
  private let allowance: Int64

  /// - Parameters:
  ///   - perSecond: tokens that come back in a second, 1 to 1,000,000,000.
  ///   - burst: tokens of a full bucket, 1 to 1,000,000.
  ///   - capacity: buckets; rounded up to a power of two. One takes 24 bytes.
  public init(perSecond: Int, burst: Int, capacity: Int = 4096, entropy: inout some Entropy) {
    precondition(perSecond >= 1 && perSecond <= 1_000_000_000, "a rate is 1 to 1,000,000,000 per second")
    precondition(burst >= 1 && burst <= 1_000_000, "a burst is 1 to 1,000,000")
    precondition(capacity >= 4 && capacity <= 1 << 24, "a table has 4 to 16,777,216 buckets")
    var size = 4
    while size < capacity { size *= 2 }
    buckets = Array(repeating: Bucket(), count: size)
    mask = UInt64(size / 4 - 1)
    keys = (entropy.nextUInt64(), entropy.nextUInt64())
    cost = 1_000_000_000 / Int64(perSecond)
    allowance = cost * Int64(burst - 1)
  }

  /// Takes a token for `source`: `false` when there is none.
  public mutating func allow(_ source: IPAddress, now: Instant) -> Bool {
    let isV4 = source.family == .v4
    let (high, low) = isV4 ? (UInt64.max, source.low) : (source.high, 0)
    let first = (high ^ keys.0).multipliedFullWidth(by: low ^ keys.1)
    let second = (first.high ^ keys.0).multipliedFullWidth(by: first.low ^ keys.1)
    let start = Int(truncatingIfNeeded: (second.high ^ second.low) & mask) * 4
    var chosen = start
    for index in start..<start + 4 {
      if buckets[index].high == high, buckets[index].low == low {
        chosen = index
        break
      }
      if buckets[index].fullAt < buckets[chosen].fullAt { chosen = index }
    }
    if buckets[chosen].fullAt <= now.nanoseconds {
      buckets[chosen] = Bucket(high: high, low: low, fullAt: now.nanoseconds)
    }
    let ahead = now.advanced(nanoseconds: allowance).nanoseconds
    guard buckets[chosen].fullAt <= ahead else { return false }
    buckets[chosen].fullAt = Instant(nanoseconds: buckets[chosen].fullAt).advanced(nanoseconds: cost).nanoseconds
    return true
  }
}
