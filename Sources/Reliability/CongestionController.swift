internal import MeshPrimitives

/// What an acknowledgement tells a congestion controller.
struct Delivery: Sendable {
  /// Bytes of packets that arrived and were sent after ``CongestionController/recoveryStart``.
  var bytes: Int
  /// Whether the window, or the pacing that follows from it, was what held the sender back, so that it may grow (RFC 9002
  /// §7.8).
  var isLimited = true
  /// When the newest packet that arrived was sent; `nil`: nothing newer than before.
  var newestSentAt: Instant?
  /// The round trip of that packet in nanoseconds, less the peer's delay; `nil`: not measured.
  var roundTrip: Int64?
  /// Packets that arrived with the mark that they were sent with, or with CE.
  var ecnPackets: UInt64 = 0
  /// Of these, with CE.
  var cePackets: UInt64 = 0
  /// For a controller that models the path; `nil` for others.
  var rate: RateSample?
}

/// What decides how many bytes may be in flight. Sans-IO and deterministic; sizes in bytes, times in nanoseconds.
protocol CongestionController: Sendable {
  /// The most bytes that may be in flight.
  var window: Int { get }
  var isSlowStart: Bool { get }
  /// Packets sent at or before this belong to a congestion event that was already answered (RFC 9002 §7.3.2).
  var recoveryStart: Instant? { get }
  /// Bytes per second, where the controller sets it and not the window; else `nil`.
  var pacingRate: Double? { get }
  /// Nanoseconds that a window takes longer than the smoothed round trip, because acknowledgements come in batches.
  var batchTime: Int64 { get }

  mutating func acknowledged(_ delivery: Delivery, rtt: RTTEstimator, now: Instant)
  /// A packet sent at `sent` was lost. Ignored when that event was already answered.
  mutating func lost(sentAt sent: Instant, now: Instant)
  /// The same, for a controller that counts losses.
  mutating func lost(_ loss: LossSample, now: Instant)
  /// Packets up to the one sent at `sent` were marked CE. Ignored when that event was already answered, and by controllers
  /// that answer the number of marks in ``acknowledged(_:rtt:now:)``.
  mutating func marked(sentAt sent: Instant, now: Instant)
  /// Everything was lost for so long that the estimate of the path is void (RFC 9002 §7.6).
  mutating func persistentCongestion(now: Instant)
  /// The loss that caused the last reduction did not happen: the packet came late.
  mutating func undo()
  mutating func packetSizeChanged(to size: Int)
}

extension CongestionController {
  var pacingRate: Double? { nil }
  var batchTime: Int64 { 0 }
  mutating func lost(_ loss: LossSample, now: Instant) {}
}

/// The congestion controllers to choose from.
public enum CongestionAlgorithm: Sendable, Equatable, CaseIterable {
  /// RFC 9002 §7, the reference, with HyStart++ (RFC 9406).
  case newReno
  /// RFC 9438, the default, with HyStart++ (RFC 9406).
  case cubic
  /// LEDBAT++ (draft-irtf-iccrg-ledbat-plus-plus), for transfers in the background: it takes what others leave.
  case ledbat
  /// Prague (RFC 9331, draft-briscoe-iccrg-prague-congestion-control): marks ECT(1), and answers the part of packets that
  /// came marked, for short queues on links that mark early. Where no marks come it is CUBIC.
  case prague
  /// BBR, version 3 (draft-ietf-ccwg-bbr): models bandwidth and round trip of the path, for paths that lose at random.
  case bbr
}

/// The chosen controller, with what is asked per packet kept ready.
///
/// The existential is held by this value alone, so that a call changes the controller where it is: nothing is copied or
/// allocated per acknowledgement.
struct Congestion: Sendable {
  private var controller: any CongestionController
  private(set) var window = 0
  private(set) var isSlowStart = true
  private(set) var recoveryStart: Instant?
  private(set) var pacingRate: Double?
  private(set) var batchTime: Int64 = 0
  /// Whether packets are marked ECT(1), and the answer to marks is that of RFC 9331.
  let isScalable: Bool

  init(_ algorithm: CongestionAlgorithm, packetSize: Int) {
    controller =
      switch algorithm {
      case .newReno: NewReno(packetSize: packetSize)
      case .cubic: Cubic(packetSize: packetSize)
      case .ledbat: LEDBAT(packetSize: packetSize)
      case .prague: Prague(packetSize: packetSize)
      case .bbr: BBR(packetSize: packetSize)
      }
    isScalable = algorithm == .prague
    refresh()
  }

  private mutating func refresh() {
    window = controller.window
    isSlowStart = controller.isSlowStart
    recoveryStart = controller.recoveryStart
    pacingRate = controller.pacingRate
    batchTime = controller.batchTime
  }

  /// How packets are to be spread over the round trip.
  var pace: Pacer.Pace {
    isScalable ? Pacer.Pace.smooth(isSlowStart: isSlowStart) : Pacer.Pace.usual(isSlowStart: isSlowStart)
  }

  mutating func acknowledged(_ delivery: Delivery, rtt: RTTEstimator, now: Instant) {
    controller.acknowledged(delivery, rtt: rtt, now: now)
    refresh()
  }

  mutating func lost(sentAt sent: Instant, now: Instant) {
    controller.lost(sentAt: sent, now: now)
    refresh()
  }

  mutating func lost(_ loss: LossSample, now: Instant) {
    controller.lost(loss, now: now)
    refresh()
  }

  mutating func marked(sentAt sent: Instant, now: Instant) {
    controller.marked(sentAt: sent, now: now)
    refresh()
  }

  mutating func persistentCongestion(now: Instant) {
    controller.persistentCongestion(now: now)
    refresh()
  }

  mutating func undo() {
    controller.undo()
    refresh()
  }

  mutating func packetSizeChanged(to size: Int) {
    controller.packetSizeChanged(to: size)
    refresh()
  }
}

/// The initial window (RFC 9002 §7.2).
func initialWindow(packetSize: Int) -> Int { min(10 * packetSize, max(14_720, 2 * packetSize)) }
