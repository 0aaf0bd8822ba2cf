internal import MeshPrimitives

/// Spreads packets over the round trip (RFC 9002 §7.7), in bursts that fit one segmentation-offload call.
///
/// Bursts are never longer than what leaves in about a millisecond, less on paths below 16 ms, but for one or two packets.
/// Above 2 Gbit/s they may have more than one such call.
///
/// A virtual clock runs ahead of time by what each packet costs at the paced rate, `gain × window ÷ smoothed RTT`. A sender
/// that fell behind may catch up by one burst; one that ran ahead waits until half a burst is free again, so that it is not
/// woken for each packet.
struct Pacer: Sendable {
  /// How fast packets are sent, and how evenly.
  struct Pace: Sendable {
    /// 1,024ths of a window per round trip.
    var gain: Int64
    /// The length of a burst, in nanoseconds.
    var burst: Int64
    /// Packets that may leave together however long that takes.
    var leastPackets: Int
    /// How much less than a round trip a window may take, in nanoseconds: where a window has a gap, so long is the queue
    /// that the rest of it makes.
    var lead = Int64.max

    /// As RFC 9002 §7.7 has it.
    static func usual(isSlowStart: Bool) -> Pace {
      Pace(gain: isSlowStart ? 2_048 : 1_280, burst: 1_000_000, leastPackets: 2)
    }
    /// For queues that mark within a millisecond (RFC 9331 §4.3). In slow start the window grows almost as fast, and a queue
    /// begins when the window has nearly filled the path, and not at half of it.
    static func smooth(isSlowStart: Bool) -> Pace {
      Pace(
        gain: isSlowStart ? 1_280 : 1_056, burst: 250_000, leastPackets: 1, lead: isSlowStart ? .max : 1_000_000)
    }
  }

  /// The longest burst, in bytes: what fits one segmentation-offload call; four of these where they leave within
  /// ``shortestBurst``, so that a fast sender does not sleep after each.
  static let largestBurst = 64 << 10
  static let largestFastBurst = 256 << 10

  /// The shortest limit of a burst, in nanoseconds.
  private static let shortestBurst: Int64 = 250_000

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
  ///   - packetSize: bytes.
  mutating func update(window: Int, smoothedRTT: Int64, pace: Pace, packetSize: Int) {
    guard smoothedRTT > 0 else {
      nanosecondsPerMebibyte = 0
      return
    }
    let window = Int64(max(window, packetSize))
    // RTT is at most minutes (2^38 ns), so 2^20 × RTT fits.
    let perMebibyte = (min(smoothedRTT, 1 << 40) << 20) / window
    let gain = pace.lead < smoothedRTT ? min(pace.gain, 1_024 + 1_024 * pace.lead / smoothedRTT) : pace.gain
    nanosecondsPerMebibyte = perMebibyte / gain * 1_024 + perMebibyte % gain * 1_024 / gain
    // Short paths have short queues: a sixteenth of the round trip, within reason.
    let length = max(min(pace.burst, smoothedRTT / 16), Self.shortestBurst)
    let perBurst = (length << 20) / max(nanosecondsPerMebibyte, 1)
    let least = Int64(pace.leastPackets * packetSize)
    let fast = min((Self.shortestBurst << 20) / max(nanosecondsPerMebibyte, 1), Int64(Self.largestFastBurst))
    let bytes = min(max(perBurst, least), max(Int64(Self.largestBurst), fast, least))
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
