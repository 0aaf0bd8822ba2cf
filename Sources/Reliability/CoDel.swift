/// Controlled Delay (RFC 8289 §5): when packets have waited longer than a target for a whole interval, one is marked or
/// dropped, and the next ones sooner and sooner until the wait is short again.
struct CoDel {
  /// Nanoseconds of waiting that are tolerated for ever, and for how long more is: about the longest usual round trip.
  private static let target: Int64 = 5_000_000
  private static let interval: Int64 = 100_000_000
  /// Bytes; a shorter queue is never acted upon.
  private static let packetSize = 1_514

  /// When the wait will have been above the target for an interval; `nil` while it is not above.
  private var firstAbove: Int64?
  private var isActing = false
  private var actNext: Int64 = 0
  private var count = 0
  private var lastCount = 0

  /// Whether the packet in front is to be marked, or dropped and the next one asked about. To be asked about each packet
  /// that is about to leave.
  ///
  /// - Parameters:
  ///   - wait: nanoseconds that the packet has waited.
  ///   - backlog: bytes in the queue, with this packet.
  mutating func acts(wait: Int64, backlog: Int, now: Int64) -> Bool {
    guard isLate(wait: wait, backlog: backlog, now: now) else {
      isActing = false
      return false
    }
    if isActing {
      guard now >= actNext else { return false }
      count += 1
      actNext = following(actNext)
      return true
    }
    // §5.6: begin where the last time ended, if that was not long ago.
    let delta = count - lastCount
    count = delta > 1 && now - actNext < 16 * Self.interval ? delta : 1
    lastCount = count
    actNext = following(now)
    isActing = true
    return true
  }

  private mutating func isLate(wait: Int64, backlog: Int, now: Int64) -> Bool {
    guard wait >= Self.target, backlog > Self.packetSize else {
      firstAbove = nil
      return false
    }
    guard let firstAbove else {
      self.firstAbove = now + Self.interval
      return false
    }
    return now >= firstAbove
  }

  private func following(_ time: Int64) -> Int64 { time + Int64(Double(Self.interval) / Double(count).squareRoot()) }
}
