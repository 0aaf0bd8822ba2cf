internal import MeshPrimitives

/// HyStart++ (RFC 9406): slow start ends when round trips grow, and not only when packets are lost.
///
/// A round is the time until a packet that was sent after its beginning is acknowledged. Pacing is assumed, so that growth
/// per acknowledgement has no limit (L = ∞, §4.3).
struct HyStart: Sendable {
  static let leastIncrease: Int64 = 4_000_000
  static let mostIncrease: Int64 = 16_000_000
  static let samplesPerRound = 8
  /// CSS_GROWTH_DIVISOR and CSS_ROUNDS.
  static let conservativeDivisor = 4
  static let conservativeRounds = 5

  private var roundStart: Instant?
  private var samples = 0
  private var minimum = Int64.max
  private var lastMinimum = Int64.max
  /// The round trip at which conservative slow start began; `nil` in usual slow start.
  private var baseline: Int64?
  private var roundsLeft = 0

  /// Whether growth is slowed down, to find out whether the end of slow start has come.
  var isConservative: Bool { baseline != nil }

  /// Takes an acknowledgement; returns whether slow start is over.
  mutating func acknowledged(_ delivery: Delivery, now: Instant) -> Bool {
    guard let sent = delivery.newestSentAt else { return false }
    var isOver = false
    if roundStart.map({ sent >= $0 }) ?? true {
      roundStart = now
      lastMinimum = minimum
      minimum = .max
      samples = 0
      if isConservative {
        roundsLeft -= 1
        isOver = roundsLeft <= 0
      }
    }
    if let sample = delivery.roundTrip {
      minimum = min(minimum, sample)
      samples += 1
    }
    guard samples >= Self.samplesPerRound, minimum != .max else { return isOver }
    if let baseline {
      // The growth was not of a queue.
      if minimum < baseline { self.baseline = nil }
    } else if lastMinimum != .max {
      let threshold = min(max(lastMinimum / 8, Self.leastIncrease), Self.mostIncrease)
      if minimum >= lastMinimum + threshold {
        baseline = minimum
        roundsLeft = Self.conservativeRounds
      }
    }
    return isOver && isConservative
  }
}
