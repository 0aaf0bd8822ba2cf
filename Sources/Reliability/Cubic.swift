internal import MeshPrimitives

/// CUBIC (RFC 9438), whose slow start is HyStart++ (RFC 9406). Windows are kept in bytes; the formulas count in packets of
/// `packetSize`.
struct Cubic: CongestionController {
  /// RFC 9438 §5.1: packets per second cubed.
  static let aggressiveness = 0.4
  /// β, RFC 9438 §4.6.
  static let decrease = 0.7
  /// After the first mark, in part of a window per round trip: how fast the window returns to what the path carries; and
  /// for how long, in nanoseconds. (The controller of RFC 9332 forgets 0.15 per second of what is at most 0.5.)
  static let returnGrowth = 0.25
  static let returnTime: Int64 = 3_000_000_000
  /// α of the Reno-friendly estimate, 3 × (1 − β) ÷ (1 + β), RFC 9438 §4.3.
  static let friendlyIncrease = 3 * (1 - decrease) / (1 + decrease)

  private struct Values {
    /// Bytes. A fraction of a packet per acknowledgement adds up, hence not an integer.
    var window: Double
    var threshold = Double.infinity
    /// cwnd_prior, in bytes: the window before the last reduction.
    var prior = 0.0
    /// W_max, in bytes: where the curve is flat.
    var maximum = 0.0
    /// W_est, in bytes: what Reno would have.
    var friendly = 0.0
    /// K, in seconds: when the curve is back at `maximum`.
    var timeToMaximum = 0.0
    var epochStart: Instant?
  }

  private var values: Values
  private var before: Values?
  private(set) var recoveryStart: Instant?
  private var packetSize: Double
  private var hyStart = HyStart()
  private var startRate = StartRate()
  /// The most that the window grows per round trip after slow start, as a part of itself (RFC 9438 §4.4).
  var mostGrowth = 0.5
  /// The first mark has ended slow start. The queue that it has left is gone at once, but an AQM that integrates (RFC 9332,
  /// RFC 8033) goes on marking for a second or two: each of these marks is answered, and until this time the window may
  /// return, as in slow start but slower, to what the path was seen to carry.
  private var returnEnd: Instant?
  private var returnsTo = 0.0
  /// Since when the application has had too little to send; `nil`: it has enough.
  private var pausedAt: Instant?
  private var lastDeliveryAt: Instant?

  init(packetSize: Int) {
    self.packetSize = Double(packetSize)
    values = Values(window: Double(initialWindow(packetSize: packetSize)))
  }

  var window: Int { Int(values.window) }
  var isSlowStart: Bool { values.window < values.threshold }
  private var smallest: Double { 2 * packetSize }

  /// Goes on with a window that another controller has found, as after a reduction from `maximum` bytes.
  mutating func adopt(window: Double, maximum: Double, recoveryStart: Instant?) {
    self.recoveryStart = recoveryStart
    let window = max(window, smallest)
    values = Values(window: window, threshold: window, prior: maximum, maximum: maximum)
    before = nil
  }

  mutating func acknowledged(_ delivery: Delivery, rtt: RTTEstimator, now: Instant) {
    // Only for the initial slow start (RFC 9406 §4.3).
    if values.threshold == .infinity {
      startRate.acknowledged(delivery, rtt: rtt, now: now)
      if hyStart.acknowledged(delivery, now: now) { values.threshold = values.window }
    }
    pause(!delivery.isLimited, now: now)
    guard delivery.isLimited, delivery.bytes > 0 else { return }
    let bytes = Double(delivery.bytes)
    guard !isSlowStart else {
      if returnEnd != nil {
        values.window = min(values.window + Self.returnGrowth * bytes, values.threshold)
        if !isSlowStart { values.maximum = values.window }
        return
      }
      let slows = values.threshold == .infinity && hyStart.isConservative
      values.window += slows ? bytes / Double(HyStart.conservativeDivisor) : bytes
      return
    }
    if values.epochStart == nil { startEpoch(now) }
    let elapsed = seconds(since: values.epochStart ?? now, now: now)
    // Reno-friendly estimate (§4.3); above the old window it grows like Reno.
    let alpha = values.friendly >= values.prior ? 1 : Self.friendlyIncrease
    values.friendly += alpha * packetSize * bytes / values.window
    let here = curve(at: elapsed)
    if here < values.friendly {
      values.window = max(values.window, min(values.friendly, values.window + mostGrowth * bytes))
      return
    }
    // §4.4 and §4.5: move towards where the curve is one round trip from now, within the limit.
    let ahead = curve(at: elapsed + Double(rtt.smoothed) / 1e9)
    let target = min(max(ahead, values.window), (1 + mostGrowth) * values.window)
    values.window += (target - values.window) * bytes / values.window
  }

