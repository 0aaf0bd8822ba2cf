internal import CMeshProto
internal import CMeshProtobufC

extension Wire {
  /// Looks for a node by its key, flooded to neighbours.
  public struct Discover: Equatable, Sendable {
    /// Each hop writes one less.
    public var hopsLeft: UInt32 = 0
    /// The hops that the seeker allowed: 1, 3 or 8.
    public var ring: UInt32 = 0
    /// The locator: 10 bytes.
    public var target: [UInt8] = []
    /// A WireGuard handshake initiation: 148 bytes.
    public var initiation: [UInt8] = []
    /// A `CandidateExchange` that only the target can open; at most 512 bytes.
    public var sealed: [UInt8] = []

    public init() {}
  }
}

extension Wire.Discover: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.Discover: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__Discover>) {
    unsafe pnet__mesh__v1__discover__init(message)
  }

  init(_ c: Pnet__Mesh__V1__Discover) throws(WireError) {
    hopsLeft = unsafe c.hops_left
    ring = unsafe c.ring
    target = unsafe try read(c.target, lengths: 10...10, field: 3)
    initiation = unsafe try read(c.initiation, lengths: 148...148, field: 4)
    sealed = unsafe try read(c.sealed, lengths: 0...512, field: 5)
  }

  func fill(_ c: inout Pnet__Mesh__V1__Discover, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.hops_left = hopsLeft
    unsafe c.ring = ring
    unsafe c.target = try arena.bytes(target)
    unsafe c.initiation = try arena.bytes(initiation)
    unsafe c.sealed = try arena.bytes(sealed)
  }
}
