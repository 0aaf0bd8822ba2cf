internal import MeshPrimitives

/// Reads a `pnet.mesh.v1.Packet` field by field, without allocation.
///
/// It reads the canonical form only: fields in ascending order, shortest varints, packed repeats, no singular field
/// twice. Anything else that proto3 allows throws `.notCanonical`, and the caller lets MeshWire read the whole packet.
/// So that no half of a packet is acted upon, a packet is checked first and then read:
///
///     let summary = try PacketReader.validate(message)   // throws for every packet that `next` would throw for
///     var reader = PacketReader(message)
///     while let frame = try reader.next() {
///       switch frame {
///       case .stream(let stream): receive(message.extracting(stream.data), …)
///       …
///     }
///
/// What it leaves to its caller: whether a frame is allowed now (limits, states, roles), and the messages of
/// ``Frame/other(field:bytes:)``. Fields from 64 on are hints and skipped; padding is one.
public struct PacketReader: ~Escapable {
  private var fields: FieldReader
  private var count = 0

  /// - Parameter message: a whole `Packet`: the body of a payload of type ``PayloadKind/packetType``.
  @_lifetime(copy message)
  public init(_ message: RawSpan) { fields = FieldReader(message, 0..<message.byteCount) }

  /// The next frame; `nil` at the end of the message.
  @_lifetime(self: copy self)
  @inlinable public mutating func next() throws(PacketError) -> Frame? {
    var frame = Frame.ping
    return try next(into: &frame) ? frame : nil
  }

  /// Overwrites `frame` with the next one; `false` at the end of the message. Spares a copy of the frame, which shows in
  /// loops over millions of packets.
  @_lifetime(self: copy self)
  public mutating func next(into frame: inout Frame) throws(PacketError) -> Bool {
    do { return try readNext(into: &frame) } catch { throw Disorder.overrules(error, in: fields.bytes) }
  }

  @_lifetime(self: copy self)
  @inline(__always) private mutating func readNext(into frame: inout Frame) throws(PacketError) -> Bool {
    while true {
      let tag = try fields.nextTag(repeated: FieldNumber.repeated)
      if tag == 0 { return false }
      count &+= 1
      guard count <= PacketLimits.fields else {
        throw .tooLarge(offset: fields.position, limit: PacketLimits.fields)
      }
      // The frequent ones first, by comparisons: they cost less than the jump of a table.
      if tag == 3 << 3 | 2 { return try readStream(into: &frame) }
      if tag == 1 << 3 | 0 {
        let start = fields.position
        let number = try fields.varint()
        guard number <= PacketLimits.maxNumber else { throw .malformed(offset: start) }
        if number == 0 { continue }
        frame = .number(number)
        return true
      }
      if tag == 2 << 3 | 2 { return try readAck(into: &frame) }
      switch tag {
      case 4 << 3 | 2: return try readMessage(into: &frame)
      case 5 << 3 | 2: return try readDatagram(into: &frame)
      case 6 << 3 | 0:
        let limit = try fields.varint()
        if limit != 0 {
          frame = .maxData(limit)
          return true
        }
      case 10 << 3 | 2: return try readProbe(into: &frame)
      case 11 << 3 | 2: return try readReply(into: &frame)
      case 12 << 3 | 2: return try readRelay(into: &frame)
      case 15 << 3 | 0:
        if try fields.bool() {
          frame = .ping
          return true
        }
      case 17 << 3 | 0:
        let limit = try fields.varint()
        if limit != 0 {
          frame = .dataBlocked(limit)
          return true
        }
      case 25 << 3 | 2: return try readFragment(into: &frame)
      case 7 << 3 | 2, 8 << 3 | 2, 9 << 3 | 2, 16 << 3 | 2, 18 << 3 | 2, 19 << 3 | 2:
        return try readNumbers(tag >> 3, into: &frame)
      case 30 << 3 | 2: return try readRefusal(into: &frame)
      default: if tag >> 3 < 64 { return try readOther(tag, into: &frame) } else { try skipHint(tag) }
      }
    }
  }

  /// A field below 64 that is left to MeshWire, or unknown.
  @_lifetime(self: copy self)
  private mutating func readOther(_ tag: UInt32, into frame: inout Frame) throws(PacketError) -> Bool {
    let field = tag >> 3
    // A known field comes here only when it is a message for MeshWire, or its wire type is wrong.
    if FieldNumber.known >> UInt64(field) & 1 != 0 {
      guard FieldNumber.hot >> UInt64(field) & 1 == 0, tag & 7 == 2 else {
        throw .malformed(offset: fields.position)
      }
    }
    frame = .other(field: field, bytes: try fields.skip(tag))
    return true
  }

