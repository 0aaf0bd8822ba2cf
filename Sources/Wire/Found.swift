internal import CMeshProto
internal import CMeshProtobufC

extension Wire {
  /// Answers a `Discover` or an `Extend`, back the way that it came.
  public struct Found: Equatable, Sendable {
    /// Identity of what it answers: 16 bytes.
    public var discover: [UInt8] = []
    /// Names the route on this link, both ways; never 0.
    public var label: UInt32 = 0
    /// Links so far.
    public var hops: UInt32 = 0
    /// Bytes of the greatest packet that the route carries.
    public var maxPacket: UInt32 = 0
    /// A WireGuard handshake response or cookie reply: 92 or 64 bytes.
    public var response: [UInt8] = []
    /// A `CandidateExchange` that only the seeker can open; at most 512 bytes.
    public var sealed: [UInt8] = []

    public init() {}
  }
}

extension Wire.Found: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.Found: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__Found>) {
    unsafe pnet__mesh__v1__found__init(message)
  }

  init(_ c: Pnet__Mesh__V1__Found) throws(WireError) {
    discover = unsafe try read(c.discover, lengths: 16...16, field: 1)
    label = unsafe c.label
    hops = unsafe c.hops
    maxPacket = unsafe c.max_packet
    response = unsafe try read(c.response, lengths: 64...92, field: 5)
    sealed = unsafe try read(c.sealed, lengths: 0...512, field: 6)
    guard label != 0 else { throw .invalid(field: 2) }
    guard [64, 92].contains(response.count) else { throw .invalid(field: 5) }
  }

  func fill(_ c: inout Pnet__Mesh__V1__Found, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.discover = try arena.bytes(discover)
    unsafe c.label = label
    unsafe c.hops = hops
    unsafe c.max_packet = maxPacket
    unsafe c.response = try arena.bytes(response)
    unsafe c.sealed = try arena.bytes(sealed)
  }
}
