internal import CMeshProto
internal import CMeshProtobufC
internal import MeshPacket

extension Wire {
  /// Asks the `dictionary` service for a dictionary.
  public struct DictionaryRequest: Equatable, Sendable {
    public var service: String = ""
    /// Hash: 32 bytes; empty: the newest.
    public var wanted: [UInt8] = []
    /// Hashes, 32 bytes each, that a diff may start from; at most 8.
    public var held: [[UInt8]] = []

    public init() {}
  }
}

extension Wire.DictionaryRequest: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.DictionaryRequest: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__DictionaryRequest>) {
    unsafe pnet__mesh__v1__dictionary_request__init(message)
  }

  init(_ c: Pnet__Mesh__V1__DictionaryRequest) throws(WireError) {
    service = unsafe try text(c.service, max: PacketLimits.serviceLength, field: 1)
    wanted = unsafe read(c.wanted)
    guard wanted.isEmpty || wanted.count == 32 else { throw .invalid(field: 2) }
    guard unsafe c.n_held <= 8 else { throw .invalid(field: 3) }
    for index in unsafe 0..<c.n_held { held.append(unsafe try read(c.held[index], lengths: 32...32, field: 3)) }
  }

  func fill(_ c: inout Pnet__Mesh__V1__DictionaryRequest, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.service = try arena.bytes(service.utf8)
    unsafe c.wanted = try arena.bytes(wanted)
    unsafe c.n_held = held.count
    unsafe c.held = try arena.list(held)
  }
}
