internal import MeshPrimitives

/// What a connection knows of one path: round-trip times, how much may be in flight, and whether marks get through.
///
/// What was learned on one path says nothing of another: a connection that moves begins with a new one of these.
struct PathState {
  /// Bytes of a full packet, with overhead.
  private(set) var packetSize: Int
  /// The first packet that was sent on it: what happens to those before says nothing of this path.
  private(set) var firstNumber: UInt64 = 1
  /// How late packets before ``firstNumber`` may be, in nanoseconds: as long as on the path that they took.
  private(set) var lateness: Int64 = 0
  /// Packets longer than every path carries that were lost since the last one that arrived.
  var longLost = 0

  var rtt: RTTEstimator
  /// When the first round-trip time was measured.
  var firstSampleAt: Instant?
  var congestion: Congestion
  var pacer = Pacer()
  /// For a controller that models the path.
  let sampler: DeliverySampler?
  /// How many packets later another must have come for one to be lost (RFC 9002 §6.1.1).
  var packetThreshold: UInt64 = 3
  /// Packets lost in the last congestion event that have not come late.
  var lostInEvent = 0
  /// The first of them.
  var eventBegin: UInt64 = 0

  // ECN (RFC 9000 §13.4.2).
  /// Whether packets are sent with a mark that asks for marks of congestion.
  var marksECN: Bool
  /// What the peer has counted: packets with our mark as it was, and with CE.
  var peerECT: UInt64 = 0
  var peerCE: UInt64 = 0
  /// Packets that were sent with a mark, of acknowledgements only or not.
  var sentMarked: UInt64 = 0
  /// Whether a packet with a mark has arrived: until then packets that must arrive have none.
  var markedArrived = false
  /// Packets with a mark that were lost before any had arrived, and whether one without has.
  var markedLost = 0
  var unmarkedArrived = false
  /// Packets before say nothing of whether marked ones arrive.
  private(set) var marksTestedFrom: UInt64 = 0
  /// Nobody would tell whether marked packets arrive.
  var holdsMarks = false

  init(_ configuration: Configuration) {
    packetSize = configuration.packetSize
    rtt = RTTEstimator(initial: min(configuration.initialRTT.wholeNanoseconds, 10_000_000_000))
    congestion = Congestion(configuration.congestion, packetSize: packetSize)
    // Who does not answer marks must not ask for them.
    marksECN = configuration.usesECN && configuration.congestion != .bbr
    sampler = configuration.congestion == .bbr ? DeliverySampler() : nil
  }

  /// A path that follows `old`, for packets from `number` on.
  /// - Parameter roundTrip: as measured by probes, in nanoseconds; 0: unknown.
  init(after old: borrowing PathState, from number: UInt64, _ configuration: Configuration, roundTrip: Int64) {
    self.init(configuration)
    packetSize = old.packetSize
    congestion = Congestion(configuration.congestion, packetSize: packetSize)
    if roundTrip > 0 { rtt = RTTEstimator(initial: min(roundTrip, 10_000_000_000)) }
    firstNumber = number
    lateness = old.rtt.lossDelay
    // The peer's counts go on. Where they were wrong, nobody knows what they begin with here.
    marksECN = old.marksECN
    peerECT = old.peerECT
    peerCE = old.peerCE
    sentMarked = old.sentMarked
  }

  /// How the packets that leave are to be marked, unless they must arrive.
  var outgoingECN: ECN { marksECN ? congestion.isScalable ? .ect1 : .ect0 : .notECT }

  /// A packet with a mark was lost. A path that drops them drops all: three, where one without has arrived, or else ten
  /// (RFC 9000 §13.4.2).
  mutating func lostMarked() {
    guard !markedArrived else { return }
    markedLost += 1
    if markedLost >= (unmarkedArrived ? 3 : 10) { marksECN = false }
  }

  /// Whether marked packets arrive is to be found out again, by packets from `number` on.
  mutating func testMarks(from number: UInt64) {
    markedArrived = false
    unmarkedArrived = false
    markedLost = 0
    marksTestedFrom = number
  }

  /// Takes the peer's counts (RFC 9000 §13.4.2.1): they must account for every marked packet, and for no more than were
  /// sent, or the path does not carry marks, and none are sent any more. Returns how much they have grown.
  ///
  /// - Parameters:
  ///   - ect0, ect1, ce: what the peer has counted in all.
  ///   - newlyMarked: packets sent with a mark that its acknowledgement has newly acknowledged.
  mutating func validateECN(
    ect0: UInt64, ect1: UInt64, ce: UInt64, newlyMarked: UInt64
  ) -> (packets: UInt64, ce: UInt64) {
    guard marksECN else { return (0, 0) }
    let (own, other) = congestion.isScalable ? (ect1, ect0) : (ect0, ect1)
    guard other == 0, own >= peerECT, ce >= peerCE, own <= sentMarked, ce <= sentMarked - own else {
      marksECN = false
      return (0, 0)
    }
    let newCE = ce - peerCE
    let packets = own - peerECT + newCE
    // Who marks every packet says nothing of congestion.
    guard packets >= newlyMarked, own > 0 || ce < Self.mostWithoutClean else {
      marksECN = false
      return (0, 0)
    }
    peerECT = own
    peerCE = ce
    return (packets, newCE)
  }

  /// Packets that may come with CE before one has come without it.
  private static let mostWithoutClean: UInt64 = 100

  /// Sets the pace by the window and the round-trip time.
  mutating func updatePacer() {
    if let rate = congestion.pacingRate, rtt.hasSample {
      let burst = max(min(1_000_000, rtt.smoothed / 16), 250_000)
      pacer.update(
        window: Int(min(rate, 1e12)), smoothedRTT: 1_000_000_000,
        pace: Pacer.Pace(gain: 1_024, burst: burst, leastPackets: 2), packetSize: packetSize)
      return
    }
    pacer.update(
      window: congestion.window, smoothedRTT: rtt.hasSample ? rtt.smoothed + congestion.batchTime : 0,
      pace: congestion.pace, packetSize: packetSize)
  }

  /// A full packet has so many bytes from now on.
  mutating func packetSizeChanged(to size: Int) {
    guard size != packetSize else { return }
    packetSize = size
    congestion.packetSizeChanged(to: size)
    updatePacer()
  }
}
