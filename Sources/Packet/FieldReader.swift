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
    let start = position
    let value = try varint()
    guard value <= UInt64(UInt32.max) else { throw .malformed(offset: start) }
    let tag = UInt32(truncatingIfNeeded: value)
    let number = tag >> 3
    guard number != 0 else { throw .malformed(offset: start) }
    if number <= last {
      guard number == last, number >= 64 || repeated >> UInt64(number) & 1 != 0 else {
        throw .notCanonical(offset: start)
      }
    }
    last = number
    return tag
  }

  /// Handles the field of `tag`, just read, which the caller does not know: skips it when its number is 64 or more.
  /// - Parameter known: bit n set = the message has a field n, so that the wire type must be wrong.
  @_lifetime(self: copy self)
  @inline(__always) mutating func unknown(_ tag: UInt32, known: UInt64) throws(PacketError) {
    let number = tag >> 3
    let start = position
    if number >= 64 {
      _ = try skip(tag)
    } else if known >> UInt64(number) & 1 != 0 {
      throw .malformed(offset: start)
    } else {
      throw .unsupported(field: number, offset: start)
    }
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
