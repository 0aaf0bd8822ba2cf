internal import MeshPrimitives

/// Noise's symmetric state with WireGuard's parameters: the chaining key and the hash of the transcript (Noise rev. 34
/// §5.2). Keys of single messages are used once, with the nonce 0.
struct NoiseState: ~Copyable, Sendable {
  private var chainingKey: SecretBytes
  private(set) var hash: Digest32

  private static let construction = BLAKE2s.hash("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s", RawSpan())
  private static let prologue = BLAKE2s.hash(
    construction.bytes, ("WireGuard v1 zx2c4 Jason@zx2c4.com" as StaticString).bytes)

  /// Each key seals one message.
  private static var nonce: RawSpan {
    @_lifetime(immortal) get { ("\0\0\0\0\0\0\0\0\0\0\0\0" as StaticString).bytes }
  }

  /// Before the first message, to the responder of that key.
  init(responder: PublicKey, _ context: borrowing BLAKE2sContext) {
    chainingKey = SecretBytes(copying: Self.construction.bytes)
    hash = context.hash(Self.prologue.bytes, Digest32(responder).bytes)
  }

  private init(chainingKey: consuming SecretBytes, hash: Digest32) {
    self.chainingKey = chainingKey
    self.hash = hash
  }

  func copy() -> NoiseState { NoiseState(chainingKey: chainingKey.copy(), hash: hash) }

  mutating func mixHash(_ bytes: RawSpan, _ context: borrowing BLAKE2sContext) {
    hash = context.hash(hash.bytes, bytes)
  }

  /// An ephemeral key goes into both, since there is a preshared key (§9.2).
  mutating func mixEphemeral(_ key: PublicKey, _ context: borrowing BLAKE2sContext) {
    let bytes = Digest32(key)
    mixHash(bytes.bytes, context)
    mixKey(bytes.bytes, context)
  }

  mutating func mixKey(_ input: RawSpan, _ context: borrowing BLAKE2sContext) {
    context.derive(key: chainingKey.bytes, input: input, chainingKey)
  }

  /// As `mixKey`, and derives the key of a message.
  mutating func mixKeyForMessage(_ input: RawSpan, _ context: borrowing BLAKE2sContext) -> SecretBytes {
    let key = SecretBytes()
    context.derive(key: chainingKey.bytes, input: input, chainingKey, key)
    return key
  }

  mutating func mixPresharedKey(_ input: RawSpan, _ context: borrowing BLAKE2sContext) -> SecretBytes {
    let key = SecretBytes(), toHash = SecretBytes()
    context.derive(key: chainingKey.bytes, input: input, chainingKey, toHash, key)
    mixHash(toHash.bytes, context)
    return key
  }

  /// Appends the ciphertext and its tag to `output`, and mixes them in.
  mutating func seal(
    _ plaintext: RawSpan, _ key: borrowing SecretBytes, into output: inout OutputRawSpan,
    _ context: borrowing BLAKE2sContext
  ) {
    let start = output.byteCount
    ChaCha20Poly1305.seal(
      key: key.bytes, nonce: Self.nonce, plaintext: plaintext, authenticating: hash.bytes, into: &output)
    mixHash(output.bytes.extracting(start..<output.byteCount), context)
  }

  /// Appends the plaintext to `output` and mixes the ciphertext in; changes nothing when it throws.
  mutating func open(
    _ ciphertext: RawSpan, _ key: borrowing SecretBytes, into output: inout OutputRawSpan,
    _ context: borrowing BLAKE2sContext
  ) throws(CryptoError) {
    try ChaCha20Poly1305.open(
      key: key.bytes, nonce: Self.nonce, ciphertext: ciphertext, authenticating: hash.bytes, into: &output)
    mixHash(ciphertext, context)
  }

  /// Derives the two keys of the finished handshake: what the initiator seals with, and what the responder does.
  func split(
    _ context: borrowing BLAKE2sContext, _ initiator: borrowing SecretBytes, _ responder: borrowing SecretBytes
  ) { context.derive(key: chainingKey.bytes, input: RawSpan(), initiator, responder) }

  var exporter: HandshakeExporter { HandshakeExporter(chainingKey: chainingKey.copy(), handshakeHash: hash) }
}
