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

/// The chosen controller, without an existential on the way of each packet. What is asked per packet is kept ready.
struct Congestion: Sendable {
  private enum State: Sendable {
    case newReno(NewReno)
    case cubic(Cubic)
    case ledbat(LEDBAT)
    case prague(Prague)
    case bbr(BBR)
  }

  private var state: State
  private(set) var window = 0
  private(set) var isSlowStart = true
  private(set) var recoveryStart: Instant?
  /// Bytes per second, where the controller sets it and not the window.
  private(set) var pacingRate: Double?
  /// Whether packets are marked ECT(1), and the answer to marks is that of RFC 9331.
  let isScalable: Bool

  init(_ algorithm: CongestionAlgorithm, packetSize: Int) {
    state =
      switch algorithm {
      case .newReno: .newReno(NewReno(packetSize: packetSize))
      case .cubic: .cubic(Cubic(packetSize: packetSize))
      case .ledbat: .ledbat(LEDBAT(packetSize: packetSize))
      case .prague: .prague(Prague(packetSize: packetSize))
      case .bbr: .bbr(BBR(packetSize: packetSize))
      }
    isScalable = algorithm == .prague
    refresh()
  }

  private mutating func refresh() {
    switch state {
    case .newReno(let chosen): refresh(from: chosen)
    case .cubic(let chosen): refresh(from: chosen)
    case .ledbat(let chosen): refresh(from: chosen)
    case .prague(let chosen): refresh(from: chosen)
    case .bbr(let chosen):
      refresh(from: chosen)
      pacingRate = chosen.pacingRate
    }
  }

  private mutating func refresh(from chosen: some CongestionController) {
    window = chosen.window
    isSlowStart = chosen.isSlowStart
    recoveryStart = chosen.recoveryStart
  }

  /// How packets are to be spread over the round trip.
  var pace: Pacer.Pace {
    isScalable ? Pacer.Pace.smooth(isSlowStart: isSlowStart) : Pacer.Pace.usual(isSlowStart: isSlowStart)
  }

  mutating func acknowledged(_ delivery: Delivery, rtt: RTTEstimator, now: Instant) {
    switch state {
    case .newReno(var chosen):
      chosen.acknowledged(delivery, rtt: rtt, now: now)
      state = .newReno(chosen)
    case .cubic(var chosen):
      chosen.acknowledged(delivery, rtt: rtt, now: now)
      state = .cubic(chosen)
    case .ledbat(var chosen):
      chosen.acknowledged(delivery, rtt: rtt, now: now)
      state = .ledbat(chosen)
    case .prague(var chosen):
      chosen.acknowledged(delivery, rtt: rtt, now: now)
      state = .prague(chosen)
    case .bbr(var chosen):
      chosen.acknowledged(delivery, rtt: rtt, now: now)
      state = .bbr(chosen)
    }
    refresh()
  }

  mutating func lost(sentAt sent: Instant, now: Instant) {
    switch state {
    case .newReno(var chosen):
      chosen.lost(sentAt: sent, now: now)
      state = .newReno(chosen)
    case .cubic(var chosen):
      chosen.lost(sentAt: sent, now: now)
      state = .cubic(chosen)
    case .ledbat(var chosen):
      chosen.lost(sentAt: sent, now: now)
      state = .ledbat(chosen)
    case .prague(var chosen):
      chosen.lost(sentAt: sent, now: now)
      state = .prague(chosen)
    case .bbr(var chosen):
      chosen.lost(sentAt: sent, now: now)
      state = .bbr(chosen)
    }
    refresh()
  }

  mutating func lost(_ loss: LossSample, now: Instant) {
    guard case .bbr(var chosen) = state else { return }
    chosen.lost(loss, now: now)
    state = .bbr(chosen)
    refresh()
  }

  mutating func marked(sentAt sent: Instant, now: Instant) {
    switch state {
    case .newReno(var chosen):
      chosen.marked(sentAt: sent, now: now)
      state = .newReno(chosen)
    case .cubic(var chosen):
      chosen.marked(sentAt: sent, now: now)
      state = .cubic(chosen)
    case .ledbat(var chosen):
      chosen.marked(sentAt: sent, now: now)
      state = .ledbat(chosen)
    case .prague(var chosen):
      chosen.marked(sentAt: sent, now: now)
      state = .prague(chosen)
    case .bbr(var chosen):
      chosen.marked(sentAt: sent, now: now)
      state = .bbr(chosen)
    }
    refresh()
  }

  mutating func persistentCongestion(now: Instant) {
    switch state {
    case .newReno(var chosen):
      chosen.persistentCongestion(now: now)
      state = .newReno(chosen)
    case .cubic(var chosen):
      chosen.persistentCongestion(now: now)
      state = .cubic(chosen)
    case .ledbat(var chosen):
      chosen.persistentCongestion(now: now)
      state = .ledbat(chosen)
    case .prague(var chosen):
      chosen.persistentCongestion(now: now)
      state = .prague(chosen)
    case .bbr(var chosen):
      chosen.persistentCongestion(now: now)
      state = .bbr(chosen)
    }
    refresh()
  }

  mutating func undo() {
    switch state {
    case .newReno(var chosen):
      chosen.undo()
      state = .newReno(chosen)
    case .cubic(var chosen):
      chosen.undo()
      state = .cubic(chosen)
    case .ledbat(var chosen):
      chosen.undo()
      state = .ledbat(chosen)
    case .prague(var chosen):
      chosen.undo()
      state = .prague(chosen)
    case .bbr(var chosen):
      chosen.undo()
      state = .bbr(chosen)
    }
    refresh()
  }

  mutating func packetSizeChanged(to size: Int) {
    switch state {
    case .newReno(var chosen):
      chosen.packetSizeChanged(to: size)
      state = .newReno(chosen)
    case .cubic(var chosen):
      chosen.packetSizeChanged(to: size)
      state = .cubic(chosen)
    case .ledbat(var chosen):
      chosen.packetSizeChanged(to: size)
      state = .ledbat(chosen)
    case .prague(var chosen):
      chosen.packetSizeChanged(to: size)
      state = .prague(chosen)
    case .bbr(var chosen):
      chosen.packetSizeChanged(to: size)
      state = .bbr(chosen)
    }
    refresh()
  }
}

/// The initial window (RFC 9002 §7.2).
func initialWindow(packetSize: Int) -> Int { min(10 * packetSize, max(14_720, 2 * packetSize)) }
