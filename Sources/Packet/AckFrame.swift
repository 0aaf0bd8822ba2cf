/// Which packets have come. Its ranges were checked when it was read: see ``AckRanges``.
@frozen
public struct AckFrame: Equatable, Sendable {
  /// The greatest number acknowledged; from 1 on.
  public var largest: UInt64 = 0
  /// Microseconds between its arrival and the sending of this.
  public var delayMicroseconds: UInt64 = 0
  /// The packed varints that ``AckRanges`` reads.
  public var ranges: Range<Int> = 0..<0
  /// Packets that came so far with each ECN codepoint.
  public var ect0: UInt64 = 0
  public var ect1: UInt64 = 0
  public var ce: UInt64 = 0

  @inlinable public init() {}
}
