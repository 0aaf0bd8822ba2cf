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
  /// The first mark has ended slow start: until the window is there again, it grows as ``Cubic/returnGrowth`` says.
  private var returnsTo = 0.0
  /// When that was: until a packet that was sent later arrives, marks tell of the queue that slow start has left.
  private var settling: Instant?
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
    if pacedSince == nil { pacedSince = now }
    if delivery.cePackets > 0, let sent = delivery.newestSentAt, let pacedSince, sent < pacedSince { return }
    if delivery.cePackets > 0 {
      lastMarkAt = now
      if !isSlowStart, rtt.smoothed - rtt.minimum > Self.longestWait, areMarksSparse {
        becomeClassic()
        cubic.marked(sentAt: delivery.newestSentAt ?? now, now: now)
        return cubic.acknowledged(delivery, rtt: rtt, now: now)
      }
      let delivered = followsMarks ? nil : cubic.startDelivered(now: now)
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
          value = max(min(value, delivered), smallest)
          returnsTo = value
          settling = now
        }
      }
    } else if followsMarks, let last = lastMarkAt, now.nanoseconds(since: last) > Self.patience * round {
      becomeClassic()
    }
    guard followsMarks else { return cubic.acknowledged(delivery, rtt: rtt, now: now) }
    guard delivery.isLimited, delivery.bytes > 0 else { return }
    let clean = delivery.ecnPackets == 0 ? 1 : 1 - Double(delivery.cePackets) / Double(delivery.ecnPackets)
    if value < returnsTo {
      value = min(value + Cubic.returnGrowth * Double(delivery.bytes) * clean, returnsTo)
      return
    }
    returnsTo = 0
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

  private mutating func observe(_ delivery: Delivery, round: Int64, now: Instant) {
    if let since = settling, let sent = delivery.newestSentAt, sent > since {
      settling = nil
      setsAlpha = true
      roundStart = nil
      (roundPackets, roundMarks) = (0, 0)
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
    value = max(value * Cubic.decrease, smallest)
    returnsTo = 0
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
