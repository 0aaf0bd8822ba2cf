internal import CMeshProto
internal import CMeshProtobufC
public import MeshPacket

extension Wire {
  /// Ends the connection.
  public struct Close: Equatable, Sendable {
    public var code: ErrorCode = .noError
    /// For people; at most 255 bytes of UTF-8.
    public var reason: String = ""
    /// With ``ErrorCode/unsupported``: the field of `Packet` that is unknown.
    public var field: UInt32 = 0
    /// Of the sender.
    public var incarnation: UInt64 = 0

    public init() {}
  }
}

extension Wire.Close: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.Close: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__Close>) {
    unsafe pnet__mesh__v1__close__init(message)
  }

  init(_ c: Pnet__Mesh__V1__Close) throws(WireError) {
    code = unsafe ErrorCode(rawValue: c.code)
    reason = unsafe try text(c.reason, max: 255, field: 2)
    field = unsafe c.field
    incarnation = unsafe c.incarnation
  }

  func fill(_ c: inout Pnet__Mesh__V1__Close, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.code = code.rawValue
    unsafe c.reason = try arena.bytes(reason.utf8)
    unsafe c.field = field
    unsafe c.incarnation = incarnation
  }
}
