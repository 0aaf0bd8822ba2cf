internal import MeshPrimitives

/// Spreads packets over the round trip (RFC 9002 §7.7), in bursts that fit one segmentation-offload call.
///
/// A virtual clock runs ahead of time by what each packet costs at the paced rate, `gain × window ÷ smoothed RTT`. A sender
/// that fell behind may catch up by one burst; one that ran ahead waits until half a burst is free again, so that it is not
/// woken for each packet.
struct Pacer: Sendable {
  /// The longest burst, in bytes.
  static let largestBurst = 64 << 10

  private var virtualTime = Int64.min
  private var holdUntil: Int64?
  // Derived from window and RTT by `update`, so that a packet costs one multiplication.
  private var nanosecondsPerMebibyte: Int64 = 0
  private var burst: Int64 = 0

  /// When the next packet may leave, if the last question was answered with no.
  var deadline: Instant? { holdUntil.map(Instant.init(nanoseconds:)) }

  /// Sets the rate.
  /// - Parameters:
  ///   - window: the congestion window in bytes.
  ///   - smoothedRTT: nanoseconds; 0 switches pacing off.
  ///   - packetSize: bytes; a burst is never shorter than ten packets.
  mutating func update(window: Int, smoothedRTT: Int64, slowStart: Bool, packetSize: Int) {
    guard smoothedRTT > 0 else {
      nanosecondsPerMebibyte = 0
      return
    }
    let window = Int64(max(window, packetSize))
    // RTT is at most minutes (2^38 ns), so 2^20 × RTT fits; the gains are 2 and 5/4.
    let perMebibyte = (min(smoothedRTT, 1 << 40) << 20) / window
    nanosecondsPerMebibyte = slowStart ? perMebibyte / 2 : perMebibyte / 5 * 4
    // As much as leaves in a millisecond, within ten packets and one offload call.
    let perMillisecond = (1_000_000 << 20) / max(nanosecondsPerMebibyte, 1)
    let bytes = min(max(perMillisecond, Int64(10 * packetSize)), Int64(max(Self.largestBurst, 10 * packetSize)))
    // The packet that uses the burst up may be a whole one.
    burst = cost(bytes - Int64(packetSize))
  }

  private func cost(_ bytes: Int64) -> Int64 { (bytes &* min(nanosecondsPerMebibyte, 1 << 40)) >> 20 }

  /// Whether a packet may leave at `now`.
  mutating func allows(_ now: Instant) -> Bool {
    if let hold = holdUntil {
      guard now.nanoseconds >= hold else { return false }
      holdUntil = nil
    }
    guard nanosecondsPerMebibyte > 0, virtualTime > now.nanoseconds else { return true }
    holdUntil = virtualTime + burst / 2
    return false
  }

  /// Counts a packet of `bytes` that leaves at `now`.
  mutating func sent(_ bytes: Int, now: Instant) {
    guard nanosecondsPerMebibyte > 0 else { return }
    virtualTime = max(virtualTime, now.nanoseconds &- burst) &+ cost(Int64(bytes))
  }

  /// Forgets a wait whose time has come.
  mutating func expire(now: Instant) {
    if let hold = holdUntil, hold <= now.nanoseconds { holdUntil = nil }
  }

  /// Forgets the wait: there is nothing left to send.
  mutating func cancelHold() { holdUntil = nil }
}
