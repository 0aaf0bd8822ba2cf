internal import MeshPrimitives

/// What limits the background lane besides the connection's own controller: LEDBAT++ over the packets of that lane alone.
///
/// A packet is of the lane or not: no frame of another lane goes into one that background data has begun, nor the other way
/// round. (Window updates and the like go into either.) Both controllers count its bytes, arrivals and losses.
///
/// A class, made when the lane is first used: a connection that does not use it pays for one pointer.
final class BackgroundFlow {
  private(set) var congestion: Congestion
  /// Bytes, with overhead.
  private(set) var bytesInFlight = 0
  /// Packets below were sent while the window of the lane set the speed.
  var limitedBelow: UInt64 = 0
  /// Packets lost in the last congestion event that have not come late, and the first of them.
  private var lostInEvent = 0
  private var eventBegin: UInt64 = 0
  /// Bytes in flight when the acknowledgement came that is being read, and what it brought.
  private var inFlightBefore = 0
  private var arrived = 0
  private var hasArrived = false

  init(packetSize: Int) { congestion = Congestion(.ledbat, packetSize: packetSize) }

  /// Whether a packet of at most `size` bytes may leave. One may always be under way.
  func hasRoom(for size: Int) -> Bool { bytesInFlight == 0 || bytesInFlight + size <= congestion.window }

  func sent(_ size: Int) { bytesInFlight += size }

  // MARK: Acknowledgements

  /// Packet `number` has arrived.
  /// - Parameter wasLost: it had been taken for lost.
  func arrived(_ number: UInt64, size: Int, sentAt: Instant, wasLost: Bool) {
    if wasLost {
      guard lostInEvent > 0, number >= eventBegin else { return }
      lostInEvent -= 1
      if lostInEvent == 0 { congestion.undo() }
      return
    }
    if !hasArrived { inFlightBefore = bytesInFlight }
    hasArrived = true
    bytesInFlight -= size
    if let start = congestion.recoveryStart, sentAt <= start { return }
    arrived += size
  }

  /// The acknowledgement has been read.
  /// - Parameter delivery: what the connection's controller is told. Delays are those of the path, whatever a packet
  ///   carried, and so are marks: counts do not tell which packets came marked.
  func acknowledged(_ delivery: Delivery, largest: UInt64, rtt: RTTEstimator, now: Instant) {
    guard hasArrived else { return }
    var own = delivery
    own.bytes = arrived
    own.isLimited =
      inFlightBefore >= congestion.window / 2 && (congestion.isSlowStart || largest < limitedBelow)
    arrived = 0
    hasArrived = false
    if delivery.cePackets > 0, let sentAt = delivery.newestSentAt { congestion.marked(sentAt: sentAt, now: now) }
    congestion.acknowledged(own, rtt: rtt, now: now)
  }

  // MARK: Losses

  /// A packet is not in flight any more.
  func lost(_ size: Int) { bytesInFlight -= size }

  /// Packets were lost, from number `first` on, of which the newest was sent at `sentAt`.
  func congested(first: UInt64, packets: Int, sentAt: Instant, now: Instant) {
    let before = congestion.recoveryStart
    congestion.lost(sentAt: sentAt, now: now)
    if congestion.recoveryStart != before { lostInEvent = 0 }
    if lostInEvent == 0 { eventBegin = first }
    lostInEvent += packets
  }

  func persistentCongestion(now: Instant) { congestion.persistentCongestion(now: now) }

  func packetSizeChanged(to size: Int) { congestion.packetSizeChanged(to: size) }

  /// Packets take another path from now on.
  func pathChanged(packetSize: Int) {
    congestion = Congestion(.ledbat, packetSize: packetSize)
    bytesInFlight = 0
    lostInEvent = 0
  }
}
