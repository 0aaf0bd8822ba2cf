public import MeshPrimitives

/// A link has another rate from a time on.
public struct RateChange: Sendable, Equatable {
  public var at: Instant
  /// Bits per second, at least 1.
  public var rate: Int64

  public init(at: Instant, rate: Int64) {
    self.at = at
    self.rate = rate
  }
}
