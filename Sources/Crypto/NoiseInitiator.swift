public import MeshPrimitives

/// The initiator's side of a Noise_IKpsk2 handshake with WireGuard's parameters (WireGuard paper §5.4.2, §5.4.3).
///
/// It reads and writes the Noise part of the messages; types, indices and MACs are the session's. Message 1, 108
/// bytes: `ephemeral 32 ‖ encrypted static key 48 ‖ encrypted timestamp 28`. Message 2, 48 bytes: `ephemeral 32 ‖
/// encrypted nothing 16`.
public struct NoiseInitiator: ~Copyable, Sendable {
  /// The length of the first message's Noise part, in bytes.
  public static let messageSize = 108

  private let ephemeral: EphemeralKey
  private let state: NoiseState

  /// Appends message 1 to `output`.
  /// - Parameters:
  ///   - staticStatic: `localStatic.sharedSecret(with: remoteStatic)`, which is worth keeping per peer.
  ///   - timestamp: Greater than any sent to this peer before.
  /// - Throws: `.lowOrderPoint` when `remoteStatic` is one; nothing is appended then.
  /// - Precondition: `output` has room for 108 bytes.
  public init(
    localStatic: borrowing PrivateKey, remoteStatic: PublicKey, staticStatic: borrowing SharedSecret,
    timestamp: TAI64N, entropy: inout some Entropy, writing output: inout OutputRawSpan
  ) throws(KeyError) {
    precondition(output.freeCapacity >= Self.messageSize, "message 1 takes 108 bytes")
    let context = BLAKE2sContext()
    let ephemeral = EphemeralKey(generating: &entropy)
    guard let secret = ephemeral.sharedSecret(with: remoteStatic) else { throw .lowOrderPoint }
    var state = NoiseState(responder: remoteStatic, context)
    state.mixEphemeral(ephemeral.publicKey, context)
    ephemeral.publicKey.write(to: &output)

    let staticKey = state.mixKeyForMessage(secret.bytes, context)
    let publicKey = Digest32(localStatic.publicKey)
    state.seal(publicKey.bytes, staticKey, into: &output, context)

    let timestampKey = state.mixKeyForMessage(staticStatic.secret.bytes, context)
    let time = Digest32 { timestamp.write(to: &$0) }
    state.seal(time.bytes.extracting(first: 12), timestampKey, into: &output, context)

    self.ephemeral = ephemeral
    self.state = state
  }

  /// Reads message 2 and ends the handshake. When it throws, nothing has changed: a later message may be the true one.
  /// - Parameter message: 48 bytes; any other length is `.forged`.
  /// - Throws: `.forged`; `.lowOrderPoint` when the message's ephemeral key is one.
  public func read(
    response message: RawSpan, localStatic: borrowing PrivateKey, presharedKey: borrowing PresharedKey,
    provider: CipherProvider
  ) throws(CryptoError) -> TransportKeys {
    guard message.byteCount == NoiseResponder.messageSize else { throw .forged }
    guard let remote = try? PublicKey(copying: message.extracting(first: 32)) else { throw .forged }
    guard let ephemeralSecret = ephemeral.sharedSecret(with: remote),
      let staticSecret = localStatic.secretBytes(with: remote)
    else { throw .lowOrderPoint }
    let context = BLAKE2sContext()
    var state = state.copy()
    state.mixEphemeral(remote, context)
    state.mixKey(ephemeralSecret.bytes, context)
    state.mixKey(staticSecret.bytes, context)
    let key = presharedKey.withBytes { state.mixPresharedKey($0, context) }
    var nothing: UInt8 = 0
    try unsafe withUnsafeMutableBytes(of: &nothing) { buffer throws(CryptoError) in
      var output = unsafe OutputRawSpan(buffer: buffer, initializedCount: 0)
      try state.open(message.extracting(last: 16), key, into: &output, context)
    }
    return TransportKeys(state, context, provider, isInitiator: true)
  }

  /// A secret that the responder can compute once it has read message 1: `KDF1(chaining key after message 1, label)`.
  public func exportKey(label: StaticString) -> SharedSecret { state.exporter.exportKey(label: label) }

  /// The hash of the transcript up to message 1.
  public var handshakeHash: Digest32 { state.hash }
}

extension TransportKeys {
  /// Splits the finished handshake into the keys of its directions.
  init(
    _ state: borrowing NoiseState, _ context: borrowing BLAKE2sContext, _ provider: CipherProvider, isInitiator: Bool
  ) {
    let sealing = SecretBytes(), opening = SecretBytes()
    if isInitiator { state.split(context, sealing, opening) } else { state.split(context, opening, sealing) }
    self.init(
      sealing: SealingKey(CipherKey(sealing, provider, sealing: true)),
      opening: OpeningKey(CipherKey(opening, provider, sealing: false)),
      exporter: state.exporter)
  }
}
