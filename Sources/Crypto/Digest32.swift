public import MeshPrimitives

/// 32 bytes that are no secret: a hash, or a key that anybody can compute.
public struct Digest32: Sendable {
  private var storage: InlineArray<32, UInt8>

  public static let zero = Digest32()

  private init() { storage = InlineArray(repeating: 0) }

  /// Copies the 32 bytes of a public key.
  public init(_ key: PublicKey) { self.init { key.write(to: &$0) } }

  /// Zeros, overwritten by what `body` appends (at most 32 bytes).
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

  /// Appends the 32 bytes.
  public func write(to output: inout OutputRawSpan) { output.append(bytes) }

  /// The 32 bytes as an array (allocates: not for hot paths).
  public var rawBytes: [UInt8] { Array(copying: bytes) }

  /// Whether `other` holds the same 32 bytes, in constant time.
  public func matches(_ other: RawSpan) -> Bool { constantTimeEqual(bytes, other) }
}

extension Digest32: Hashable {
  public static func == (left: Digest32, right: Digest32) -> Bool { left.matches(right.bytes) }

  public func hash(into hasher: inout Hasher) { unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) } }
}
