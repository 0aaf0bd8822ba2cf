/// How a stream is opened.
public struct StreamOptions: Sendable, Equatable {
  /// Both directions use it: the peer takes it over for its own.
  public var lane: Lane
  /// Only the side that opens the stream sends.
  public var isOneWay: Bool
  /// The share of this stream among those of its lane that have something to send, 1 to 16. The peer has its own.
  public var weight: Int

  public init(lane: Lane = .bulk, isOneWay: Bool = false, weight: Int = 1) {
    self.lane = lane
    self.isOneWay = isOneWay
    self.weight = weight
  }
}
