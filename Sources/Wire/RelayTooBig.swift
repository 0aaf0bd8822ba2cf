internal import CMeshProto
internal import CMeshProtobufC

extension Wire {
  /// A packet under this label did not fit into the next link.
  public struct RelayTooBig: Equatable, Sendable {
    public var label: UInt32 = 0
    /// Bytes of a relayed packet that do fit.
    public var max: UInt32 = 0

    public init() {}
  }
}

extension Wire.RelayTooBig: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.RelayTooBig: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__RelayTooBig>) {
    unsafe pnet__mesh__v1__relay_too_big__init(message)
  }

  init(_ c: Pnet__Mesh__V1__RelayTooBig) throws(WireError) {
    label = unsafe c.label
    max = unsafe c.max
  }

  func fill(_ c: inout Pnet__Mesh__V1__RelayTooBig, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.label = label
    unsafe c.max = max
  }
}
