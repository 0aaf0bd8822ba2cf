internal import MeshPrimitives

/// Prague (RFC 9331, draft-briscoe-iccrg-prague-congestion-control): the window follows the part of packets that come with
/// marks of congestion, so that a queue that marks early stays almost empty.
///
/// Where marks have not come for a while it is CUBIC: at the beginning, on links that only drop, and where much capacity has
/// become free. It is CUBIC, too, where marks come with a long wait: from a queue that is shared with others and marks late
/// (RFC 9331 §4.3), where the gentle answer to marks would starve them. A loss is answered as CUBIC answers it in any case.
struct Prague: CongestionController {
  /// g: the weight of a new round in the average.
  static let weight = 1.0 / 16
  /// Round trips below this have the dynamics of one of this length, so that short paths do not starve long ones.
  static let leastRoundTrip: Int64 = 25_000_000
  /// After so many rounds without a mark CUBIC takes over.
  private static let patience: Int64 = 16

  /// The queue that CUBIC's growth may make in a round trip of a path that has marked, in nanoseconds: what a marking queue
  /// has above its step before the mark is known.
  static let mostQueue: Int64 = 4_000_000
  /// A mark that ends CUBIC's growth sets the window to so much of what the path carries: the queue is gone a round later.
  private static let drain = 31.0 / 32

  /// How long the window may return, in nanoseconds: as long as the controller of RFC 9332 takes to forget, by 0.15 per
  /// second, a probability of 1.
  static let returnTime: Int64 = 7_000_000_000

  /// A queue for low latency marks before packets wait so long, on average.
  static let longestWait: Int64 = 4_000_000

  /// Bytes, while marks come.
  private var value = 0.0
  /// Takes over where no marks come.
  private var cubic: Cubic
  private var packetSize: Double
  /// Whether the link marks: `value` is the window.
  private var followsMarks = false
  private var lastMarkAt: Instant?

  /// α: the average part of packets that come with marks; 1 until the first mark, which is answered by a half.
  private(set) var alpha = 1.0
  private var roundStart: Instant?
  private var roundPackets: UInt64 = 0
  private var roundMarks: UInt64 = 0
  private var lastPackets: UInt64 = 0
  private var lastMarks: UInt64 = 0
  /// When the window was last reduced for marks.
  private var reducedAt: Instant?
  /// The window before that, in bytes: about where marks begin.
  private var markedWindow = 0.0
  private var lossAt: Instant?
  /// Packets sent before are of the first flight, which leaves at once: that it is marked says little of the path, and only
  /// keeps the window from growing.
  private var pacedSince: Instant?
  private var before: Double?
  /// The time from one acknowledgement to the next, on average over some round trips. (A marked packet is acknowledged at
  /// once: without this the same window would send faster while marks come.)
  private(set) var batchTime: Int64 = 0
  private var acknowledgedAt: Instant?
  /// What the path carries, for marks that end a growth.
  private var rate = StartRate()
  /// The first mark has ended slow start: while the window is below this, and until then, it grows as ``Cubic/returnGrowth``
  /// says.
  private var returnsTo = 0.0
  private var returnEnd: Instant?
  /// A mark has ended the growth: until a packet that was sent after this arrives, marks and delays tell of the queue that is
  /// left of it.
  private var settling: Instant?
  /// The growth was slow start.
  private var endsStart = false
  /// The round after that sets α, whatever it was.
  private var setsAlpha = false

  init(packetSize: Int) {
    self.packetSize = Double(packetSize)
    cubic = Cubic(packetSize: packetSize)
  }

  var window: Int { followsMarks ? Int(value) : cubic.window }
  var isSlowStart: Bool { !followsMarks && cubic.isSlowStart }
  var recoveryStart: Instant? { followsMarks ? lossAt : cubic.recoveryStart }
  private var smallest: Double { 2 * packetSize }

