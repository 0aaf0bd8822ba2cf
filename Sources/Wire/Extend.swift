internal import CMeshProto
internal import CMeshProtobufC

extension Wire {
  /// Asks a relay for one more hop of a circuit.
  public struct Extend: Equatable, Sendable {
    /// Random: 16 bytes.
    public var request: [UInt8] = []
    /// Named by the `RouteError` when it fails.
    public var label: UInt32 = 0
    /// The public key: 32 bytes.
    public var target: [UInt8] = []
    /// A WireGuard handshake initiation: 148 bytes.
    public var initiation: [UInt8] = []

    public init() {}
  }
}

extension Wire.Extend: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.Extend: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__Extend>) {
    unsafe pnet__mesh__v1__extend__init(message)
  }

  init(_ c: Pnet__Mesh__V1__Extend) throws(WireError) {
    request = unsafe try read(c.request, lengths: 16...16, field: 1)
    label = unsafe c.label
    target = unsafe try read(c.target, lengths: 32...32, field: 3)
    initiation = unsafe try read(c.initiation, lengths: 148...148, field: 4)
  }

  func fill(_ c: inout Pnet__Mesh__V1__Extend, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.request = try arena.bytes(request)
    unsafe c.label = label
    unsafe c.target = try arena.bytes(target)
    unsafe c.initiation = try arena.bytes(initiation)
  }
}
