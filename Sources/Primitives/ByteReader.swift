/// A cursor over bytes that it borrows. Every read is checked; none allocates.
@frozen
public struct ByteReader: ~Escapable {
  @usableFromInline let bytes: RawSpan
  @usableFromInline var position: Int

  @inlinable @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) {
    self.bytes = bytes
    position = 0
  }

  /// Bytes read so far: the offset of the next read.
  @inlinable public var offset: Int { position }

  /// Bytes not read yet.
  @inlinable public var remaining: Int { bytes.byteCount &- position }

  @inlinable public var isAtEnd: Bool { remaining == 0 }

  /// Throws `.truncated` unless `count` more bytes can be read.
  @inlinable public func require(_ count: Int) throws(DecodeError) {
    guard count >= 0, count <= remaining else { throw .truncated(needed: count, available: remaining) }
  }

  @inlinable @_lifetime(self: copy self)
  mutating func load<Value: FixedWidthInteger & BitwiseCopyable>(_: Value.Type) throws(DecodeError) -> Value {
    try require(MemoryLayout<Value>.size)
    let value = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: Value.self)
    position &+= MemoryLayout<Value>.size
    return value
  }

  @inlinable @_lifetime(self: copy self)
  public mutating func readUInt8() throws(DecodeError) -> UInt8 { try load(UInt8.self) }

  @inlinable @_lifetime(self: copy self)
  public mutating func readUInt16(_ order: ByteOrder) throws(DecodeError) -> UInt16 {
    order.convert(try load(UInt16.self))
  }

  @inlinable @_lifetime(self: copy self)
  public mutating func readUInt32(_ order: ByteOrder) throws(DecodeError) -> UInt32 {
    order.convert(try load(UInt32.self))
  }

  @inlinable @_lifetime(self: copy self)
  public mutating func readUInt64(_ order: ByteOrder) throws(DecodeError) -> UInt64 {
    order.convert(try load(UInt64.self))
  }

  /// The next `count` bytes, borrowed from the same place as this reader's.
  @inlinable @_lifetime(self: copy self) @_lifetime(copy self)
  public mutating func read(_ count: Int) throws(DecodeError) -> RawSpan {
    try require(count)
    let result = bytes.extracting(position..<position &+ count)
    position &+= count
    return result
  }

  @inlinable @_lifetime(self: copy self)
  public mutating func skip(_ count: Int) throws(DecodeError) {
    try require(count)
    position &+= count
  }
}

/// How an integer of several bytes lies in memory.
@frozen
public enum ByteOrder: Sendable {
  case little, big

  @inlinable public func convert<Value: FixedWidthInteger>(_ value: Value) -> Value {
    switch self {
    case .little: Value(littleEndian: value)
    case .big: Value(bigEndian: value)
    }
  }
}
