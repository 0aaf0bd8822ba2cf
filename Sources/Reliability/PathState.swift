internal import MeshPrimitives

/// What a connection knows of one path: round-trip times, how much may be in flight, and whether marks get through.
///
/// What was learned on one path says nothing of another: a connection that moves begins with a new one of these.
struct PathState: Sendable {
  /// Bytes of a full packet, with overhead.
  private(set) var packetSize: Int

  var rtt: RTTEstimator
  /// When the first round-trip time was measured.
  var firstSampleAt: Instant?
  var congestion: Congestion
  var pacer = Pacer()
  /// How many packets later another must have come for one to be lost (RFC 9002 §6.1.1).
  var packetThreshold: UInt64 = 3
  /// Packets lost in the last congestion event that have not come late.
  var lostInEvent = 0

  // ECN (RFC 9000 §13.4.2).
  /// Whether packets are sent with a mark that asks for marks of congestion.
  var marksECN: Bool
  /// What the peer has counted.
  var peerECT0: UInt64 = 0
  var peerCE: UInt64 = 0
  /// Packets with a mark that were lost before any had arrived.
  var markedLost = 0
  var markedArrived = false

  init(_ configuration: Configuration) {
    packetSize = configuration.packetSize
    rtt = RTTEstimator(initial: min(configuration.initialRTT.wholeNanoseconds, 10_000_000_000))
    congestion = Congestion(configuration.congestion, packetSize: packetSize)
    marksECN = configuration.usesECN
  }

  /// How the packets that leave now are to be marked.
  var outgoingECN: ECN { marksECN ? .ect0 : .notECT }

  /// Sets the pace by the window and the round-trip time.
  mutating func updatePacer() {
    pacer.update(
      window: congestion.window, smoothedRTT: rtt.hasSample ? rtt.smoothed : 0, slowStart: congestion.isSlowStart,
      packetSize: packetSize)
  }

  /// A full packet has so many bytes from now on.
  mutating func packetSizeChanged(to size: Int) {
    guard size != packetSize else { return }
    packetSize = size
    congestion.packetSizeChanged(to: size)
    updatePacer()
  }
}