  @_lifetime(self: copy self)
  private mutating func skipHint(_ tag: UInt32) throws(PacketError) {
    guard tag >> 3 != FieldNumber.padding || tag & 7 == 2 else { throw .malformed(offset: fields.position) }
    _ = try fields.skip(tag)
  }

  // MARK: Frames

  @_lifetime(self: copy self)
  private mutating func readAck(into frame: inout Frame) throws(PacketError) -> Bool {
    var fields = try fields.message()
    let start = fields.position
    var ack = AckFrame()
    ack.ranges = start..<start
    var tag = try fields.nextTag()
    if tag == 1 << 3 | 0 {
      ack.largest = try fields.varint()
      tag = try fields.nextTag()
    }
    if tag == 2 << 3 | 0 {
      ack.delayMicroseconds = try fields.varint()
      tag = try fields.nextTag()
    }
    if tag == 3 << 3 | 2 {
      ack.ranges = try fields.delimited()
      tag = try fields.nextTag()
    }
    if tag == 3 << 3 | 0 { throw .notCanonical(offset: fields.position) }
    if tag == 4 << 3 | 0 {
      ack.ect0 = try fields.varint()
      tag = try fields.nextTag()
    }
    if tag == 5 << 3 | 0 {
      ack.ect1 = try fields.varint()
      tag = try fields.nextTag()
    }
    if tag == 6 << 3 | 0 {
      ack.ce = try fields.varint()
      tag = try fields.nextTag()
    }
    try fields.finish(tag, known: 0b111_1110)
    var ranges = AckRanges(ack, in: fields.bytes)
    while try ranges.next() != nil {}
    frame = .ack(ack)
    return true
  }

  @_lifetime(self: copy self)
  private mutating func readStream(into frame: inout Frame) throws(PacketError) -> Bool {
    var fields = try fields.message()
    let start = fields.position
    var stream = StreamFrame()
    stream.data = unsafe Range(uncheckedBounds: (start, start))
    var tag = try fields.nextTag()
    if tag == 1 << 3 | 0 {
      stream.id = try fields.varint()
      tag = try fields.nextTag()
    }
    if tag == 2 << 3 | 0 {
      stream.offset = try fields.varint()
      tag = try fields.nextTag()
    }
    if tag == 3 << 3 | 0 {
      stream.fin = try fields.bool()
      tag = try fields.nextTag()
    }
    if tag == 4 << 3 | 2 {
      stream.service = try fields.service()
      tag = try fields.nextTag()
    }
    if tag == 5 << 3 | 0 {
      stream.lane = try fields.varint32()
      tag = try fields.nextTag()
    }
    if tag == 6 << 3 | 0 {
      stream.compression = try fields.varint32()
      tag = try fields.nextTag()
    }
    if tag == 15 << 3 | 2 {
      stream.data = try fields.delimited()
      tag = try fields.nextTag()
    }
    try fields.finish(tag, known: 0b1000_0000_0111_1110)
    try checkEnd(offset: stream.offset, length: stream.data.count, at: start)
    frame = .stream(stream)
    return true
  }

  @_lifetime(self: copy self)
  private mutating func readMessage(into frame: inout Frame) throws(PacketError) -> Bool {
    var fields = try fields.message()
    let start = fields.position
    var message = MessageFrame()
    message.data = start..<start
    var tag = try fields.nextTag()
    if tag == 1 << 3 | 0 {
      message.id = try fields.varint()
      tag = try fields.nextTag()
    }
    if tag == 2 << 3 | 0 {
      message.offset = try fields.varint()
      tag = try fields.nextTag()
    }
    if tag == 3 << 3 | 0 {
      message.size = try fields.varint()
      tag = try fields.nextTag()
    }
    if tag == 4 << 3 | 0 {
      message.lane = try fields.varint32()
      tag = try fields.nextTag()
    }
    if tag == 5 << 3 | 0 {
      message.sequence = try fields.varint()
      tag = try fields.nextTag()
    }
    if tag == 6 << 3 | 0 {
      message.channel = try fields.varint32()
      tag = try fields.nextTag()
    }
    if tag == 7 << 3 | 2 {
      message.service = try fields.service()
      tag = try fields.nextTag()
    }
    if tag == 8 << 3 | 0 {
      message.compression = try fields.varint32()
      tag = try fields.nextTag()
    }
    if tag == 15 << 3 | 2 {
      message.data = try fields.delimited()
      tag = try fields.nextTag()
    }
    try fields.finish(tag, known: 0b1000_0001_1111_1110)
    try checkEnd(offset: message.offset, length: message.data.count, at: start)
    let end = message.offset &+ UInt64(message.data.count)
    guard message.size == 0 ? message.offset == 0 : end <= message.size else { throw .malformed(offset: start) }
    frame = .message(message)
    return true
  }

