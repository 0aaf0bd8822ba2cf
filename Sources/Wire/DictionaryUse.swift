internal import CMeshProto
internal import CMeshProtobufC

extension Wire {
  /// From now on the sender means this dictionary by this index.
  public struct DictionaryUse: Equatable, Sendable {
    /// From 2 on.
    public var index: UInt32 = 0
    /// Of one that the receiver offered: 32 bytes.
    public var hash: [UInt8] = []

    public init() {}
  }
}

extension Wire.DictionaryUse: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.DictionaryUse: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__DictionaryUse>) {
    unsafe pnet__mesh__v1__dictionary_use__init(message)
  }

  init(_ c: Pnet__Mesh__V1__DictionaryUse) throws(WireError) {
    index = unsafe c.index
    hash = unsafe try read(c.hash, lengths: 32...32, field: 2)
    guard index >= 2 else { throw .invalid(field: 1) }
  }

  func fill(_ c: inout Pnet__Mesh__V1__DictionaryUse, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.index = index
    unsafe c.hash = try arena.bytes(hash)
  }
}
