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

  init(packetSize: Int) {
    self.packetSize = packetSize
    window = initialWindow(packetSize: packetSize)
  }

  var isSlowStart: Bool { window < threshold }
  private var smallest: Int { 2 * packetSize }

  mutating func acknowledged(_ delivery: Delivery, rtt: RTTEstimator, now: Instant) {
    // Only for the initial slow start (RFC 9406 §4.3).
    if threshold == .max, hyStart.acknowledged(delivery, now: now) { threshold = window }
    guard delivery.isLimited, delivery.bytes > 0 else { return }
    if isSlowStart {
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
    recoveryStart = now
    threshold = max(window / 2, smallest)
    window = threshold
    credit = 0
  }

  mutating func marked(sentAt sent: Instant, now: Instant) {
    lost(sentAt: sent, now: now)
    // What was marked will not turn out to have come.
    if recoveryStart == now { before = nil }
  }

  mutating func persistentCongestion(now: Instant) {
    window = smallest
    recoveryStart = nil
    before = nil
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