  @_lifetime(self: copy self)
  private mutating func readDatagram(into frame: inout Frame) throws(PacketError) -> Bool {
    var fields = try fields.message()
    var datagram = DatagramFrame()
    datagram.data = fields.position..<fields.position
    var tag = try fields.nextTag()
    if tag == 1 << 3 | 0 {
      datagram.channel = try fields.varint32()
      tag = try fields.nextTag()
    }
    if tag == 2 << 3 | 2 {
      datagram.service = try fields.service()
      tag = try fields.nextTag()
    }
    if tag == 3 << 3 | 0 {
      datagram.compression = try fields.varint32()
      tag = try fields.nextTag()
    }
    if tag == 15 << 3 | 2 {
      datagram.data = try fields.delimited()
      tag = try fields.nextTag()
    }
    try fields.finish(tag, known: 0b1000_0000_0000_1110)
    frame = .datagram(datagram)
    return true
  }

  /// A frame of two or three `uint64`, numbered from 1 on.
  @_lifetime(self: copy self)
  private mutating func readNumbers(_ field: UInt32, into frame: inout Frame) throws(PacketError) -> Bool {
    let isReset = field == FieldNumber.resets
    var fields = try fields.message()
    var (first, second, third): (UInt64, UInt64, UInt64) = (0, 0, 0)
    var tag = try fields.nextTag()
    if tag == 1 << 3 | 0 {
      first = try fields.varint()
      tag = try fields.nextTag()
    }
    if tag == 2 << 3 | 0 {
      second = try fields.varint()
      tag = try fields.nextTag()
    }
    if isReset, tag == 3 << 3 | 0 {
      third = try fields.varint()
      tag = try fields.nextTag()
    }
    try fields.finish(tag, known: isReset ? 0b1110 : 0b0110)
    switch field {
    case FieldNumber.streamMaxData: frame = .streamMaxData(StreamMaxData(id: first, max: second))
    case FieldNumber.resets:
      frame = .resetStream(ResetStream(id: first, code: ErrorCode(rawValue: second), finalSize: third))
    case FieldNumber.stops: frame = .stopSending(StopSending(id: first, code: ErrorCode(rawValue: second)))
    case FieldNumber.maxStreams: frame = .maxStreams(MaxStreams(bidirectional: first, unidirectional: second))
    case FieldNumber.streamDataBlocked: frame = .streamDataBlocked(StreamDataBlocked(id: first, limit: second))
    default:
      frame = .streamsBlocked(StreamsBlocked(bidirectional: first, unidirectional: second))
    }
    return true
  }

  @_lifetime(self: copy self)
  private mutating func readProbe(into frame: inout Frame) throws(PacketError) -> Bool {
    var fields = try fields.message()
    var data: UInt64 = 0
    var tag = try fields.nextTag()
    if tag == 1 << 3 | 1 {
      data = try fields.fixed64()
      tag = try fields.nextTag()
    }
    try fields.finish(tag, known: 0b0010)
    frame = .pathProbe(data)
    return true
  }

  @_lifetime(self: copy self)
  private mutating func readReply(into frame: inout Frame) throws(PacketError) -> Bool {
    var fields = try fields.message()
    var reply = PathReply()
    var tag = try fields.nextTag()
    if tag == 1 << 3 | 1 {
      reply.data = try fields.fixed64()
      tag = try fields.nextTag()
    }
    if tag == 2 << 3 | 2 {
      reply.observed = try Self.readAddress(try fields.message())
      tag = try fields.nextTag()
    }
    try fields.finish(tag, known: 0b0110)
    frame = .pathReply(reply)
    return true
  }

