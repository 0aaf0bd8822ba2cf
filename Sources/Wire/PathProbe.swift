internal import CMeshProto
internal import CMeshProtobufC

extension Wire {
  /// Asks whether a path carries packets both ways.
  public struct PathProbe: Equatable, Sendable {
    /// Random.
    public var data: UInt64 = 0

    public init() {}
  }
}

extension Wire.PathProbe: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.PathProbe: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__PathProbe>) {
    unsafe pnet__mesh__v1__path_probe__init(message)
  }

  init(_ c: Pnet__Mesh__V1__PathProbe) throws(WireError) {
    data = unsafe c.data
  }

  func fill(_ c: inout Pnet__Mesh__V1__PathProbe, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.data = data
  }
}
