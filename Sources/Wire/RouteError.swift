internal import CMeshProto
internal import CMeshProtobufC

extension Wire {
  /// A label leads nowhere any more.
  public struct RouteError: Equatable, Sendable {
    public var label: UInt32 = 0

    public init() {}
  }
}

extension Wire.RouteError: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.RouteError: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__RouteError>) {
    unsafe pnet__mesh__v1__route_error__init(message)
  }

  init(_ c: Pnet__Mesh__V1__RouteError) throws(WireError) {
    label = unsafe c.label
  }

  func fill(_ c: inout Pnet__Mesh__V1__RouteError, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.label = label
  }
}
