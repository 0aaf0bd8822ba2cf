internal import CMeshLinux
public import MeshPrimitives

/// The clock behind every `now` of a running node: `CLOCK_BOOTTIME`, which goes on while the machine sleeps, so that a
/// session does not look young after a night with the lid closed.
public enum MonotonicClock {
  public static var now: Instant { Instant(nanoseconds: cmesh_boottime()) }
}

/// The time of day (`CLOCK_REALTIME`), which only handshakes need (TAI64N).
public struct WallTime: Equatable, Sendable {
  /// Seconds since 1970-01-01 00:00 UTC, without leap seconds.
  public let seconds: Int64
  /// 0 to 999,999,999.
  public let nanoseconds: UInt32

  public init(seconds: Int64, nanoseconds: UInt32) {
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }

  public static var now: WallTime {
    var seconds: Int64 = 0
    var nanoseconds: UInt32 = 0
    unsafe cmesh_realtime(&seconds, &nanoseconds)
    return WallTime(seconds: seconds, nanoseconds: nanoseconds)
  }
}
