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
  init(_ bytes: RawSpan, _ range: Range<Int>) {
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
  mutating func unknown(_ tag: UInt32, known: UInt64) throws(PacketError) {
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
  mutating func skip(_ tag: UInt32) throws(PacketError) -> Range<Int> {
    let start = position
    switch tag & 7 {
    case 0: _ = try varint()
    case 1: _ = try fixed64()
    case 2: return try delimited()
    case 5: _ = try fixed32()
    default: throw .malformed(offset: start)
    }
    return start..<position
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
    return try longVarint()
  }

  @_lifetime(self: copy self)
  private mutating func longVarint() throws(PacketError) -> UInt64 {
    let start = position
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < end {
      let byte = load(position)
      position &+= 1
      value |= UInt64(byte & 0x7F) &<< shift
      if byte < 0x80 {
        // A last byte of 0 adds nothing; in the tenth byte only the lowest bit counts.
        guard byte != 0, shift < 63 || byte == 1 else { throw .notCanonical(offset: start) }
        return value
      }
      shift &+= 7
      if shift > 63 { throw .malformed(offset: start) }
    }
    throw .truncated(offset: start)
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
  mutating func fixed32() throws(PacketError) -> UInt32 {
    guard end &- position >= 4 else { throw .truncated(offset: position) }
    let value = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt32.self)
    position &+= 4
    return UInt32(littleEndian: value)
  }

  @_lifetime(self: copy self)
  mutating func fixed64() throws(PacketError) -> UInt64 {
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
  mutating func service() throws(PacketError) -> Range<Int>? {
    let start = position
    let range = try delimited()
    guard range.count <= PacketLimits.serviceLength else {
      throw .tooLarge(offset: start, limit: PacketLimits.serviceLength)
    }
    guard UTF8Check.isText(bytes.extracting(range)) else { throw .malformed(offset: start) }
    return range.isEmpty ? nil : range
  }
}
