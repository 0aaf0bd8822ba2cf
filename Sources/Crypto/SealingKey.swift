/// A key that seals packets with ChaCha20-Poly1305. It owns the counter that the nonce is made of: no nonce is ever
/// given to it, and none is used twice.
public struct SealingKey: ~Copyable, Sendable {
  /// How much longer a sealed message is, in bytes.
  public static let overhead = 16
  /// `REJECT_AFTER_MESSAGES` (WireGuard paper §6.1): no message has this counter or one above.
  public static let counterLimit: UInt64 = .max - (1 << 13)

  private let key: CipherKey
  /// The counter of the next message; as many were sealed so far.
  public private(set) var counter: UInt64 = 0

  init(_ key: CipherKey, counter: UInt64 = 0) {
    self.key = key
    self.counter = counter
  }

  /// Encrypts all but the last 16 bytes of `buffer` in place and writes the tag there. Nothing else is authenticated.
  /// - Returns: The counter that was used, which the receiver needs.
  /// - Throws: `.counterExhausted` from `counterLimit` on; `buffer` is as it was.
  /// - Precondition: `buffer` holds 16 bytes at least.
  public mutating func seal(_ buffer: inout MutableRawSpan) throws(CryptoError) -> UInt64 {
    precondition(buffer.byteCount >= Self.overhead, "leave 16 bytes for the tag at the end of the buffer")
    guard counter < Self.counterLimit else { throw .counterExhausted }
    let used = counter
    counter = used &+ 1
    key.seal(&buffer, counter: used)
    return used
  }
}
