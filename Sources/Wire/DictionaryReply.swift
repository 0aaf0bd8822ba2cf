internal import CMeshProto
internal import CMeshProtobufC
public import MeshPacket

extension Wire {
  /// Answers a `DictionaryRequest`; `length` bytes follow it on the stream.
  public struct DictionaryReply: Equatable, Sendable {
    public var dictionary: Dictionary?
    /// Hash of the dictionary that the bytes are a diff against: 32 bytes; empty: none.
    public var reference: [UInt8] = []
    /// 0 as it is, 1 a zstd frame.
    public var encoding: UInt32 = 0
    /// Bytes that follow.
    public var length: UInt64 = 0
    /// If not ``ErrorCode/noError``, all else is empty.
    public var refusal: ErrorCode = .noError

    public init() {}
  }
}

extension Wire.DictionaryReply: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.DictionaryReply: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__DictionaryReply>) {
    unsafe pnet__mesh__v1__dictionary_reply__init(message)
  }

  init(_ c: Pnet__Mesh__V1__DictionaryReply) throws(WireError) {
    dictionary = unsafe try read(c.dictionary)
    reference = unsafe read(c.reference)
    encoding = unsafe c.encoding
    length = unsafe c.length
    refusal = unsafe ErrorCode(rawValue: c.refusal)
    guard reference.isEmpty || reference.count == 32 else { throw .invalid(field: 2) }
  }

  func fill(_ c: inout Pnet__Mesh__V1__DictionaryReply, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.dictionary = try arena.message(dictionary)
    unsafe c.reference = try arena.bytes(reference)
    unsafe c.encoding = encoding
    unsafe c.length = length
    unsafe c.refusal = refusal.rawValue
  }
}
