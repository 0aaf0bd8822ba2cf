internal import CMeshProto
internal import CMeshProtobufC

extension Wire {
  /// What the receiver of a `Hello` may do before it is told more. Unknown fields are skipped.
  public struct Limits: Equatable, Sendable {
    /// Bytes on the whole connection.
    public var maxData: UInt64 = 0
    /// Bytes on each stream.
    public var maxStreamData: UInt64 = 0
    public var maxBidirectionalStreams: UInt64 = 0
    public var maxUnidirectionalStreams: UInt64 = 0
    /// Bytes in one message.
    public var maxMessage: UInt64 = 0
    /// Bytes in one datagram.
    public var maxDatagram: UInt64 = 0
    /// Bytes of UDP payload that the sender can receive.
    public var maxPacket: UInt64 = 0
    /// Microseconds that the sender waits at most before it acknowledges.
    public var maxAckDelay: UInt64 = 0
    /// Milliseconds; 0: none.
    public var idleTimeout: UInt64 = 0

    public init() {}
  }
}

extension Wire.Limits: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.Limits: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__Limits>) {
    unsafe pnet__mesh__v1__limits__init(message)
  }

  static var isLenient: Bool { true }

  init(_ c: Pnet__Mesh__V1__Limits) throws(WireError) {
    maxData = unsafe c.max_data
    maxStreamData = unsafe c.max_stream_data
    maxBidirectionalStreams = unsafe c.max_bidirectional_streams
    maxUnidirectionalStreams = unsafe c.max_unidirectional_streams
    maxMessage = unsafe c.max_message
    maxDatagram = unsafe c.max_datagram
    maxPacket = unsafe c.max_packet
    maxAckDelay = unsafe c.max_ack_delay
    idleTimeout = unsafe c.idle_timeout
  }

  func fill(_ c: inout Pnet__Mesh__V1__Limits, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.max_data = maxData
    unsafe c.max_stream_data = maxStreamData
    unsafe c.max_bidirectional_streams = maxBidirectionalStreams
    unsafe c.max_unidirectional_streams = maxUnidirectionalStreams
    unsafe c.max_message = maxMessage
    unsafe c.max_datagram = maxDatagram
    unsafe c.max_packet = maxPacket
    unsafe c.max_ack_delay = maxAckDelay
    unsafe c.idle_timeout = idleTimeout
  }
}
