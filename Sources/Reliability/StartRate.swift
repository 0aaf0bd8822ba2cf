internal import MeshPrimitives

/// How much a path carries in its least round trip, as the last rounds of slow start have shown: what a window is to be when
/// the first mark tells that slow start has gone too far. By then it is two or three times that.
struct StartRate: Sendable {
  private var roundStart: Instant?
  private var bytes = 0
  /// Bytes per nanosecond.
  private var rate = 0.0
  private var leastRoundTrip: Int64 = 0

  mutating func acknowledged(_ delivery: Delivery, rtt: RTTEstimator, now: Instant) {
    leastRoundTrip = rtt.minimum
    bytes += delivery.bytes
    guard let sent = delivery.newestSentAt else { return }
    guard let start = roundStart else { return begin(now) }
    guard sent >= start else { return }
    let time = now.nanoseconds(since: start)
    if time > 0 { rate = Double(bytes) / Double(time) }
    begin(now)
  }

  private mutating func begin(_ now: Instant) {
    roundStart = now
    bytes = 0
  }

  /// Bytes; `nil` when no round has ended.
  func delivered(now: Instant) -> Double? {
    guard let start = roundStart, rate > 0, leastRoundTrip > 0 else { return nil }
    // Of the round that has begun, when there is enough of it.
    let time = now.nanoseconds(since: start)
    let current = time > leastRoundTrip / 4 ? Double(bytes) / Double(time) : 0
    return max(rate, current) * Double(leastRoundTrip)
  }
}
