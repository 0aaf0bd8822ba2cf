// Safe access to the bytes of arrays and integers, for code under strict memory safety.

extension Array where Element == UInt8 {
  /// The elements as raw bytes, borrowed.
  @inlinable public var bytes: RawSpan {
    @_lifetime(borrow self) get {
      // Every byte of an array of UInt8 is initialised: reading it raw is safe.
      let elements = span
      return unsafe _overrideLifetime(elements.bytes, borrowing: self)
    }
  }

  /// The elements as raw bytes, borrowed for change.
  @inlinable public var mutableBytes: MutableRawSpan {
    @_lifetime(&self) mutating get {
      // The storage is unique after this call and stays so for as long as the span borrows the array.
      let buffer = unsafe withUnsafeMutableBytes { unsafe $0 }
      let raw = unsafe MutableRawSpan(_unsafeBytes: buffer)
      return unsafe _overrideLifetime(raw, mutating: &self)
    }
  }

  /// Copies `bytes`.
  public init(copying bytes: RawSpan) {
    self = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
  }

  /// An array of up to `capacity` bytes, written by `body`.
  @inlinable
  public init<Failure: Error>(
    capacity: Int, writing body: (inout OutputRawSpan) throws(Failure) -> Void
  ) throws(Failure) {
    var failure: Failure?
    let storage = unsafe Array(unsafeUninitializedCapacity: capacity) { buffer, count in
      let room = UnsafeMutableRawBufferPointer(buffer)
      var output = unsafe OutputRawSpan(buffer: room, initializedCount: 0)
      do throws(Failure) { try body(&output) } catch { failure = error }
      count = unsafe output.finalize(for: room)
    }
    if let failure { throw failure }
    self = storage
  }
}

extension RawSpan {
  /// The byte at `offset`. Traps when `offset` is out of bounds.
  @inlinable public func byte(at offset: Int) -> UInt8 { unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self) }

  /// Whether the bytes equal those of `other`. Not constant time: never for secrets or tags.
  public func elementsEqual(_ other: RawSpan) -> Bool {
    guard byteCount == other.byteCount else { return false }
    for offset in 0..<byteCount where byte(at: offset) != other.byte(at: offset) { return false }
    return true
  }
}

extension MutableRawSpan {
  /// Copies all of `source` to `offset`. Traps when it does not fit.
  @inlinable @_lifetime(self: copy self)
  public mutating func copy(_ source: RawSpan, at offset: Int) {
    precondition(offset >= 0 && source.byteCount <= byteCount - offset, "the source must fit behind the offset")
    unsafe withUnsafeMutableBytes { target in
      unsafe source.withUnsafeBytes { bytes in
        guard let from = bytes.baseAddress else { return }
        unsafe (target.baseAddress! + offset).copyMemory(from: from, byteCount: bytes.count)
      }
    }
  }

  @inlinable @_lifetime(self: copy self)
  public mutating func store(_ value: UInt32, at offset: Int, _ order: ByteOrder) {
    storeBytes(of: order.convert(value), toByteOffset: offset, as: UInt32.self)
  }

  @inlinable @_lifetime(self: copy self)
  public mutating func store(_ value: UInt64, at offset: Int, _ order: ByteOrder) {
    storeBytes(of: order.convert(value), toByteOffset: offset, as: UInt64.self)
  }

  /// Sets every byte to zero. Not for secrets: the optimiser may remove it when nothing reads the bytes afterwards.
  @_lifetime(self: copy self)
  public mutating func zero() {
    unsafe withUnsafeMutableBytes { unsafe _ = $0.initializeMemory(as: UInt8.self, repeating: 0) }
  }
}

extension OutputRawSpan {
  @inlinable @_lifetime(self: copy self)
  public mutating func append(_ value: UInt16, _ order: ByteOrder) {
    unsafe append(order.convert(value), as: UInt16.self)
  }

  @inlinable @_lifetime(self: copy self)
  public mutating func append(_ value: UInt32, _ order: ByteOrder) {
    unsafe append(order.convert(value), as: UInt32.self)
  }

  @inlinable @_lifetime(self: copy self)
  public mutating func append(_ value: UInt64, _ order: ByteOrder) {
    unsafe append(order.convert(value), as: UInt64.self)
  }

  /// Appends all of `bytes`. Traps when they do not fit.
  @inlinable @_lifetime(self: copy self)
  public mutating func append(_ bytes: RawSpan) {
    precondition(bytes.byteCount <= freeCapacity, "the bytes must fit into the free capacity")
    unsafe withUnsafeMutableBytes { target, count in
      unsafe bytes.withUnsafeBytes { source in
        guard let from = source.baseAddress else { return }
        unsafe (target.baseAddress! + count).copyMemory(from: from, byteCount: source.count)
        count += source.count
      }
    }
  }

  /// Appends `count` zero bytes. Traps when they do not fit.
  @inlinable @_lifetime(self: copy self)
  public mutating func append(zeros count: Int) {
    unsafe append(repeating: 0 as UInt8, count: count, as: UInt8.self)
  }
}
