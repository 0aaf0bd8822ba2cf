/// A 32-byte symmetric key that two peers share beforehand and mix into each handshake (WireGuard paper §5.2). In
/// locked memory, wiped when it goes.
public struct PresharedKey: ~Copyable, Sendable {
  // None takes no memory: most of many known peers have none.
  private let secret: SecretBytes?

  /// None: 32 zero bytes.
  public init() { secret = nil }

  /// - Throws: `.wrongLength` unless there are exactly 32 bytes.
  public init(copying bytes: RawSpan) throws(KeyError) {
    guard bytes.byteCount == 32 else { throw .wrongLength(bytes.byteCount) }
    secret = SecretBytes(copying: bytes)
  }

  /// Reads 44 characters of base64, as `wg genpsk` prints them (without the line's end).
  /// - Throws: `.malformedText`.
  public init(base64 text: String) throws(KeyError) {
    let secret = SecretBytes()
    guard unsafe SecretText.decode(text, to: secret.octets) else { throw .malformedText }
    self.secret = consume secret
  }

  private init(_ secret: consuming SecretBytes) { self.secret = consume secret }

  /// A second owner of the same key.
  public func copy() -> PresharedKey {
    switch secret {
    case .some(let secret): PresharedKey(secret.copy())
    case .none: PresharedKey()
    }
  }

  func withBytes<Result: ~Copyable>(_ body: (RawSpan) -> Result) -> Result {
    switch secret {
    case .some(let secret): body(secret.bytes)
    case .none: Digest32.zero.withBytes(body)
    }
  }
}
