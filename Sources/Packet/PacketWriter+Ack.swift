internal import MeshPrimitives

extension PacketWriter {
  /// Appends an `Ack` of as many of `ranges` as fit, newest first, and returns how many that are; 0 when not even one
  /// fits, or there is none, and then nothing is written.
  /// - Parameters:
  ///   - ranges: packet numbers from 1 on, descending, each at least two below the one before.
  ///   - delayMicroseconds: between the arrival of the greatest number and now.
  ///   - ect0: packets that came so far with each ECN codepoint.
  ///   - maxRanges: write no more than this many; never more than 256.
  @inlinable @discardableResult
  public static func writeAck(
    _ ranges: some Collection<ClosedRange<UInt64>>, delayMicroseconds: UInt64, ect0: UInt64 = 0, ect1: UInt64 = 0,
    ce: UInt64 = 0, maxRanges: Int = 256, to output: inout OutputRawSpan
  ) -> Int {
    guard let newest = ranges.first else { return 0 }
    let rest = length(newest.upperBound) &+ length(delayMicroseconds) &+ length(ect0) &+ length(ect1) &+ length(ce)
    // Tag and length of the frame and of its ranges take at most 2 + 3 bytes more: their varints are below 16 KiB.
    var budget = min(output.freeCapacity, 8192) &- rest &- 6
    var packed = 0
    var count = 0
    var smallest: UInt64 = 0
    for range in ranges {
      if count == min(maxRanges, 256) { break }
      var size = Varint.length(range.upperBound &- range.lowerBound)
      if count > 0 {
        precondition(range.upperBound < smallest &- 1, "ranges must descend with at least one number between them")
        size &+= Varint.length(smallest &- range.upperBound &- 2)
      }
      precondition(range.lowerBound > 0, "packet numbers start at 1")
      budget &-= size
      if budget < 0 { break }
      packed &+= size
      smallest = range.lowerBound
      count &+= 1
    }
    guard count > 0, begin(2, rest &+ delimitedLength(packed), to: &output) else { return 0 }
    append(1, newest.upperBound, to: &output)
    append(2, delayMicroseconds, to: &output)
    appendHeader(3, packed, to: &output)
    var written = 0
    for range in ranges {
      if written == count { break }
      if written > 0 { Varint.write(smallest &- range.upperBound &- 2, to: &output) }
      Varint.write(range.upperBound &- range.lowerBound, to: &output)
      smallest = range.lowerBound
      written &+= 1
    }
    append(4, ect0, to: &output)
    append(5, ect1, to: &output)
    append(6, ce, to: &output)
    return count
  }
}
