public import MeshPrimitives

/// The 16 bytes of a message authentication code, or a cookie.
public struct Tag16: Sendable {
  private var storage: InlineArray<16, UInt8>

  public static let zero = Tag16()

  private init() { storage = InlineArray(repeating: 0) }

  /// Takes 16 bytes from `reader`.
  /// - Throws: `.truncated` when fewer are left.
  public init(parsing reader: inout ByteReader) throws(DecodeError) {
    let bytes = try reader.read(16)
    self.init { $0.append(bytes) }
  }

  /// Zeros, overwritten by what `body` appends (at most 16 bytes).
  init<Failure: Error>(writing body: (inout OutputRawSpan) throws(Failure) -> Void) throws(Failure) {
    storage = InlineArray(repeating: 0)
    unsafe try withUnsafeMutableBytes(of: &storage) { buffer throws(Failure) in
      var output = unsafe OutputRawSpan(buffer: buffer, initializedCount: 0)
      try body(&output)
    }
  }

  public var bytes: RawSpan {
    @_lifetime(borrow self) get {
      let elements = storage.span
      return unsafe _overrideLifetime(elements.bytes, borrowing: self)
    }
  }

  public func withBytes<Result: ~Copyable, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result { try body(bytes) }

  /// Appends the 16 bytes.
  public func write(to output: inout OutputRawSpan) { output.append(bytes) }

  /// The 16 bytes as an array (allocates: not for hot paths).
  public var rawBytes: [UInt8] { Array(copying: bytes) }

  /// Whether `other` holds the same 16 bytes, in constant time.
  public func matches(_ other: RawSpan) -> Bool { constantTimeEqual(bytes, other) }
}

extension Tag16: Hashable {
  public static func == (left: Tag16, right: Tag16) -> Bool { left.matches(right.bytes) }

  public func hash(into hasher: inout Hasher) { unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) } }
}
