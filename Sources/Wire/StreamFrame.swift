internal import CMeshProto
internal import CMeshProtobufC
internal import MeshPacket

extension Wire {
  /// A piece of a stream.
  public struct StreamFrame: Equatable, Sendable {
    public var id: UInt64 = 0
    public var offset: UInt64 = 0
    public var fin = false
    /// With the frame that opens the stream.
    public var service: String = ""
    /// 0 control, 1 message, 2 bulk.
    public var lane: UInt32 = 0
    /// 0 as it is, 1 zstd without dictionary, from 2 on zstd with the dictionary of that index.
    public var compression: UInt32 = 0
    public var data: [UInt8] = []

    public init() {}
  }
}

extension Wire.StreamFrame: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.StreamFrame: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__StreamFrame>) {
    unsafe pnet__mesh__v1__stream_frame__init(message)
  }

  init(_ c: Pnet__Mesh__V1__StreamFrame) throws(WireError) {
    id = unsafe c.id
    offset = unsafe c.offset
    fin = unsafe c.fin != 0
    service = unsafe try text(c.service, max: PacketLimits.serviceLength, field: 4)
    lane = unsafe c.lane
    compression = unsafe c.compression
    data = unsafe read(c.data)
    guard offset <= PacketLimits.maxOffset - UInt64(data.count) else { throw .invalid(field: 2) }
  }

  func fill(_ c: inout Pnet__Mesh__V1__StreamFrame, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.id = id
    unsafe c.offset = offset
    unsafe c.fin = fin ? 1 : 0
    unsafe c.service = try arena.bytes(service.utf8)
    unsafe c.lane = lane
    unsafe c.compression = compression
    unsafe c.data = try arena.bytes(data)
  }
}
