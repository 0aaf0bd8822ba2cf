internal import MeshPrimitives

/// What the headers of one frame and of its blocks say, read before anything is decompressed (RFC 8878 §3.1.1).
struct FrameScan {
  /// Bytes of content, when the frame gives them.
  let contentSize: UInt64?
  let windowSize: UInt64
  /// 0 when the frame names none.
  let dictionaryID: UInt32
  /// Bytes of the frame, up to its end.
  let length: Int
  /// The content cannot be longer than that.
  let bound: UInt64
  /// The content cannot be shorter than that: what raw and repeating blocks give.
  let minimum: UInt64

  static let magic: UInt32 = 0xFD2F_B528
  private static let largestBlock: UInt64 = 1 << 17

  /// - Throws: `.truncated`, or `.corrupt`.
  init(_ bytes: RawSpan, hasMagic: Bool) throws(CompressionError) {
    var reader = ByteReader(bytes)
    do throws(DecodeError) {
      if hasMagic, try reader.readUInt32(.little) != Self.magic { throw DecodeError.unexpected(offset: 0) }
      let descriptor = try reader.readUInt8()
      guard descriptor & 0x08 == 0 else { throw DecodeError.unexpected(offset: reader.offset) }
      let isSingleSegment = descriptor & 0x20 != 0
      var window: UInt64 = 0
      if !isSingleSegment {
        let byte = try reader.readUInt8()
        let base: UInt64 = 1 << (10 + UInt64(byte >> 3))
        window = base + base / 8 * UInt64(byte & 7)
      }
      dictionaryID = try Self.read(&reader, [0, 1, 2, 4][Int(descriptor & 3)]).map { UInt32($0) } ?? 0
      var size: UInt64?
      switch descriptor >> 6 {
      case 0: size = isSingleSegment ? try Self.read(&reader, 1) : nil
      case 1: size = try UInt64(reader.readUInt16(.little)) + 256
      case 2: size = try Self.read(&reader, 4)
      default: size = try Self.read(&reader, 8)
      }
      contentSize = size
      windowSize = isSingleSegment ? size ?? 0 : window

      let largest = min(windowSize, Self.largestBlock)
      var bound: UInt64 = 0
      var minimum: UInt64 = 0
      var isLast = false
      while !isLast {
        let header = try UInt32(reader.readUInt16(.little)) | UInt32(reader.readUInt8()) << 16
        isLast = header & 1 != 0
        let count = Int(header >> 3)
        switch header >> 1 & 3 {
        case 0:
          try reader.skip(count)
          (bound, minimum) = (bound + UInt64(count), minimum + UInt64(count))
        case 1:
          try reader.skip(1)
          (bound, minimum) = (bound + UInt64(count), minimum + UInt64(count))
        case 2:
          try reader.skip(count)
          bound += largest
        default: throw DecodeError.unexpected(offset: reader.offset)
        }
      }
      if descriptor & 0x04 != 0 { try reader.skip(4) }
      self.bound = size.map { min($0, bound) } ?? bound
      self.minimum = minimum
      length = reader.offset
    } catch {
      if case .truncated = error { throw .truncated }
      throw .corrupt
    }
  }

  /// A little-endian number of `count` bytes; `nil` for none.
  @_lifetime(reader: copy reader)
  private static func read(_ reader: inout ByteReader, _ count: Int) throws(DecodeError) -> UInt64? {
    switch count {
    case 1: UInt64(try reader.readUInt8())
    case 2: UInt64(try reader.readUInt16(.little))
    case 4: UInt64(try reader.readUInt32(.little))
    case 8: try reader.readUInt64(.little)
    default: nil
    }
  }
}
