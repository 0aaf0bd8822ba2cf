/// How far one call to a stream compressor or decompressor came.
public struct StreamProgress: Equatable, Sendable {
  /// Bytes of the input that were taken. The rest is to be given again.
  public var consumed: Int
  /// Bytes that were appended to the output.
  public var produced: Int
  /// For a compressor: all of the input is in the output, flushed or finished as it was asked for. For a decompressor: the
  /// frame has ended. Otherwise call again, with room in the output.
  public var isComplete: Bool

  /// Nothing yet.
  public init(consumed: Int = 0, produced: Int = 0, isComplete: Bool = false) {
    self.consumed = consumed
    self.produced = produced
    self.isComplete = isComplete
  }
}
