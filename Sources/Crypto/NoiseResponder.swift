public import MeshPrimitives

/// The responder's side of a Noise_IKpsk2 handshake with WireGuard's parameters (WireGuard paper §5.4.2, §5.4.3).
///
/// In three steps, so that a stranger costs little: the initiator's static key is decrypted, the caller looks it up,
/// the timestamp is decrypted with what the caller keeps for that peer, and only then a response is made. The layout of
/// the messages is `NoiseInitiator`'s.
public struct NoiseResponder: ~Copyable, Sendable {
  /// The length of the response's Noise part, in bytes.
  public static let messageSize = 48

  /// The initiator's key, from the message: whose it is said to be until `readTimestamp` has succeeded.
  public let remoteStatic: PublicKey
  private let remoteEphemeral: PublicKey
  private var state: NoiseState
  private var encryptedTimestamp: InlineArray<28, UInt8>
  private var hasTimestamp = false

  /// Decrypts the initiator's static key, and nothing more.
  /// - Parameter message: 108 bytes, message 1; any other length is `.forged`.
  /// - Throws: `.forged`; `.lowOrderPoint` when the message's ephemeral key is one.
  public init(reading message: RawSpan, localStatic: borrowing PrivateKey) throws(CryptoError) {
    guard message.byteCount == NoiseInitiator.messageSize else { throw .forged }
    guard let ephemeral = try? PublicKey(copying: message.extracting(first: 32)) else { throw .forged }
    guard let secret = localStatic.secretBytes(with: ephemeral) else { throw .lowOrderPoint }
    let context = BLAKE2sContext()
    var state = NoiseState(responder: localStatic.publicKey, context)
    state.mixEphemeral(ephemeral, context)
    let key = state.mixKeyForMessage(secret.bytes, context)
    let plaintext = try Digest32 { output throws(CryptoError) in
      try state.open(message.extracting(32..<80), key, into: &output, context)
    }
    guard let remoteStatic = try? PublicKey(copying: plaintext.bytes) else { throw .forged }
    self.remoteStatic = remoteStatic
    remoteEphemeral = ephemeral
    encryptedTimestamp = InlineArray { message.byte(at: 80 + $0) }
    self.state = state
  }

  /// Decrypts the timestamp, which proves that the initiator has the private half of `remoteStatic`. When it throws,
  /// nothing has changed.
  /// - Parameter staticStatic: `localStatic.sharedSecret(with: remoteStatic)`.
  /// - Throws: `.forged`.
  /// - Precondition: It has not succeeded before.
  public mutating func readTimestamp(staticStatic: borrowing SharedSecret) throws(CryptoError) -> TAI64N {
    precondition(!hasTimestamp, "the timestamp is read once")
    let context = BLAKE2sContext()
    var next = state.copy()
    let key = next.mixKeyForMessage(staticStatic.secret.bytes, context)
    let ciphertext = encryptedTimestamp.span
    let plaintext = try Digest32 { output throws(CryptoError) in
      unsafe try next.open(ciphertext.bytes, key, into: &output, context)
    }
    var reader = ByteReader(plaintext.bytes)
    guard let timestamp = try? TAI64N(parsing: &reader) else { throw .forged }
    state = next
    hasTimestamp = true
    return timestamp
  }

  /// Appends message 2 to `output` and ends the handshake.
  /// - Throws: `.lowOrderPoint` when a key of the initiator is one; nothing is appended then.
  /// - Precondition: `readTimestamp` has succeeded; `output` has room for 48 bytes.
  public consuming func respond(
    presharedKey: borrowing PresharedKey, entropy: inout some Entropy, provider: CipherProvider,
    writing output: inout OutputRawSpan
  ) throws(KeyError) -> TransportKeys {
    precondition(hasTimestamp, "read the timestamp before responding")
    precondition(output.freeCapacity >= Self.messageSize, "message 2 takes 48 bytes")
    let ephemeral = EphemeralKey(generating: &entropy)
    guard let ephemeralSecret = ephemeral.sharedSecret(with: remoteEphemeral),
      let staticSecret = ephemeral.sharedSecret(with: remoteStatic)
    else { throw .lowOrderPoint }
    let context = BLAKE2sContext()
    state.mixEphemeral(ephemeral.publicKey, context)
    ephemeral.publicKey.write(to: &output)
    state.mixKey(ephemeralSecret.bytes, context)
    state.mixKey(staticSecret.bytes, context)
    let key = presharedKey.withBytes { state.mixPresharedKey($0, context) }
    state.seal(RawSpan(), key, into: &output, context)
    return TransportKeys(state, context, provider, isInitiator: false)
  }

  /// A secret that only the initiator can compute too: `KDF1(chaining key after message 1, label)`.
  /// - Precondition: `readTimestamp` has succeeded.
  public func exportKey(label: StaticString) -> SharedSecret {
    precondition(hasTimestamp, "message 1 is read to its end by readTimestamp")
    return state.exporter.exportKey(label: label)
  }

  /// The hash of the transcript, up to message 1 once `readTimestamp` has succeeded.
  public var handshakeHash: Digest32 { state.hash }
}