  /// Time in which the application had less to send than the window allows does not count (§5.8).
  private mutating func pause(_ isIdle: Bool, now: Instant) {
    if isIdle {
      if pausedAt == nil { pausedAt = lastDeliveryAt ?? now }
    } else if let since = pausedAt {
      pausedAt = nil
      if let start = values.epochStart {
        values.epochStart = start.advanced(nanoseconds: now.nanoseconds(since: max(since, start)))
      }
    }
    lastDeliveryAt = now
  }

  private mutating func startEpoch(_ now: Instant) {
    values.epochStart = now
    values.friendly = values.window
    if values.window < values.maximum {
      values.timeToMaximum = cubeRoot((values.maximum - values.window) / packetSize / Self.aggressiveness)
    } else {
      values.maximum = values.window
      values.timeToMaximum = 0
    }
  }

  /// W_cubic(t) in bytes (RFC 9438 §4.2).
  private func curve(at seconds: Double) -> Double {
    let distance = seconds - values.timeToMaximum
    return Self.aggressiveness * distance * distance * distance * packetSize + values.maximum
  }

  private func seconds(since start: Instant, now: Instant) -> Double { Double(now.nanoseconds(since: start)) / 1e9 }

  mutating func lost(sentAt sent: Instant, now: Instant) {
    if let recoveryStart, sent <= recoveryStart { return }
    before = values
    returnEnd = nil
    recoveryStart = now
    values.prior = values.window
    // Fast convergence (§4.7): a flow that did not reach its old maximum gives way.
    values.maximum =
      values.window < values.maximum ? values.window * (1 + Self.decrease) / 2 : values.window
    values.threshold = max(values.window * Self.decrease, smallest)
    values.window = values.threshold
    values.epochStart = nil
  }

  mutating func marked(sentAt sent: Instant, now: Instant) {
    if let recoveryStart, sent <= recoveryStart { return }
    let isFirst = values.threshold == .infinity
    let end = returnEnd
    lost(sentAt: sent, now: now)
    // What was marked will not turn out to have come.
    before = nil
    if isFirst, let delivered = startRate.delivered(now: now) {
      values.window = max(min(values.window, delivered), smallest)
      values.threshold = values.window
      values.maximum = values.window
      returnsTo = values.window
      returnEnd = now.advanced(nanoseconds: Self.returnTime)
    } else if let end, now < end {
      values.threshold = max(values.window, returnsTo)
      returnEnd = end
    }
  }

  mutating func persistentCongestion(now: Instant) {
    // §4.8: as after a timeout; slow start up to the reduced threshold, and from there a curve that begins flat.
    values.window = smallest
    values.maximum = 0
    values.epochStart = nil
    recoveryStart = nil
    before = nil
    returnEnd = nil
  }

  mutating func undo() {
    guard let before else { return }
    if before.window > values.window { values = before }
    self.before = nil
  }

  mutating func packetSizeChanged(to size: Int) {
    packetSize = Double(size)
    values.window = max(values.window, smallest)
  }
}

/// The cube root of a number that is not negative, to about 15 digits. (Newton's method: no C library in a layer.)
func cubeRoot(_ value: Double) -> Double {
  guard value > 0 else { return 0 }
  // A third of the exponent is close enough to start with.
  var root = Double(sign: .plus, exponent: value.exponent / 3, significand: 1)
  for _ in 0..<40 {
    let next = (2 * root + value / (root * root)) / 3
    if abs(next - root) <= 1e-15 * root { return next }
    root = next
  }
  return root
}
