internal import MeshPrimitives

/// What decides how many bytes may be in flight. Sans-IO and deterministic; sizes in bytes, times in nanoseconds.
protocol CongestionController: Sendable {
  /// The most bytes that may be in flight.
  var window: Int { get }
  var isSlowStart: Bool { get }
  /// Packets sent at or before this belong to a congestion event that was already answered (RFC 9002 §7.3.2).
  var recoveryStart: Instant? { get }

  /// `bytes` that were sent after ``recoveryStart`` arrived, while the window was what held the sender back.
  mutating func acknowledged(_ bytes: Int, rtt: RTTEstimator, now: Instant)
  /// A packet sent at `sent` was lost or marked CE. Ignored when that event was already answered.
  mutating func congestion(sentAt sent: Instant, now: Instant)
  /// Everything was lost for so long that the estimate of the path is void (RFC 9002 §7.6).
  mutating func persistentCongestion(now: Instant)
  /// The loss that caused the last reduction did not happen: the packet came late.
  mutating func undo()
  mutating func packetSizeChanged(to size: Int)
}

/// The congestion controllers to choose from.
public enum CongestionAlgorithm: Sendable, Equatable {
  /// RFC 9002 §7, the reference.
  case newReno
  /// RFC 9438, the default.
  case cubic
}

/// The chosen controller, without an existential on the way of each packet.
enum Congestion: Sendable {
  case newReno(NewReno)
  case cubic(Cubic)

  init(_ algorithm: CongestionAlgorithm, packetSize: Int) {
    self = algorithm == .cubic ? .cubic(Cubic(packetSize: packetSize)) : .newReno(NewReno(packetSize: packetSize))
  }

  var window: Int {
    switch self {
    case .newReno(let state): state.window
    case .cubic(let state): state.window
    }
  }

  var isSlowStart: Bool {
    switch self {
    case .newReno(let state): state.isSlowStart
    case .cubic(let state): state.isSlowStart
    }
  }

  var recoveryStart: Instant? {
    switch self {
    case .newReno(let state): state.recoveryStart
    case .cubic(let state): state.recoveryStart
    }
  }

  mutating func acknowledged(_ bytes: Int, rtt: RTTEstimator, now: Instant) {
    switch self {
    case .newReno(var state):
      state.acknowledged(bytes, rtt: rtt, now: now)
      self = .newReno(state)
    case .cubic(var state):
      state.acknowledged(bytes, rtt: rtt, now: now)
      self = .cubic(state)
    }
  }

  mutating func congestion(sentAt sent: Instant, now: Instant) {
    switch self {
    case .newReno(var state):
      state.congestion(sentAt: sent, now: now)
      self = .newReno(state)
    case .cubic(var state):
      state.congestion(sentAt: sent, now: now)
      self = .cubic(state)
    }
  }

  mutating func persistentCongestion(now: Instant) {
    switch self {
    case .newReno(var state):
      state.persistentCongestion(now: now)
      self = .newReno(state)
    case .cubic(var state):
      state.persistentCongestion(now: now)
      self = .cubic(state)
    }
  }

  mutating func undo() {
    switch self {
    case .newReno(var state):
      state.undo()
      self = .newReno(state)
    case .cubic(var state):
      state.undo()
      self = .cubic(state)
    }
  }

  mutating func packetSizeChanged(to size: Int) {
    switch self {
    case .newReno(var state):
      state.packetSizeChanged(to: size)
      self = .newReno(state)
    case .cubic(var state):
      state.packetSizeChanged(to: size)
      self = .cubic(state)
    }
  }
}

/// The initial window (RFC 9002 §7.2).
func initialWindow(packetSize: Int) -> Int { min(10 * packetSize, max(14_720, 2 * packetSize)) }
