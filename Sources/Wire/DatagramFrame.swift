internal import CMeshProto
internal import CMeshProtobufC
internal import MeshPacket

extension Wire {
  /// Bytes that are delivered once or not at all.
  public struct DatagramFrame: Equatable, Sendable {
    /// Stands for a service once both ends know; 0: none.
    public var channel: UInt32 = 0
    public var service: String = ""
    /// 0 as it is, 1 zstd without dictionary, from 2 on zstd with the dictionary of that index.
    public var compression: UInt32 = 0
    public var data: [UInt8] = []

    public init() {}
  }
}

extension Wire.DatagramFrame: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.DatagramFrame: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__DatagramFrame>) {
    unsafe pnet__mesh__v1__datagram_frame__init(message)
  }

  init(_ c: Pnet__Mesh__V1__DatagramFrame) throws(WireError) {
    channel = unsafe c.channel
    service = unsafe try text(c.service, max: PacketLimits.serviceLength, field: 2)
    compression = unsafe c.compression
    data = unsafe read(c.data)
  }

  func fill(_ c: inout Pnet__Mesh__V1__DatagramFrame, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.channel = channel
    unsafe c.service = try arena.bytes(service.utf8)
    unsafe c.compression = compression
    unsafe c.data = try arena.bytes(data)
  }
}
