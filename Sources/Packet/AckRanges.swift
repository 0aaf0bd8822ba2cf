/// The acknowledged packet numbers of an ``AckFrame``, newest range first.
///
///     var ranges = AckRanges(frame, in: message)
///     while let range = try ranges.next() { … }
///
/// Frames that `PacketReader` gave were read through this type once, so for them `next()` does not throw.
public struct AckRanges: ~Escapable {
  private var fields: FieldReader
  private let largest: UInt64
  /// The smallest number of the range read last.
  private var smallest: UInt64 = 0
  private var count = 0

  /// - Parameter message: the bytes that `frame` was read from.
  @_lifetime(copy message)
  public init(_ frame: AckFrame, in message: RawSpan) {
    fields = FieldReader(message, frame.ranges)
    largest = frame.largest
  }

  /// The next older range; `nil` after the last.
  /// - Throws: `.malformed` when there is none at all, when a gap has no range behind it, or when one goes below
  ///   number 1; `.tooLarge` above 256 ranges.
  @_lifetime(self: copy self)
  public mutating func next() throws(PacketError) -> ClosedRange<UInt64>? {
    let start = fields.position
    guard start < fields.end || count == 0 else { return nil }
    guard count < PacketLimits.ackRanges else { throw .tooLarge(offset: start, limit: PacketLimits.ackRanges) }
    guard start < fields.end else { throw .malformed(offset: start) }
    var top = largest
    if count > 0 {
      // `smallest` is at least 1. The gap has one packet more than its varint says, the range begins one below it.
      let gap = try fields.varint()
      guard gap < smallest &- 1, fields.position < fields.end else { throw .malformed(offset: start) }
      top = smallest &- gap &- 2
    }
    let length = try fields.varint()
    guard length < top else { throw .malformed(offset: start) }
    smallest = top &- length
    count &+= 1
    return smallest...top
  }
}