  mutating func acknowledged(_ delivery: Delivery, rtt: RTTEstimator, now: Instant) {
    let round = max(rtt.smoothed, Self.leastRoundTrip)
    observe(delivery, round: round, now: now)
    measureBatch(delivery, rtt: rtt, now: now)
    rate.acknowledged(delivery, rtt: rtt, now: now)
    if pacedSince == nil { pacedSince = now }
    if delivery.cePackets > 0, let sent = delivery.newestSentAt, let pacedSince, sent < pacedSince { return }
    if delivery.cePackets > 0 {
      let isFirst = lastMarkAt == nil
      lastMarkAt = now
      if !isSlowStart, !isFirst, settling == nil,
        min(rtt.smoothed, rtt.latestAdjusted) - rtt.minimum > Self.longestWait, areMarksSparse
      {
        becomeClassic()
        cubic.marked(sentAt: delivery.newestSentAt ?? now, now: now)
        return cubic.acknowledged(delivery, rtt: rtt, now: now)
      }
      let isStarting = isFirst && cubic.recoveryStart == nil
      let delivered = followsMarks ? nil : carried(rtt, now: now)
      if !followsMarks {
        followsMarks = true
        value = Double(cubic.window)
        lossAt = cubic.recoveryStart
        reducedAt = cubic.recoveryStart
        before = nil
      }
      // Once per round, and only for what was sent since the last time.
      let sent = delivery.newestSentAt ?? now
      if settling == nil, !setsAlpha, reducedAt.map({ sent > $0 && now.nanoseconds(since: $0) >= round }) ?? true {
        reducedAt = now
        markedWindow = value
        value = max(value * (1 - alpha / 2), smallest)
        before = nil
        if let delivered {
          value = max(min(value, delivered * (isStarting ? 1 : Self.drain)), smallest)
          if isStarting {
            returnsTo = value
            returnEnd = now.advanced(nanoseconds: Self.returnTime)
          }
          settling = isStarting ? now.advanced(nanoseconds: round) : now
          endsStart = isStarting
          // So much answers a loss of the same round, too.
          if value <= markedWindow * Cubic.decrease { lossAt = now }
        }
      }
    } else if followsMarks, let last = lastMarkAt, now.nanoseconds(since: last) > Self.patience * round {
      becomeClassic()
    }
    guard followsMarks else {
      if lastMarkAt != nil { cubic.mostGrowth = min(Double(Self.mostQueue) / Double(round), 0.5) }
      return cubic.acknowledged(delivery, rtt: rtt, now: now)
    }
    guard delivery.isLimited, delivery.bytes > 0 else { return }
    let clean = delivery.ecnPackets == 0 ? 1 : 1 - Double(delivery.cePackets) / Double(delivery.ecnPackets)
    if let returnEnd, now >= returnEnd { returnsTo = 0 }
    if value < returnsTo {
      value = min(value + Cubic.returnGrowth * Double(delivery.bytes) * clean, returnsTo)
      return
    }
    // One packet per round, as if the round trip were at least `leastRoundTrip`: it has fewer of the longer rounds, and
    // a smaller window in each. Marked packets do not count.
    let ratio = Double(min(rtt.smoothed, round)) / Double(round)
    value += ratio * ratio * packetSize * Double(delivery.bytes) * clean / value
  }

  /// A queue for low latency that is as long as that marks almost all; a classic one marks few.
  private var areMarksSparse: Bool { 2 * (roundMarks &+ lastMarks) < roundPackets &+ lastPackets }

  private mutating func becomeClassic() {
    guard followsMarks else { return }
    followsMarks = false
    returnsTo = 0
    // What was answered in one way is not answered in the other.
    let answered = lossAt.map { max($0, reducedAt ?? $0) } ?? reducedAt
    cubic.adopt(window: value, maximum: markedWindow, recoveryStart: answered)
  }

  /// The window that fills the path and no queue, in bytes.
  private func carried(_ rtt: RTTEstimator, now: Instant) -> Double? {
    guard let delivered = rate.delivered(now: now), rtt.minimum > 0 else { return nil }
    return delivered * (1 + Double(batchTime) / Double(rtt.minimum))
  }

  private mutating func measureBatch(_ delivery: Delivery, rtt: RTTEstimator, now: Instant) {
    guard delivery.bytes > 0 else { return }
    if let last = acknowledgedAt, delivery.isLimited, rtt.smoothed > 0 {
      let gap = min(now.nanoseconds(since: last), rtt.smoothed / 8)
      // Weighted by its length: a time constant of eight round trips.
      batchTime += Int64(Double(gap - batchTime) * Double(gap) / (8 * Double(rtt.smoothed)))
    }
    acknowledgedAt = now
  }

  private mutating func observe(_ delivery: Delivery, round: Int64, now: Instant) {
    if let since = settling, let sent = delivery.newestSentAt, sent > since {
      settling = nil
      setsAlpha = endsStart
      roundStart = nil
      (roundPackets, roundMarks) = (0, 0)
      (lastPackets, lastMarks) = (0, 0)
    }
    roundPackets &+= delivery.ecnPackets
    roundMarks &+= delivery.cePackets
    guard let start = roundStart else {
      roundStart = now
      return
    }
    guard now.nanoseconds(since: start) >= round, roundPackets > 0 else { return }
    if lastMarkAt != nil {
      let part = min(Double(roundMarks) / Double(roundPackets), 1)
      alpha = setsAlpha ? part : alpha + Self.weight * (part - alpha)
      setsAlpha = false
    }
    roundStart = now
    (lastPackets, lastMarks) = (roundPackets, roundMarks)
    (roundPackets, roundMarks) = (0, 0)
  }

  mutating func lost(sentAt sent: Instant, now: Instant) {
    guard followsMarks else { return cubic.lost(sentAt: sent, now: now) }
    if let lossAt, sent <= lossAt { return }
    before = value
    lossAt = now
    markedWindow = value
    value = max(value * Cubic.decrease, smallest)
  }

  mutating func marked(sentAt sent: Instant, now: Instant) {}

  mutating func persistentCongestion(now: Instant) {
    cubic.persistentCongestion(now: now)
    value = smallest
    lossAt = nil
    before = nil
    followsMarks = false
    returnsTo = 0
    settling = nil
    setsAlpha = false
  }

  mutating func undo() {
    guard followsMarks else { return cubic.undo() }
    if let before { value = max(value, before) }
    before = nil
  }

  mutating func packetSizeChanged(to size: Int) {
    packetSize = Double(size)
    cubic.packetSizeChanged(to: size)
    value = max(value, smallest)
  }
}
