internal import CMeshProto
internal import CMeshProtobufC
internal import MeshPacket
internal import MeshPrimitives

/// Walks a message against its definition before protobuf-c sees it, so that nothing is allocated for what is refused.
enum WireScan {
  /// Levels of messages inside each other: the definitions have four.
  static let maxDepth = 8
  /// Fields of one message other than `Packet`, each unpacked element of a repeated one counted.
  static let maxFields = 1024

  static func check(
    _ bytes: RawSpan, as descriptor: UnsafePointer<ProtobufCMessageDescriptor>, isLenient: Bool
  ) throws(WireError) {
    var scanner = Scanner(bytes: bytes)
    try unsafe scanner.check(end: bytes.byteCount, as: descriptor, isLenient: isLenient, depth: 1)
  }

  @safe private struct Scanner: ~Escapable {
    let bytes: RawSpan
    var position = 0
    let packet = unsafe Wire.Packet.descriptor
    let hello = unsafe Wire.Hello.descriptor

    @_lifetime(copy bytes)
    init(bytes: RawSpan) { self.bytes = bytes }

    @_lifetime(self: copy self)
    mutating func check(
      end: Int, as descriptor: UnsafePointer<ProtobufCMessageDescriptor>, isLenient: Bool, depth: Int
    ) throws(WireError) {
      guard depth <= maxDepth else { throw .tooLarge(offset: position, limit: maxDepth) }
      let limit = unsafe descriptor == packet ? PacketLimits.fields : maxFields
      var count = 0
      while position < end {
        let start = position
        count += 1
        guard count <= limit else { throw .tooLarge(offset: start, limit: limit) }
        let tag = try varint(end: end, maxLength: 5)
        guard tag <= UInt64(UInt32.max), tag >> 3 != 0 else { throw .malformed(offset: start) }
        let number = UInt32(truncatingIfNeeded: tag >> 3)
        let wireType = UInt32(truncatingIfNeeded: tag & 7)
        let field = unsafe find(number, in: descriptor)
        if unsafe field == nil, number < 64, !isLenient { throw .unsupported(field: number) }
        let content = try skip(wireType, end: end)
        guard let field = unsafe field else { continue }
        let wanted = unsafe Self.wireType(of: field.type)
        if wireType == wanted {
          guard unsafe field.type == PROTOBUF_C_TYPE_MESSAGE, let inner = unsafe field.descriptor else { continue }
          let definition = unsafe inner.assumingMemoryBound(to: ProtobufCMessageDescriptor.self)
          position = content.lowerBound
          try unsafe check(
            end: content.upperBound, as: definition, isLenient: isLenient || definition == hello, depth: depth + 1)
        } else {
          // Repeated scalars may come packed or not; those of the definitions are all varints.
          guard unsafe field.label == PROTOBUF_C_LABEL_REPEATED, wireType == 2, wanted == 0 else {
            throw .malformed(offset: start)
          }
          position = content.lowerBound
          while position < content.upperBound { _ = try varint(end: content.upperBound, maxLength: 10) }
        }
      }
    }

    /// Moves behind a value and returns where it lies; of a length-delimited one, its content.
    @_lifetime(self: copy self)
    private mutating func skip(_ wireType: UInt32, end: Int) throws(WireError) -> Range<Int> {
      let start = position
      switch wireType {
      case 0: _ = try varint(end: end, maxLength: 10)
      case 1: position += 8
      case 5: position += 4
      case 2:
        // As in protoc and protobuf-c: a length has at most five bytes, however they are filled.
        let length = try varint(end: end, maxLength: 5)
        guard length <= UInt64(end - position) else { throw .malformed(offset: start) }
        let from = position
        position += Int(length)
        return from..<position
      default: throw .malformed(offset: start)
      }
      guard position <= end else { throw .malformed(offset: start) }
      return start..<position
    }

    /// A varint of any length up to `maxLength`; bits above the 64th are dropped, as every proto3 reader does.
    @_lifetime(self: copy self)
    private mutating func varint(end: Int, maxLength: Int) throws(WireError) -> UInt64 {
      let start = position
      var value: UInt64 = 0
      for index in 0..<maxLength {
        guard position < end else { throw .malformed(offset: start) }
        let byte = bytes.byte(at: position)
        position += 1
        value |= UInt64(byte & 0x7F) << UInt64(7 * index)
        if byte < 0x80 { return value }
      }
      throw .malformed(offset: start)
    }

    private func find(
      _ number: UInt32, in descriptor: UnsafePointer<ProtobufCMessageDescriptor>
    ) -> ProtobufCFieldDescriptor? {
      for index in unsafe 0..<Int(descriptor.pointee.n_fields) {
        let field = unsafe descriptor.pointee.fields[index]
        if unsafe field.id == number { return unsafe field }
      }
      return nil
    }

    private static func wireType(of type: ProtobufCType) -> UInt32 {
      switch type {
      case PROTOBUF_C_TYPE_MESSAGE, PROTOBUF_C_TYPE_BYTES, PROTOBUF_C_TYPE_STRING: 2
      case PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_SFIXED32, PROTOBUF_C_TYPE_FLOAT: 5
      case PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_SFIXED64, PROTOBUF_C_TYPE_DOUBLE: 1
      default: 0
      }
    }
  }
}
