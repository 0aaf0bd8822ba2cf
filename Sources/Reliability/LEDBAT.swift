internal import MeshPrimitives

/// LEDBAT++ (draft-irtf-iccrg-ledbat-plus-plus): a controller for the background, which holds the queue that it makes below a
/// target, and leaves as soon as others fill it. It counts in round trips, so that the peer's clock does not matter.
///
/// Beyond the draft:
/// - A queue that is full, or marks, before the target is reached would never make it yield. Hence the aim is a quarter of the
///   delay at which packets were lost or marked, where that is less.
/// - The first slow start ends with what the path was seen to carry (``StartRate``).
/// - Where a queue has neither lost nor marked packets nor been half as long as is aimed at for some seconds, there is room
///   for more than a packet per round trip.
///
/// Every now and then the window falls to its minimum for two round trips, so that the base of the round trip can be seen
/// even when several such flows share a link.
struct LEDBAT: CongestionController {
  /// TARGET: the queueing delay that is aimed at, where the queue is long enough for it.
  static let target: Int64 = 60_000_000
  /// The least delay that is aimed at where queues are short: above what batches make.
  static let leastTarget: Int64 = 3_000_000
  /// The part of a window by which it grows per round trip where there is room.
  private static let growth = 1.0 / 64
  /// The round-trip times of which the least counts as the current one.
  private static let filter = 4
  /// The base is the least of a time between one and two of these.
  private static let baseWindow: Int64 = 300_000_000_000
  /// A slowdown is followed by so many times its length without one.
  private static let slowdownInterval: Int64 = 9

  /// There is room after so many nanoseconds without a queue, and eight round trips at least.
  private static let patience: Int64 = 3_000_000_000

  private enum Phase: Sendable {
    /// Slow start, up to `threshold`.
    case growing
    case avoiding
    /// At the minimum until then.
    case slow(until: Instant)
  }

  /// Bytes. A fraction of a packet per acknowledgement adds up, hence not an integer.
  private var value: Double
  private var threshold = Double.infinity
  private(set) var recoveryStart: Instant?
  private var packetSize: Double
  private var phase = Phase.growing
  private var before: (value: Double, threshold: Double)?
  private var startRate = StartRate()
  /// When there was last a queue of half of `aim`, a loss or a mark.
  private var busyAt: Instant?

  /// When the next slowdown begins; `nil` during one and before the first is planned.
  private var nextSlowdown: Instant?
  private var slowdownStart: Instant?

  /// What is aimed at now, and the greatest delay since the last loss or mark.
  private var aim = Self.target
  private var peak: Int64 = 0
  private var base = (current: Int64.max, last: Int64.max, since: Instant?.none)
  private var recent: InlineArray<4, Int64> = .init(repeating: .max)
  private var nextRecent = 0

  init(packetSize: Int) {
    self.packetSize = Double(packetSize)
    // §4.3: two packets to begin with.
    value = 2 * Double(packetSize)
  }

  var window: Int { Int(value) }
  /// For pacing: whether the window nearly doubles per round trip. With the small gain of short paths it does not, and twice
  /// the pace would only make a queue.
  var isSlowStart: Bool { if case .growing = phase { gain >= 0.5 } else { false } }
  private var smallest: Double { 2 * packetSize }

  /// The least delay that is aimed at: two packets of the present rate, and no less than ``leastTarget``.
  private var leastAim: Int64 {
    let least = min(base.current, base.last)
    guard least > 0, least != .max else { return Self.leastTarget }
    return min(max(Int64(2 * packetSize * Double(least) / value), Self.leastTarget), Self.target)
  }

  /// The queueing delay, as far as it is known, in nanoseconds.
  private var delay: Int64 {
    var current = Int64.max
    for index in recent.indices { current = min(current, recent[index]) }
    let least = min(base.current, base.last)
    return current == .max || least == .max ? 0 : max(0, current - least)
  }

  /// §4.2: smaller on short paths, so that Reno is not outrun there.
  private var gain: Double {
    let least = min(base.current, base.last)
    guard least > 0, least != .max else { return 1.0 / 16 }
    return 1 / Double(min(16, (2 * Self.target + least - 1) / least))
  }

