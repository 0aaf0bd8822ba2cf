/// Round-trip times of a path (RFC 9002 §5). All times in nanoseconds.
struct RTTEstimator: Sendable {
  /// Timers are no finer than this (RFC 9002 §6.1.2).
  static let granularity: Int64 = 1_000_000

  private(set) var latest: Int64 = 0
  /// The latest less the peer's delay.
  private(set) var latestAdjusted: Int64 = 0
  private(set) var minimum: Int64 = 0
  private(set) var smoothed: Int64
  private(set) var variation: Int64
  private(set) var hasSample = false

  /// - Parameter initial: the assumption before the first sample (RFC 9002 §6.2.2).
  init(initial: Int64 = 333_000_000) {
    smoothed = max(1, initial)
    variation = smoothed / 2
  }

  /// Takes a sample.
  /// - Parameters:
  ///   - sample: from sending a packet to the arrival of its acknowledgement.
  ///   - delay: how long the peer says that it held the acknowledgement back; already limited to the agreed maximum.
  mutating func update(sample: Int64, delay: Int64) {
    let sample = max(sample, 1)
    latest = sample
    guard hasSample else {
      hasSample = true
      latestAdjusted = sample
      minimum = sample
      smoothed = sample
      variation = sample / 2
      return
    }
    minimum = min(minimum, sample)
    let adjusted = sample - minimum >= delay ? sample - delay : sample
    latestAdjusted = adjusted
    variation = (3 * variation + abs(smoothed - adjusted)) / 4
    smoothed = (7 * smoothed + adjusted) / 8
  }

  /// The path is not what it was: the newest sample is the least (RFC 9002 §5.2).
  mutating func persistentCongestion() { if hasSample { minimum = latest } }

  /// The probe timeout without back-off (RFC 9002 §6.2.1).
  func probeTimeout(maximumAckDelay: Int64) -> Int64 {
    smoothed + max(4 * variation, Self.granularity) + maximumAckDelay
  }

  /// How much later than a newer packet's an acknowledgement may come before its packet counts as lost (RFC 9002 §6.1.2).
  var lossDelay: Int64 { max(max(latest, smoothed) / 8 * 9, Self.granularity) }
}
