internal import CMeshProto
internal import CMeshProtobufC
internal import MeshPacket

extension Wire {
  /// The dictionaries that the sender can decompress with, for one service. Best first.
  public struct DictionaryOffer: Equatable, Sendable {
    public var service: String = ""
    /// At most 8.
    public var dictionaries: [Dictionary] = []

    public init() {}
  }
}

extension Wire.DictionaryOffer: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.DictionaryOffer: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__DictionaryOffer>) {
    unsafe pnet__mesh__v1__dictionary_offer__init(message)
  }

  init(_ c: Pnet__Mesh__V1__DictionaryOffer) throws(WireError) {
    service = unsafe try text(c.service, max: PacketLimits.serviceLength, field: 1)
    dictionaries = unsafe try read(c.n_dictionaries, c.dictionaries, max: 8, field: 2)
  }

  func fill(_ c: inout Pnet__Mesh__V1__DictionaryOffer, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.service = try arena.bytes(service.utf8)
    unsafe c.n_dictionaries = dictionaries.count
    unsafe c.dictionaries = try arena.messages(dictionaries)
  }
}
