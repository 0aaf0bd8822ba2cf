internal import MeshPrimitives

/// BBR, version 3 (draft-ietf-ccwg-bbr): a model of the path, of its bandwidth and its least round trip, sets pace and
/// window. Losses count where they are more than two in a hundred, and otherwise only bound the model for a while.
///
/// Short of the draft: the aggregation of acknowledgements is not measured, since these come eight times per round trip.
/// Marks of congestion are not answered, so that none are asked for: packets are sent not-ECT.
struct BBR: CongestionController {
  private static let startupGain = 2.77
  private static let drainGain = 0.5
  /// What of the bandwidth is used, so that queues drain.
  private static let margin = 0.99
  private static let lossThreshold = 0.02
  /// Packets lost in a round that end the start, if they are too many.
  private static let startupLosses = 6
  private static let beta = 0.7
  private static let headroom = 0.85
  private static let minimumFilter: Int64 = 10_000_000_000
  private static let probeRTTInterval: Int64 = 5_000_000_000
  private static let probeRTTDuration: Int64 = 200_000_000

  enum Phase: Sendable { case startup, drain, down, cruise, refill, up, probeRTT }
  /// What acknowledgements tell of a probe for bandwidth.
  private enum Feedback: Sendable { case none, starting, arriving, stopping }

  private(set) var phase = Phase.startup
  private var packetSize: Double
  private var value: Double
  private(set) var pacingRate: Double?

  // Rounds, in bytes delivered.
  private var total: Int64 = 0
  private var roundEnd: Int64 = 0
  private var isRoundStart = false
  private var lossRoundEnd: Int64 = 0
  private var isLossRoundStart = false

  // The model. Rates in bytes per second, amounts in bytes.
  /// The greatest rates of the last probe and of this one.
  private var maximum = (last: 0.0, current: 0.0)
  private var latestRate = 0.0
  private var latestInFlight = 0.0
  private var shortRate = Double.infinity
  private var shortInFlight = Double.infinity
  private var longInFlight = Double.infinity
  private var leastRoundTrip: Int64 = .max
  private var leastAt: Instant?
  private var probedLeast: Int64 = .max
  private var probedAt: Instant?

  private var isFull = false
  private var isFullNow = false
  private var fullRate = 0.0
  private var fullRounds = 0

  private var lossInRound = false
  private var lostInRound = 0
  private var before: (rate: Double, inFlight: Double)?

  private var feedback = Feedback.none
  private var samplesProbe = false
  private var roundsSinceProbe = 0
  private var probeWait: Int64 = 0
  private var cycleStart: Instant?
  private var upRounds = 0
  private var upAcknowledged = 0.0
  private var upStep = Double.infinity
  private var probeRTTEnd: Instant?
  private var probeRTTRoundDone = false
  private var windowBefore = 0.0
  private var random: UInt64 = 0x9E37_79B9_7F4A_7C15

  init(packetSize: Int) {
    self.packetSize = Double(packetSize)
    value = Double(initialWindow(packetSize: packetSize))
  }

  var window: Int { Int(value) }
  var isSlowStart: Bool { phase == .startup }
  var recoveryStart: Instant? { nil }

  private var smallest: Double { 4 * packetSize }
  private var maximumRate: Double { max(maximum.last, maximum.current) }
  private var rate: Double { min(maximumRate, shortRate) }
  private var isProbingBandwidth: Bool {
    switch phase {
    case .down, .cruise, .refill, .up: true
    case .startup, .drain, .probeRTT: false
    }
  }

  private func product(_ rate: Double, gain: Double = 1) -> Double {
    leastRoundTrip == .max ? value : gain * rate * Double(leastRoundTrip) / 1e9
  }

  private func inFlight(_ rate: Double, gain: Double) -> Double {
    // A few packets more: acknowledgements come in groups.
    max(product(rate, gain: gain) + 2 * packetSize, smallest)
  }

  private var gains: (pace: Double, window: Double) {
    switch phase {
    case .startup: (Self.startupGain, 2)
    case .drain: (Self.drainGain, 2)
    case .down: (0.9, 2)
    case .cruise, .refill: (1, 2)
    case .up: (1.25, 2.25)
    case .probeRTT: (1, 0.5)
    }
  }

  private var boundWithHeadroom: Double {
    longInFlight == .infinity ? .infinity : max(longInFlight * Self.headroom, smallest)
  }

  // MARK: Acknowledgements

