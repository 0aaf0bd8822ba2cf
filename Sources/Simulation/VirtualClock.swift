public import MeshPrimitives

/// A clock that stands still until it is moved. It never goes back.
public struct VirtualClock: Sendable {
  public private(set) var now: Instant

  /// The origin of a simulation is a day after the origin of its instants, so that "an hour ago" exists.
  public init(now: Instant = Instant(nanoseconds: 86_400_000_000_000)) { self.now = now }

  /// Moves to `instant`; stays when that has passed.
  public mutating func advance(to instant: Instant) { now = max(now, instant) }

  /// Moves on by `duration`; stays when it is negative.
  public mutating func advance(by duration: Duration) { advance(to: now + duration) }
}
