internal import CMeshProto
internal import CMeshProtobufC
internal import MeshPacket

extension Wire {
  /// A whole message, or a piece of one.
  public struct MessageFrame: Equatable, Sendable {
    public var id: UInt64 = 0
    public var offset: UInt64 = 0
    /// Bytes of the whole message; 0: this frame is the whole message.
    public var size: UInt64 = 0
    /// 0 control, 1 message, 2 bulk.
    public var lane: UInt32 = 0
    /// 0: unordered.
    public var sequence: UInt64 = 0
    /// Stands for a service once both ends know; 0: none.
    public var channel: UInt32 = 0
    public var service: String = ""
    /// 0 as it is, 1 zstd without dictionary, from 2 on zstd with the dictionary of that index.
    public var compression: UInt32 = 0
    public var data: [UInt8] = []

    public init() {}
  }
}

extension Wire.MessageFrame: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.MessageFrame: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__MessageFrame>) {
    unsafe pnet__mesh__v1__message_frame__init(message)
  }

  init(_ c: Pnet__Mesh__V1__MessageFrame) throws(WireError) {
    id = unsafe c.id
    offset = unsafe c.offset
    size = unsafe c.size
    lane = unsafe c.lane
    sequence = unsafe c.sequence
    channel = unsafe c.channel
    service = unsafe try text(c.service, max: PacketLimits.serviceLength, field: 7)
    compression = unsafe c.compression
    data = unsafe read(c.data)
    guard offset <= PacketLimits.maxOffset - UInt64(data.count) else { throw .invalid(field: 2) }
    guard size == 0 ? offset == 0 : offset + UInt64(data.count) <= size else { throw .invalid(field: 3) }
  }

  func fill(_ c: inout Pnet__Mesh__V1__MessageFrame, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.id = id
    unsafe c.offset = offset
    unsafe c.size = size
    unsafe c.lane = lane
    unsafe c.sequence = sequence
    unsafe c.channel = channel
    unsafe c.service = try arena.bytes(service.utf8)
    unsafe c.compression = compression
    unsafe c.data = try arena.bytes(data)
  }
}
