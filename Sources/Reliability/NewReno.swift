internal import MeshPrimitives

/// The reference congestion controller (RFC 9002 §7 and appendix B).
struct NewReno: CongestionController {
  private(set) var window: Int
  private(set) var recoveryStart: Instant?
  private var threshold = Int.max
  private var packetSize: Int
  /// Bytes acknowledged since the window last grew in congestion avoidance.
  private var credit = 0
  private var before: (window: Int, threshold: Int)?

  init(packetSize: Int) {
    self.packetSize = packetSize
    window = initialWindow(packetSize: packetSize)
  }

  var isSlowStart: Bool { window < threshold }
  private var smallest: Int { 2 * packetSize }

  mutating func acknowledged(_ bytes: Int, rtt: RTTEstimator, now: Instant) {
    if isSlowStart {
      window += bytes
      return
    }
    credit += bytes
    // One packet per window: the sum of max_datagram_size × acked ÷ window, without a division per packet.
    while credit >= window {
      credit -= window
      window += packetSize
    }
  }

  mutating func congestion(sentAt sent: Instant, now: Instant) {
    if let recoveryStart, sent <= recoveryStart { return }
    before = (window, threshold)
    recoveryStart = now
    threshold = max(window / 2, smallest)
    window = threshold
    credit = 0
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
