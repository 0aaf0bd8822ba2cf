internal import CMeshProto
internal import CMeshProtobufC
internal import MeshPacket
internal import MeshPrimitives

/// A message of the mesh protocol that can stand alone.
public protocol WireMessage: Equatable, Sendable {
  /// Reads any proto3 encoding of the message.
  /// - Parameter arena: working memory; its former content goes.
  init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError)

  /// Appends the message in canonical form.
  /// - Parameter arena: working memory; its former content goes.
  /// - Throws: `.noRoom`, and nothing is appended, or `.arenaFull`.
  func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError)

  /// Bytes that `encode` appends.
  /// - Parameter arena: working memory; its former content goes.
  func encodedSize(using arena: inout WireArena) throws(WireError) -> Int
}

extension WireMessage {
  /// As `init(decoding:using:)`, with an arena of its own that suffices for every packet within the caps.
  public init(decoding bytes: RawSpan) throws(WireError) {
    var arena = WireArena(capacity: 65_536 + 2 * min(bytes.byteCount, 65_536))
    try self.init(decoding: bytes, using: &arena)
  }

  /// As `encode(into:using:)`, with an arena of its own.
  public func encode(into output: inout OutputRawSpan) throws(WireError) {
    var arena = WireArena(capacity: 3 * 65_536)
    try encode(into: &output, using: &arena)
  }

  /// Appends the message as a field of a `Packet`.
  /// - Parameters:
  ///   - field: the number of a field of this type (``FieldNumber``).
  ///   - arena: working memory; its former content goes.
  /// - Throws: `.noRoom`, and nothing is appended, or `.arenaFull`.
  public func write(
    as field: UInt32, into output: inout OutputRawSpan, using arena: inout WireArena
  ) throws(WireError) {
    let size = try encodedSize(using: &arena)
    guard PacketWriter.writeOther(field: field, length: size, to: &output) else {
      throw .noRoom(needed: size, available: output.freeCapacity)
    }
    try encode(into: &output, using: &arena)
  }

  /// The message in canonical form, as an array (allocates).
  public func encoded() throws(WireError) -> [UInt8] {
    var arena = WireArena(capacity: 3 * 65_536)
    let size = try encodedSize(using: &arena)
    return try Array(capacity: size) { (output: inout OutputRawSpan) throws(WireError) in
      try encode(into: &output, using: &arena)
    }
  }
}

/// A value with a counterpart in C.
@unsafe
protocol CConvertible {
  associatedtype CMessage
  /// The generated `…__init`: sets the descriptor and the defaults.
  static func initialize(_ message: UnsafeMutablePointer<CMessage>)
  /// Copies and checks.
  init(_ c: CMessage) throws(WireError)
  /// Fills a message that was initialised, with what it points to in `arena`.
  func fill(_ c: inout CMessage, _ arena: borrowing WireArena) throws(WireError)
  /// Whether unknown fields below 64 are skipped too.
  static var isLenient: Bool { get }
}

extension CConvertible {
  static var isLenient: Bool { false }

  static var descriptor: UnsafePointer<ProtobufCMessageDescriptor> {
    unsafe withUnsafeTemporaryAllocation(of: CMessage.self, capacity: 1) { buffer in
      let message = buffer.baseAddress!
      unsafe initialize(message)
      return unsafe UnsafeRawPointer(message).assumingMemoryBound(to: ProtobufCMessage.self).pointee.descriptor
    }
  }

  static func unpack(_ bytes: RawSpan, _ arena: inout WireArena) throws(WireError) -> Self {
    arena.reset()
    let descriptor = unsafe descriptor
    try unsafe WireScan.check(bytes, as: descriptor, isLenient: isLenient)
    let message = unsafe bytes.withUnsafeBytes { buffer in
      unsafe withUnsafePointer(to: arena.allocator) { allocator in
        // protobuf-c takes the allocator as mutable and does not change it.
        unsafe protobuf_c_message_unpack(
          descriptor, UnsafeMutablePointer(mutating: allocator), buffer.count,
          buffer.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? arena.nothing)
      }
    }
    guard let message = unsafe message else {
      throw arena.isFull ? .arenaFull(capacity: arena.capacity) : .malformed(offset: 0)
    }
    return try unsafe Self(UnsafeRawPointer(message).assumingMemoryBound(to: CMessage.self).pointee)
  }

  func packedSize(_ arena: inout WireArena) throws(WireError) -> Int {
    arena.reset()
    let message = try unsafe arena.make(self)
    return unsafe protobuf_c_message_get_packed_size(
      UnsafeRawPointer(message).assumingMemoryBound(to: ProtobufCMessage.self))
  }

  func pack(into output: inout OutputRawSpan, _ arena: inout WireArena) throws(WireError) {
    arena.reset()
    let message = try unsafe arena.make(self)
    let base = unsafe UnsafeRawPointer(message).assumingMemoryBound(to: ProtobufCMessage.self)
    // `pack` knows no bound: the size comes first.
    let size = unsafe protobuf_c_message_get_packed_size(base)
    guard size <= output.freeCapacity else { throw .noRoom(needed: size, available: output.freeCapacity) }
    guard size > 0 else { return }
    unsafe output.withUnsafeMutableBytes { target, count in
      let start = unsafe (target.baseAddress! + count).assumingMemoryBound(to: UInt8.self)
      unsafe count += protobuf_c_message_pack(base, start)
    }
  }
}
