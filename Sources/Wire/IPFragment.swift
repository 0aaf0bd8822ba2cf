internal import CMeshProto
internal import CMeshProtobufC

extension Wire {
  /// Half of an IP packet that the path is too narrow for.
  public struct IPFragment: Equatable, Sendable {
    public var id: UInt32 = 0
    /// Bytes.
    public var offset: UInt32 = 0
    /// Bytes of the whole IP packet.
    public var size: UInt32 = 0
    /// Never empty.
    public var data: [UInt8] = []

    public init() {}
  }
}

extension Wire.IPFragment: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.IPFragment: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__IPFragment>) {
    unsafe pnet__mesh__v1__ipfragment__init(message)
  }

  init(_ c: Pnet__Mesh__V1__IPFragment) throws(WireError) {
    id = unsafe c.id
    offset = unsafe c.offset
    size = unsafe c.size
    data = unsafe read(c.data)
    guard !data.isEmpty, UInt64(offset) + UInt64(data.count) <= UInt64(size), size <= 65_535 else {
      throw .invalid(field: 3)
    }
  }

  func fill(_ c: inout Pnet__Mesh__V1__IPFragment, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.id = id
    unsafe c.offset = offset
    unsafe c.size = size
    unsafe c.data = try arena.bytes(data)
  }
}
