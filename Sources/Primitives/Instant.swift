/// A point in time on a monotonic clock: nanoseconds since an origin that the caller chooses.
///
/// Layers never read a clock. The runtime makes instants from `CLOCK_BOOTTIME`, the simulator from its virtual clock.
/// The range is ±292 years around the origin; arithmetic saturates, so a hostile or absurd duration cannot trap.
@frozen
public struct Instant: Comparable, Hashable, Sendable {
  /// Nanoseconds since the origin of the clock.
  public var nanoseconds: Int64

  @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  /// The last instant that can be expressed: a deadline that never comes.
  public static let distantFuture = Instant(nanoseconds: .max)

  @inlinable public static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }

  /// The instant `nanoseconds` later (earlier when negative). Cheap: for code that runs per packet.
  @inlinable public func advanced(nanoseconds delta: Int64) -> Instant {
    let (sum, overflow) = nanoseconds.addingReportingOverflow(delta)
    return Instant(nanoseconds: overflow ? (delta < 0 ? .min : .max) : sum)
  }

  /// Nanoseconds from `earlier` to this instant; negative when `earlier` is later. Cheap: for code that runs per packet.
  @inlinable public func nanoseconds(since earlier: Instant) -> Int64 {
    let (difference, overflow) = nanoseconds.subtractingReportingOverflow(earlier.nanoseconds)
    return overflow ? (nanoseconds < 0 ? .min : .max) : difference
  }

  public static func + (instant: Instant, duration: Duration) -> Instant {
    instant.advanced(nanoseconds: duration.wholeNanoseconds)
  }

  public static func - (instant: Instant, duration: Duration) -> Instant {
    let delta = duration.wholeNanoseconds
    return delta == .min ? .distantFuture : instant.advanced(nanoseconds: -delta)
  }

  public static func - (later: Instant, earlier: Instant) -> Duration {
    .nanoseconds(later.nanoseconds(since: earlier))
  }
}

extension Duration {
  /// This duration in whole nanoseconds, saturated to the range of `Int64`.
  public var wholeNanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    guard !overflow else { return seconds < 0 ? .min : .max }
    let (sum, overflow2) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
    return overflow2 ? (seconds < 0 ? .min : .max) : sum
  }
}

/// The earlier of two deadlines, where `nil` means "none".
@inlinable public func earliest(_ left: Instant?, _ right: Instant?) -> Instant? {
  guard let left else { return right }
  guard let right else { return left }
  return min(left, right)
}
