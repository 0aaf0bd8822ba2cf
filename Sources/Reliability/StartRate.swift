internal import MeshPrimitives

/// How much a path carries in its least round trip, as the last rounds have shown: what a window is to be when the first mark
/// tells that slow start, or another growth, has gone too far. At the end of slow start it is two or three times that.
struct StartRate: Sendable {
  private var roundStart: Instant?
  /// Bytes of the round before, and its length in nanoseconds.
  private var last = (bytes: 0, time: Int64(0))
  private var bytes = 0
  private var leastRoundTrip: Int64 = 0

  mutating func acknowledged(_ delivery: Delivery, rtt: RTTEstimator, now: Instant) {
    leastRoundTrip = rtt.minimum
    bytes += delivery.bytes
    guard let sent = delivery.newestSentAt else { return }
    if let start = roundStart {
      guard sent >= start else { return }
      last = (bytes, now.nanoseconds(since: start))
    }
    roundStart = now
    bytes = 0
  }

  /// Bytes; `nil` when no round has ended.
  func delivered(now: Instant) -> Double? {
    guard let start = roundStart, last.bytes > 0, leastRoundTrip > 0 else { return nil }
    let time = now.nanoseconds(since: start)
    guard last.time + time > 0 else { return nil }
    let rate = Double(last.bytes + bytes) / Double(last.time + time)
    // The path may have been full only since this round has begun.
    let current = time > leastRoundTrip / 4 ? Double(bytes) / Double(time) : 0
    return max(rate, current) * Double(leastRoundTrip)
  }
}