  mutating func acknowledged(_ delivery: Delivery, rtt: RTTEstimator, now: Instant) {
    if let sample = delivery.roundTrip { observe(sample, now: now) }
    if threshold == .infinity { startRate.acknowledged(delivery, rtt: rtt, now: now) }
    let bytes = Double(delivery.bytes)
    switch phase {
    case .slow(let until):
      guard now >= until else { return }
      phase = .growing
    case .growing:
      guard delivery.isLimited, bytes > 0 else { return }
      // §4.3: the first slow start ends before the target is reached; later ones at the old window.
      if threshold == .infinity, delay > aim / 4 * 3 { threshold = value }
      if value < threshold { value += gain * bytes }
      guard value >= threshold else { return }
      value = max(threshold, smallest)
      phase = .avoiding
      if let start = slowdownStart {
        slowdownStart = nil
        nextSlowdown = now.advanced(nanoseconds: Self.slowdownInterval * now.nanoseconds(since: start))
      } else {
        nextSlowdown = now.advanced(nanoseconds: 2 * rtt.smoothed)
      }
    case .avoiding:
      if let due = nextSlowdown, due <= now { return slowDown(rtt: rtt, now: now) }
      guard bytes > 0 else { return }
      let ratio = Double(delay) / Double(aim)
      if ratio > 0.5 { busyAt = now }
      // §4.1: per round trip the gain in packets, and above the target a part of the window, at most half of it.
      var perWindow = gain * packetSize
      if ratio > 1 {
        perWindow = max(perWindow - value * (ratio - 1), -value / 2)
      } else if !delivery.isLimited {
        return
      } else if let busyAt, now.nanoseconds(since: busyAt) > max(Self.patience, 8 * rtt.smoothed) {
        perWindow = max(perWindow, value * Self.growth)
      }
      value = max(value + perWindow * bytes / value, smallest)
    }
  }

  private mutating func slowDown(rtt: RTTEstimator, now: Instant) {
    threshold = max(value, smallest)
    value = smallest
    phase = .slow(until: now.advanced(nanoseconds: 2 * rtt.smoothed))
    slowdownStart = now
    nextSlowdown = nil
    before = nil
  }

  private mutating func observe(_ sample: Int64, now: Instant) {
    if let since = base.since, now.nanoseconds(since: since) < Self.baseWindow {
      base.current = min(base.current, sample)
    } else {
      base = (sample, base.current, now)
    }
    recent[nextRecent] = sample
    nextRecent = (nextRecent + 1) % Self.filter
    peak = max(peak, delay)
  }

  mutating func lost(sentAt sent: Instant, now: Instant) {
    if let recoveryStart, sent <= recoveryStart { return }
    reduce(at: peak, now: now)
  }

  mutating func marked(sentAt sent: Instant, now: Instant) {
    if let recoveryStart, sent <= recoveryStart { return }
    reduce(at: delay, now: now)
    // What was marked will not turn out to have come.
    before = nil
  }

  /// - Parameter delay: nanoseconds in the queue that was full, or marked.
  private mutating func reduce(at delay: Int64, now: Instant) {
    before = (value, threshold)
    recoveryStart = now
    busyAt = now
    // Down at once, and up with the average: marks that come late do not count for much.
    let wanted = min(max(delay / 4, leastAim), Self.target)
    aim = wanted < aim ? wanted : aim + (wanted - aim) / 8
    peak = 0
    if threshold == .infinity, let delivered = startRate.delivered(now: now) {
      value = max(min(value, delivered), smallest)
    } else {
      value = max(value / 2, smallest)
    }
    threshold = slowdownStart == nil ? value : max(threshold / 2, smallest)
  }

  mutating func persistentCongestion(now: Instant) {
    value = smallest
    recoveryStart = nil
    before = nil
    phase = .growing
  }

  mutating func undo() {
    guard let before else { return }
    value = max(value, before.value)
    threshold = max(threshold, before.threshold)
    self.before = nil
  }

  mutating func packetSizeChanged(to size: Int) {
    packetSize = Double(size)
    value = max(value, smallest)
  }
}
