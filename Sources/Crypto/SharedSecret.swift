public import MeshPrimitives

/// 32 secret bytes: the result of a Diffie-Hellman exchange, a key derived from one, or random. In locked memory, wiped
/// when it goes.
public struct SharedSecret: ~Copyable, Sendable {
  let secret: SecretBytes

  init(_ secret: consuming SecretBytes) { self.secret = secret }

  /// 32 random bytes.
  public init(generating entropy: inout some Entropy) { secret = SecretBytes(generating: &entropy) }

  public func copy() -> SharedSecret { SharedSecret(secret.copy()) }

  /// Lends the 32 bytes to `body`, which must not keep a copy.
  public func withBytes<Result: ~Copyable, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result { try body(secret.bytes) }
}
