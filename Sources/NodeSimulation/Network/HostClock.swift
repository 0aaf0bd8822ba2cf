internal import MeshCrypto
internal import MeshPrimitives

/// The clocks of one host: a monotonic one that runs a little fast or slow, and a wall clock that may be wrong.
struct HostClock {
  /// What the monotonic clock showed at `since`.
  private var base: Int64
  private var since: Int64
  /// What it showed when it was made: where the wall clock began.
  private let origin: Int64
  /// Parts in a million that the clock is fast; negative: slow.
  private(set) var skew: Int64
  /// Nanoseconds that the wall clock is ahead.
  var wallOffset: Int64

  /// - Parameter base: what the clock shows at `since`; hosts start at different times.
  init(base: Int64, since: Instant, skew: Int64 = 0, wallOffset: Int64 = 0) {
    self.base = base
    origin = base
    self.since = since.nanoseconds
    self.skew = max(-500_000, min(skew, 500_000))
    self.wallOffset = wallOffset
  }

  /// What the host reads at the true time `now`.
  func local(_ now: Instant) -> Instant {
    let elapsed = now.nanoseconds - since
    return Instant(nanoseconds: base + elapsed + Self.scale(elapsed, skew, 1_000_000))
  }

  /// The first true time at which the host reads `local` or later.
  func real(_ local: Instant) -> Instant {
    guard local != .distantFuture else { return .distantFuture }
    let elapsed = local.nanoseconds - base
    guard elapsed > 0 else { return Instant(nanoseconds: since) }
    var real = Instant(nanoseconds: since + elapsed - Self.scale(elapsed, skew, 1_000_000 + skew))
    while self.local(real) < local { real = real.advanced(nanoseconds: 1) }
    return real
  }

  /// Runs at another speed from `now` on.
  mutating func setSkew(_ skew: Int64, now: Instant) {
    base = local(now).nanoseconds
    since = now.nanoseconds
    self.skew = max(-500_000, min(skew, 500_000))
  }

  /// The time of day that the host believes in.
  func wall(_ now: Instant) -> TAI64N {
    let time = 1_700_000_000_000_000_000 + local(now).nanoseconds - origin + wallOffset
    let seconds = time >= 0 ? time / 1_000_000_000 : -((-time + 999_999_999) / 1_000_000_000)
    return TAI64N(secondsSince1970: seconds, nanoseconds: UInt32(time - seconds * 1_000_000_000))
  }

  /// `value * numerator / denominator`, without overflow in between.
  private static func scale(_ value: Int64, _ numerator: Int64, _ denominator: Int64) -> Int64 {
    value / denominator * numerator + value % denominator * numerator / denominator
  }
}