  mutating func acknowledged(_ delivery: Delivery, rtt: RTTEstimator, now: Instant) {
    guard let sample = delivery.rate else { return }
    total = sample.total
    // What the last round has shown.
    latestRate = max(latestRate, sample.rate)
    latestInFlight = max(latestInFlight, Double(sample.delivered))
    isLossRoundStart = sample.priorDelivered >= lossRoundEnd
    if isLossRoundStart { lossRoundEnd = total }
    isRoundStart = sample.priorDelivered >= roundEnd
    if isRoundStart {
      startRound()
      roundsSinceProbe += 1
    }
    if sample.rate > 0, sample.rate >= maximumRate || !sample.isApplicationLimited && phase != .probeRTT {
      maximum.current = max(maximum.current, sample.rate)
    }
    if isLossRoundStart {
      if phase == .startup { checkStartupLoss(sample) }
      if lossInRound { lowerBounds() }
      lossInRound = false
      lostInRound = 0
    }
    checkFull(sample)
    if phase == .startup, isFull { phase = .drain }
    if phase == .drain, Double(sample.inFlight) <= inFlight(maximumRate, gain: 1) { startDown(now) }
    updateCycle(sample, now: now)
    updateLeast(delivery.roundTrip, now: now)
    updateProbeRTT(sample, now: now)
    if isLossRoundStart {
      latestRate = sample.rate
      latestInFlight = Double(sample.delivered)
    }
    setPace(rtt)
    setWindow(sample)
  }

  private mutating func startRound() { roundEnd = total }

  private mutating func setPace(_ rtt: RTTEstimator) {
    guard rate > 0 else {
      if rtt.hasSample { pacingRate = Self.startupGain * value * 1e9 / Double(max(rtt.smoothed, 1)) }
      return
    }
    let wanted = gains.pace * rate * Self.margin
    if isFull || wanted > pacingRate ?? 0 { pacingRate = max(wanted, packetSize) }
  }

  private mutating func setWindow(_ sample: RateSample) {
    let most = inFlight(rate, gain: gains.window)
    let new = Double(sample.acknowledged)
    if isFull {
      value = min(value + new, most)
    } else if value < most || total < Int64(initialWindow(packetSize: Int(packetSize))) {
      value += new
    }
    var bound = Double.infinity
    switch phase {
    case .down, .refill, .up: bound = longInFlight
    case .cruise, .probeRTT: bound = boundWithHeadroom
    case .startup, .drain: break
    }
    if phase == .probeRTT { bound = min(bound, probeRTTWindow) }
    value = max(min(value, max(min(bound, shortInFlight), smallest)), smallest)
  }

  // MARK: Startup

  private mutating func resetFull() {
    fullRate = 0
    fullRounds = 0
    isFullNow = false
  }

  private mutating func checkFull(_ sample: RateSample) {
    guard !isFullNow, isRoundStart, !sample.isApplicationLimited, phase != .probeRTT else { return }
    if sample.rate >= fullRate * 1.25 {
      resetFull()
      fullRate = sample.rate
      return
    }
    fullRounds += 1
    isFullNow = fullRounds >= 3
    if isFullNow { isFull = true }
  }

  private mutating func checkStartupLoss(_ sample: RateSample) {
    guard lostInRound >= Self.startupLosses, isTooMuch(sample.lost, of: sample.inFlightAtSend) else { return }
    isFull = true
    longInFlight = max(product(maximumRate), latestInFlight)
  }

  // MARK: Losses

  private func isTooMuch(_ lost: Int64, of inFlight: Int64) -> Bool {
    Double(lost) > Self.lossThreshold * Double(inFlight)
  }

  mutating func lost(sentAt sent: Instant, now: Instant) {}
  mutating func marked(sentAt sent: Instant, now: Instant) {}

  mutating func lost(_ loss: LossSample, now: Instant) {
    if !lossInRound { lossRoundEnd = total }
    lossInRound = true
    lostInRound += loss.packets
    guard samplesProbe, isTooMuch(loss.lost, of: loss.inFlightAtSend) else { return }
    // Where in the flight the losses became too many.
    let inFlightBefore = Double(loss.inFlightAtSend - loss.size)
    let lostBefore = Double(loss.lost - loss.size)
    let prefix = max(0, (Self.lossThreshold * inFlightBefore - lostBefore) / (1 - Self.lossThreshold))
    tooHigh(inFlightBefore + prefix, isApplicationLimited: loss.isApplicationLimited, now: now)
  }

  private mutating func tooHigh(_ amount: Double, isApplicationLimited: Bool, now: Instant) {
    samplesProbe = false
    if !isApplicationLimited { longInFlight = max(amount, min(product(rate), value) * Self.beta) }
    if phase == .up { startDown(now) }
  }

  private mutating func lowerBounds() {
    // A probe for bandwidth is to find losses.
    if phase == .startup || phase == .refill || phase == .up { return }
    before = (shortRate, shortInFlight)
    if shortRate == .infinity { shortRate = maximumRate }
    if shortInFlight == .infinity { shortInFlight = value }
    shortRate = max(latestRate, Self.beta * shortRate)
    shortInFlight = max(latestInFlight, Self.beta * shortInFlight)
  }

  mutating func persistentCongestion(now: Instant) {
    windowBefore = max(windowBefore, value)
    value = smallest
    before = nil
  }

  mutating func undo() {
    guard let before else { return }
    shortRate = max(shortRate, before.rate)
    shortInFlight = max(shortInFlight, before.inFlight)
    lossInRound = false
    self.before = nil
  }

  // MARK: Probing for bandwidth

