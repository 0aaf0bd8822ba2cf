internal import MeshPrimitives

/// Walks the fields of one message in canonical form.
struct FieldReader: ~Escapable {
  let bytes: RawSpan
  var position: Int
  /// One past the last byte of the message.
  let end: Int
  /// The number of the field read last; 0 before the first.
  var last: UInt32 = 0

  @_lifetime(copy bytes)
  @inline(__always) init(_ bytes: RawSpan, _ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= bytes.byteCount, "the range must lie within the bytes")
    self.bytes = bytes
    position = range.lowerBound
    end = range.upperBound
  }

  /// The byte at `offset`, which the caller has compared with `end`.
  @inline(__always) private func load(_ offset: Int) -> UInt8 {
    unsafe bytes.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
  }

  // MARK: Tags

  /// The next tag, `number << 3 | wire type`, or 0 at the end. Each number must be greater than the one before, unless
  /// its bit in `repeated` is set (numbers below 64), or it is 64 or more.
  @_lifetime(self: copy self)
  @inline(__always) mutating func nextTag(repeated: UInt64 = 0) throws(PacketError) -> UInt32 {
    guard position < end else { return 0 }
    let first = UInt32(load(position))
    if first < 0x80, first >> 3 > last {
      position &+= 1
      last = first >> 3
      return first
    }
    let (tag, next) = try Self.otherTag(bytes, position, end, last, repeated)
    position = next
    last = tag >> 3
    return tag
  }

  /// A tag of several bytes, or not above the last.
  @inline(never)
  private static func otherTag(
    _ bytes: RawSpan, _ start: Int, _ end: Int, _ last: UInt32, _ repeated: UInt64
  ) throws(PacketError) -> (tag: UInt32, position: Int) {
    var fields = FieldReader(bytes, start..<end)
    let value = try fields.varint()
    guard value <= UInt64(UInt32.max), value >> 3 != 0 else { throw .malformed(offset: start) }
    let number = UInt32(truncatingIfNeeded: value >> 3)
    if number <= last {
      guard number == last, number >= 64 || repeated >> UInt64(number) & 1 != 0 else {
        throw .notCanonical(offset: start)
      }
    }
    return (UInt32(truncatingIfNeeded: value), fields.position)
  }

  /// Reads what follows the last field that the caller knows: skips numbers from 64 on.
  /// - Parameters:
  ///   - tag: as read last; 0 at the end.
  ///   - known: bit n set = the message has a field n, so that the wire type must be wrong.
  @_lifetime(self: copy self)
  @inline(__always) mutating func finish(_ tag: UInt32, known: UInt64) throws(PacketError) {
    if tag != 0 { position = try Self.skipRest(bytes, position, end, tag, known) }
  }

  @inline(never)
  private static func skipRest(
    _ bytes: RawSpan, _ start: Int, _ end: Int, _ first: UInt32, _ known: UInt64
  ) throws(PacketError) -> Int {
    var fields = FieldReader(bytes, start..<end)
    fields.last = first >> 3
    var tag = first
    while tag != 0 {
      let number = tag >> 3
      if number < 64 {
        guard known >> UInt64(number) & 1 == 0 else { throw .malformed(offset: fields.position) }
        throw .unsupported(field: number, offset: fields.position)
      }
      _ = try fields.skip(tag)
      tag = try fields.nextTag()
    }
    return fields.position
  }

  /// Reads over the value of `tag` and returns where it lies; of a length-delimited one, its content.
  @_lifetime(self: copy self)
  @inline(__always) mutating func skip(_ tag: UInt32) throws(PacketError) -> Range<Int> {
    let range = try Self.skip(bytes, position, end, tag)
    position = range.upperBound
    return range
  }

  @inline(never)
  private static func skip(
    _ bytes: RawSpan, _ start: Int, _ end: Int, _ tag: UInt32
  ) throws(PacketError) -> Range<Int> {
    var fields = FieldReader(bytes, start..<end)
    switch tag & 7 {
    case 0: _ = try fields.varint()
    case 1: _ = try fields.fixed64()
    case 2: return try fields.delimited()
    case 5: _ = try fields.fixed32()
    default: throw .malformed(offset: start)
    }
    return start..<fields.position
  }

  // MARK: Values

  @_lifetime(self: copy self)
  @inline(__always) mutating func varint() throws(PacketError) -> UInt64 {
    guard position < end else { throw .truncated(offset: position) }
    let first = load(position)
    if first < 0x80 {
      position &+= 1
      return UInt64(first)
    }
    let start = position
    let (value, next) = Self.longVarint(bytes, start, end)
    guard next >= 0 else { throw VarintFailure.error(next, offset: start) }
    position = next
    return value
  }

  /// A varint of more than one byte. Takes and gives values, so that no caller's reader must live in memory.
  /// - Returns: the value and the offset behind it; a negative offset stands for an error.
  @inline(never)
  private static func longVarint(_ bytes: RawSpan, _ start: Int, _ end: Int) -> (value: UInt64, position: Int) {
    if bytes.byteCount &- start >= 8 {
      // Eight bytes at once. The first byte without a top bit is the last of the varint.
      let word = UInt64(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: start, as: UInt64.self))
      let stops = ~word & 0x8080_8080_8080_8080
      let position = start &+ (stops.trailingZeroBitCount &+ 1) &>> 3
      if stops != 0, position <= end {
        // Seven bits of each byte up to it, brought together two, four and eight at a time.
        var value = word & (stops ^ (stops &- 1)) & 0x7F7F_7F7F_7F7F_7F7F
        value = value & 0x007F_007F_007F_007F | (value & 0x7F00_7F00_7F00_7F00) &>> 1
        value = value & 0x0000_3FFF_0000_3FFF | (value & 0x3FFF_0000_3FFF_0000) &>> 2
        value = value & 0x0000_0000_0FFF_FFFF | (value & 0x0FFF_FFFF_0000_0000) &>> 4
        // Another byte than the first adds something.
        let shortest = value &>> UInt64(truncatingIfNeeded: 7 &* (position &- start &- 1)) != 0
        return shortest ? (value, position) : (0, VarintFailure.notCanonical)
      }
    }
    var position = start
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < end {
      let byte = unsafe bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
      position &+= 1
      value |= UInt64(byte & 0x7F) &<< shift
      if byte < 0x80 {
        // A last byte of 0 adds nothing; in the tenth byte only the lowest bit counts.
        guard byte != 0, shift < 63 || byte == 1 else { return (0, VarintFailure.notCanonical) }
        return (value, position)
      }
      shift &+= 7
      if shift > 63 { return (0, VarintFailure.malformed) }
    }
    return (0, VarintFailure.truncated)
  }

  private enum VarintFailure {
    static var truncated: Int { -1 }
    static var malformed: Int { -2 }
    static var notCanonical: Int { -3 }

    @inline(never) static func error(_ failure: Int, offset: Int) -> PacketError {
      switch failure {
      case truncated: .truncated(offset: offset)
      case malformed: .malformed(offset: offset)
      default: .notCanonical(offset: offset)
      }
    }
  }

  /// A `uint32`.
  @_lifetime(self: copy self)
  @inline(__always) mutating func varint32() throws(PacketError) -> UInt32 {
    let start = position
    let value = try varint()
    // proto3 readers drop the upper half.
    guard value <= UInt64(UInt32.max) else { throw .notCanonical(offset: start) }
    return UInt32(truncatingIfNeeded: value)
  }

  @_lifetime(self: copy self)
  @inline(__always) mutating func bool() throws(PacketError) -> Bool {
    let start = position
    let value = try varint()
    guard value <= 1 else { throw .notCanonical(offset: start) }
    return value == 1
  }

  @_lifetime(self: copy self)
  @inline(__always) mutating func fixed32() throws(PacketError) -> UInt32 {
    guard end &- position >= 4 else { throw .truncated(offset: position) }
    let value = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt32.self)
    position &+= 4
    return UInt32(littleEndian: value)
  }

  @_lifetime(self: copy self)
  @inline(__always) mutating func fixed64() throws(PacketError) -> UInt64 {
    guard end &- position >= 8 else { throw .truncated(offset: position) }
    let value = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self)
    position &+= 8
    return UInt64(littleEndian: value)
  }

  /// Where the content of a length-delimited value lies; moves behind it.
  @_lifetime(self: copy self)
  @inline(__always) mutating func delimited() throws(PacketError) -> Range<Int> {
    let start = position
    let length = try varint()
    guard length <= UInt64(truncatingIfNeeded: end &- position) else { throw .truncated(offset: start) }
    let from = position
    position &+= Int(truncatingIfNeeded: length)
    return unsafe Range(uncheckedBounds: (from, position))
  }

  /// A reader of the message inside a length-delimited value; this one moves behind it.
  @_lifetime(self: copy self) @_lifetime(copy self)
  @inline(__always) mutating func message() throws(PacketError) -> FieldReader {
    let range = try delimited()
    return FieldReader(bytes, range)
  }

  /// A service name: UTF-8 without NUL, at most 255 bytes; `nil` when it is empty.
  @_lifetime(self: copy self)
  @inline(__always) mutating func service() throws(PacketError) -> Range<Int>? {
    let start = position
    let range = try delimited()
    guard range.count <= PacketLimits.serviceLength else {
      throw .tooLarge(offset: start, limit: PacketLimits.serviceLength)
    }
    guard UTF8Check.isText(bytes.extracting(range)) else { throw .malformed(offset: start) }
    return range.isEmpty ? nil : range
  }
}