  private static func readAddress(_ source: consuming FieldReader) throws(PacketError) -> SocketAddress {
    var fields = source
    let start = fields.position
    var address: IPAddress?
    var port: UInt32 = 0
    var tag = try fields.nextTag()
    if tag == 1 << 3 | 2 {
      let range = try fields.delimited()
      let bytes = fields.bytes.extracting(range)
      switch range.count {
      case 4:
        let bits = unsafe bytes.unsafeLoadUnaligned(as: UInt32.self)
        address = IPAddress(v4: UInt32(bigEndian: bits))
      case 16:
        let high = unsafe bytes.unsafeLoadUnaligned(as: UInt64.self)
        let low = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 8, as: UInt64.self)
        address = IPAddress(v6High: UInt64(bigEndian: high), low: UInt64(bigEndian: low))
      default: throw .malformed(offset: range.lowerBound)
      }
      tag = try fields.nextTag()
    }
    if tag == 2 << 3 | 0 {
      port = try fields.varint32()
      tag = try fields.nextTag()
    }
    try fields.finish(tag, known: 0b0110)
    guard let address, let port = UInt16(exactly: port) else { throw .malformed(offset: start) }
    return SocketAddress(address, port: port)
  }

  @_lifetime(self: copy self)
  private mutating func readRelay(into frame: inout Frame) throws(PacketError) -> Bool {
    var fields = try fields.message()
    let start = fields.position
    var relay = RelayFrame()
    relay.packet = start..<start
    var tag = try fields.nextTag()
    if tag == 1 << 3 | 5 {
      relay.labelOffset = fields.position
      relay.label = try fields.fixed32()
      tag = try fields.nextTag()
    }
    if tag == 2 << 3 | 0 {
      let offset = fields.position
      let ecn = try fields.varint32()
      guard ecn <= 3 else { throw .malformed(offset: offset) }
      relay.ecn = ECN(trafficClass: UInt8(truncatingIfNeeded: ecn))
      if ecn != 0 { relay.ecnOffset = offset }
      tag = try fields.nextTag()
    }
    if tag == 3 << 3 | 2 {
      relay.packet = try fields.delimited()
      tag = try fields.nextTag()
    }
    try fields.finish(tag, known: 0b1110)
    guard relay.label != 0 else { throw .malformed(offset: start) }
    frame = .relay(relay)
    return true
  }

  @_lifetime(self: copy self)
  private mutating func readFragment(into frame: inout Frame) throws(PacketError) -> Bool {
    var fields = try fields.message()
    let start = fields.position
    var fragment = IPFragmentFrame()
    fragment.data = start..<start
    var tag = try fields.nextTag()
    if tag == 1 << 3 | 0 {
      fragment.id = try fields.varint32()
      tag = try fields.nextTag()
    }
    if tag == 2 << 3 | 0 {
      fragment.offset = try fields.varint32()
      tag = try fields.nextTag()
    }
    if tag == 3 << 3 | 0 {
      fragment.size = try fields.varint32()
      tag = try fields.nextTag()
    }
    if tag == 15 << 3 | 2 {
      fragment.data = try fields.delimited()
      tag = try fields.nextTag()
    }
    try fields.finish(tag, known: 0b1000_0000_0000_1110)
    let end = UInt64(fragment.offset) &+ UInt64(fragment.data.count)
    guard !fragment.data.isEmpty, end <= UInt64(fragment.size), fragment.size <= 65_535 else {
      throw .malformed(offset: start)
    }
    frame = .ipFragment(fragment)
    return true
  }

  @_lifetime(self: copy self)
  private mutating func readRefusal(into frame: inout Frame) throws(PacketError) -> Bool {
    var fields = try fields.message()
    var refusal = RefuseChannel()
    var tag = try fields.nextTag()
    if tag == 1 << 3 | 0 {
      refusal.channel = try fields.varint32()
      tag = try fields.nextTag()
    }
    if tag == 2 << 3 | 0 {
      refusal.code = ErrorCode(rawValue: try fields.varint())
      tag = try fields.nextTag()
    }
    if tag == 3 << 3 | 0 {
      refusal.datagrams = try fields.bool()
      tag = try fields.nextTag()
    }
    try fields.finish(tag, known: 0b1110)
    frame = .refuseChannel(refusal)
    return true
  }

  private func checkEnd(offset: UInt64, length: Int, at start: Int) throws(PacketError) {
    guard offset <= PacketLimits.maxOffset &- UInt64(length) else { throw .malformed(offset: start) }
  }
}

extension PacketReader {
  /// What a packet is, before any of it is acted upon.
  @frozen
  public struct Summary: Equatable, Sendable {
    /// The packet's number; 0 when it has none.
    public var number: UInt64 = 0
    /// Frames that `next` gives, the number not counted.
    public var frames = 0
    /// Whether a frame asks for an acknowledgement.
    public var isAckEliciting = false

    @inlinable public init() {}
  }

  /// Reads all of `message` once. What passes, `next` reads to its end without an error.
  public static func validate(_ message: RawSpan) throws(PacketError) -> Summary {
    var summary = Summary()
    var reader = PacketReader(message)
    var frame = Frame.ping
    while try reader.next(into: &frame) {
      if case .number(let number) = frame {
        summary.number = number
      } else {
        summary.frames &+= 1
        if frame.isAckEliciting { summary.isAckEliciting = true }
      }
    }
    return summary
  }
}
