internal import CMeshProto
internal import CMeshProtobufC
internal import MeshPacket
internal import MeshPrimitives

extension Wire {
  /// Which packets have come.
  public struct Ack: Equatable, Sendable {
    /// From 1 on.
    public var largest: UInt64 = 0
    /// Microseconds.
    public var delay: UInt64 = 0
    /// The newest range's length less 1, then gap less 1 and length less 1 of each older one.
    public var ranges: [UInt64] = []
    /// Packets that came so far with each ECN codepoint.
    public var ect0: UInt64 = 0
    public var ect1: UInt64 = 0
    public var ce: UInt64 = 0

    public init() {}
  }
}

extension Wire.Ack: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.Ack: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__Ack>) {
    unsafe pnet__mesh__v1__ack__init(message)
  }

  init(_ c: Pnet__Mesh__V1__Ack) throws(WireError) {
    largest = unsafe c.largest
    delay = unsafe c.delay
    ranges = unsafe try read(c.n_ranges, c.ranges, max: 2 * PacketLimits.ackRanges - 1, field: 3)
    ect0 = unsafe c.ect0
    ect1 = unsafe c.ect1
    ce = unsafe c.ce
    try checkRanges()
  }

  func fill(_ c: inout Pnet__Mesh__V1__Ack, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.largest = largest
    unsafe c.delay = delay
    unsafe c.n_ranges = ranges.count
    unsafe c.ranges = try arena.numbers(ranges)
    unsafe c.ect0 = ect0
    unsafe c.ect1 = ect1
    unsafe c.ce = ce
  }
}

extension Wire.Ack {
  /// The acknowledged numbers, newest range first; `nil` unless the ranges stay from `largest` down to 1.
  public var acknowledged: [ClosedRange<UInt64>]? {
    guard ranges.count % 2 == 1 else { return nil }
    var result: [ClosedRange<UInt64>] = []
    var top = largest
    for index in stride(from: 0, to: ranges.count, by: 2) {
      if index > 0 {
        let bottom = result[result.count - 1].lowerBound
        guard ranges[index - 1] < bottom - 1 else { return nil }
        top = bottom - ranges[index - 1] - 2
      }
      guard ranges[index] < top else { return nil }
      result.append(top - ranges[index]...top)
    }
    return result
  }

  private func checkRanges() throws(WireError) {
    guard acknowledged != nil else { throw .invalid(field: 3) }
  }
}