  private mutating func startDown(_ now: Instant) {
    lossInRound = false
    latestRate = 0
    latestInFlight = 0
    upStep = .infinity
    random ^= random << 13
    random ^= random >> 7
    random ^= random << 17
    roundsSinceProbe = Int(random & 1)
    probeWait = 2_000_000_000 + Int64(random >> 34) % 1_000_000_000
    cycleStart = now
    feedback = .stopping
    phase = .down
    startRound()
  }

  private mutating func startRefill() {
    shortRate = .infinity
    shortInFlight = .infinity
    before = nil
    upRounds = 0
    upAcknowledged = 0
    phase = .refill
    startRound()
  }

  private mutating func startUp(_ sample: RateSample, now: Instant) {
    feedback = .starting
    startRound()
    resetFull()
    fullRate = sample.rate
    phase = .up
    raiseSlope()
  }

  private mutating func raiseSlope() {
    let growth = Double(1 << upRounds)
    upRounds = min(upRounds + 1, 30)
    upStep = max(value / growth, packetSize)
  }

  private mutating func updateCycle(_ sample: RateSample, now: Instant) {
    guard isFull else { return }
    adaptLongTerm(sample, now: now)
    guard isProbingBandwidth else { return }
    switch phase {
    case .down, .cruise:
      if isTimeToProbe(now) { return startRefill() }
      let held = Double(sample.inFlight)
      if phase == .down, held <= boundWithHeadroom, held <= inFlight(maximumRate, gain: 1) { phase = .cruise }
    case .refill:
      if isRoundStart {
        samplesProbe = true
        startUp(sample, now: now)
      }
    case .up:
      if isWindowUsed(sample), value >= longInFlight {
        resetFull()
        fullRate = sample.rate
      } else if isFullNow {
        startDown(now)
      }
    case .startup, .drain, .probeRTT: break
    }
  }

  private func isWindowUsed(_ sample: RateSample) -> Bool { Double(sample.inFlightBefore) + packetSize >= value }

  private func isTimeToProbe(_ now: Instant) -> Bool {
    let packets = min(Int(min(product(rate), value) / packetSize), 63)
    return cycleStart.map { now.nanoseconds(since: $0) > probeWait } ?? true || roundsSinceProbe >= packets
  }

  private mutating func adaptLongTerm(_ sample: RateSample, now: Instant) {
    if feedback == .starting, isRoundStart { feedback = .arriving }
    if feedback == .stopping, isRoundStart {
      samplesProbe = false
      feedback = .none
      if isProbingBandwidth, !sample.isApplicationLimited, maximum.current > 0 {
        maximum = (maximum.current, 0)
      }
    }
    if isTooMuch(sample.lost, of: sample.inFlightAtSend) {
      if samplesProbe {
        tooHigh(Double(sample.inFlightAtSend), isApplicationLimited: sample.isApplicationLimited, now: now)
      }
      return
    }
    guard longInFlight != .infinity else { return }
    longInFlight = max(longInFlight, Double(sample.inFlightAtSend))
    guard phase == .up, isWindowUsed(sample), value >= longInFlight - packetSize else { return }
    upAcknowledged += Double(sample.acknowledged)
    if upAcknowledged >= upStep {
      let packets = Double(Int(upAcknowledged / upStep))
      upAcknowledged -= packets * upStep
      longInFlight += packets * packetSize
    }
    if isRoundStart { raiseSlope() }
  }

  // MARK: The least round trip

  private var probeRTTWindow: Double { max(product(rate, gain: 0.5), smallest) }

  private mutating func updateLeast(_ roundTrip: Int64?, now: Instant) {
    guard let roundTrip, roundTrip > 0 else { return }
    if roundTrip < probedLeast || probedAt == nil {
      probedLeast = roundTrip
      probedAt = now
    }
    let isOld = leastAt.map { now.nanoseconds(since: $0) > Self.minimumFilter } ?? true
    if probedLeast < leastRoundTrip || isOld {
      leastRoundTrip = probedLeast
      leastAt = probedAt
    }
  }

  private mutating func updateProbeRTT(_ sample: RateSample, now: Instant) {
    let isDue = probedAt.map { now.nanoseconds(since: $0) > Self.probeRTTInterval } ?? false
    if phase != .probeRTT, isDue {
      windowBefore = value
      phase = .probeRTT
      probeRTTEnd = nil
      feedback = .stopping
      probedLeast = .max
      startRound()
    }
    guard phase == .probeRTT else { return }
    guard let end = probeRTTEnd else {
      guard Double(sample.inFlight) <= probeRTTWindow else { return }
      probeRTTEnd = now.advanced(nanoseconds: Self.probeRTTDuration)
      probeRTTRoundDone = false
      startRound()
      return
    }
    if isRoundStart { probeRTTRoundDone = true }
    guard probeRTTRoundDone, now >= end else { return }
    probedAt = now
    value = max(value, windowBefore)
    shortRate = .infinity
    shortInFlight = .infinity
    if isFull {
      startDown(now)
      phase = .cruise
    } else {
      phase = .startup
    }
  }

  mutating func packetSizeChanged(to size: Int) {
    packetSize = Double(size)
    value = max(value, smallest)
  }
}
