internal import CMeshProto
internal import CMeshProtobufC

extension Wire {
  /// A zstd dictionary.
  public struct Dictionary: Equatable, Sendable {
    /// zstd's.
    public var id: UInt32 = 0
    /// BLAKE2b-256 of all its bytes: 32 bytes.
    public var hash: [UInt8] = []
    /// Bytes.
    public var size: UInt64 = 0

    public init() {}
  }
}

extension Wire.Dictionary: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.Dictionary: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__Dictionary>) {
    unsafe pnet__mesh__v1__dictionary__init(message)
  }

  init(_ c: Pnet__Mesh__V1__Dictionary) throws(WireError) {
    id = unsafe c.id
    hash = unsafe try read(c.hash, lengths: 32...32, field: 2)
    size = unsafe c.size
  }

  func fill(_ c: inout Pnet__Mesh__V1__Dictionary, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.id = id
    unsafe c.hash = try arena.bytes(hash)
    unsafe c.size = size
  }
}
