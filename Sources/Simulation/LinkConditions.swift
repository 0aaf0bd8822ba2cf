/// What a path does to packets in one direction. The default does nothing to them.
public struct LinkConditions: Sendable, Equatable {
  /// How long each packet takes.
  public var delay = Duration.zero
  /// Up to so much is added, evenly distributed.
  public var jitter = Duration.zero
  /// Whether jitter lets packets overtake each other.
  public var jitterReorders = false
  /// The part of packets that are lost, 0 to 1.
  public var loss = 0.0
  /// The part of packets that arrive twice.
  public var duplication = 0.0
  /// The part of packets that are held back by ``reorderDelay``, so that later ones overtake them.
  public var reordering = 0.0
  public var reorderDelay = Duration.milliseconds(5)
  /// Bits per second; `nil`: no limit.
  public var rate: Int64?
  /// Bytes that wait for the rate at most; a packet that does not fit is dropped.
  public var queue = 1 << 20
  /// Bytes in the queue from which on packets of ECN-capable transports are marked CE; `nil`: never.
  public var markingThreshold: Int?
  /// Bytes of the longest packet that passes.
  public var mtu = 65_535

  public init() {}
}
