internal import MeshPrimitives

/// The reference congestion controller (RFC 9002 §7 and appendix B), whose slow start is HyStart++ (RFC 9406).
struct NewReno: CongestionController {
  private(set) var window: Int
  private(set) var recoveryStart: Instant?
  private var threshold = Int.max
  private var packetSize: Int
  private var hyStart = HyStart()
  /// Bytes acknowledged since the window last grew in congestion avoidance, or by a part of them in slow start.
  private var credit = 0
  private var before: (window: Int, threshold: Int)?
  private var startRate = StartRate()
  /// The first mark has ended slow start: until then the window may return to what the path was seen to carry, as CUBIC's
  /// does.
  private var returnEnd: Instant?
  private var returnsTo = 0

  init(packetSize: Int) {
    self.packetSize = packetSize
    window = initialWindow(packetSize: packetSize)
  }

  var isSlowStart: Bool { window < threshold }
  private var smallest: Int { 2 * packetSize }

  mutating func acknowledged(_ delivery: Delivery, rtt: RTTEstimator, now: Instant) {
    // Only for the initial slow start (RFC 9406 §4.3).
    if threshold == .max {
      startRate.acknowledged(delivery, rtt: rtt, now: now)
      if hyStart.acknowledged(delivery, now: now) { threshold = window }
    }
    guard delivery.isLimited, delivery.bytes > 0 else { return }
    if isSlowStart {
      if returnEnd != nil {
        window = min(window + Int(Cubic.returnGrowth * Double(delivery.bytes)), threshold)
        return
      }
      window += delivery.bytes / (threshold == .max && hyStart.isConservative ? HyStart.conservativeDivisor : 1)
      return
    }
    credit += delivery.bytes
    // One packet per window: the sum of max_datagram_size × acked ÷ window, without a division per packet.
    while credit >= window {
      credit -= window
      window += packetSize
    }
  }

  mutating func lost(sentAt sent: Instant, now: Instant) {
    if let recoveryStart, sent <= recoveryStart { return }
    before = (window, threshold)
    returnEnd = nil
    recoveryStart = now
    threshold = max(window / 2, smallest)
    window = threshold
    credit = 0
  }

  mutating func marked(sentAt sent: Instant, now: Instant) {
    if let recoveryStart, sent <= recoveryStart { return }
    let isFirst = threshold == .max
    let end = returnEnd
    lost(sentAt: sent, now: now)
    // What was marked will not turn out to have come.
    before = nil
    if isFirst, let delivered = startRate.delivered(now: now) {
      window = max(min(window, Int(min(delivered, 1e15))), smallest)
      threshold = window
      returnsTo = window
      returnEnd = now.advanced(nanoseconds: Cubic.returnTime)
    } else if let end, now < end {
      threshold = max(window, returnsTo)
      returnEnd = end
    }
  }

  mutating func persistentCongestion(now: Instant) {
    window = smallest
    recoveryStart = nil
    before = nil
    returnEnd = nil
    credit = 0
  }

  mutating func undo() {
    guard let before else { return }
    window = max(window, before.window)
    threshold = max(threshold, before.threshold)
    self.before = nil
  }

  mutating func packetSizeChanged(to size: Int) {
    packetSize = size
    window = max(window, smallest)
  }
}
