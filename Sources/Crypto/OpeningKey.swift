/// A key that opens what the other side's `SealingKey` sealed. It keeps no record of counters: whoever calls it checks
/// for replays, before (cheaply) and after (to commit).
public struct OpeningKey: ~Copyable, Sendable {
  private let key: CipherKey

  init(_ key: CipherKey) { self.key = key }

  /// Decrypts all but the last 16 bytes of `buffer` in place, if these are the right tag.
  ///
  /// When it throws, the buffer holds neither plaintext nor, below the tag, ciphertext.
  /// - Throws: `.forged` when the tag does not match or `buffer` is shorter than one; `.counterExhausted` for a counter
  ///   that no sealing key uses.
  public func open(_ buffer: inout MutableRawSpan, counter: UInt64) throws(CryptoError) {
    guard buffer.byteCount >= SealingKey.overhead else { throw .forged }
    guard counter < SealingKey.counterLimit else { throw .counterExhausted }
    guard key.open(&buffer, counter: counter) else { throw .forged }
  }
}
