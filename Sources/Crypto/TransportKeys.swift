/// What a handshake results in: a key for each direction. Consumed into its parts.
@frozen
public struct TransportKeys: ~Copyable, Sendable {
  public var sealing: SealingKey
  public var opening: OpeningKey
  /// Further secrets of the finished handshake. Let go of it at once unless one is needed.
  public let exporter: HandshakeExporter

  init(sealing: consuming SealingKey, opening: consuming OpeningKey, exporter: consuming HandshakeExporter) {
    self.sealing = sealing
    self.opening = opening
    self.exporter = exporter
  }
}

/// The state of a handshake after one of its messages, as a source of secrets that only its two ends can compute.
public struct HandshakeExporter: ~Copyable, Sendable {
  private let chainingKey: SecretBytes
  /// The hash of all that was said so far: to be authenticated along with what an exported key seals. No secret.
  public let handshakeHash: Digest32

  init(chainingKey: consuming SecretBytes, handshakeHash: Digest32) {
    self.chainingKey = chainingKey
    self.handshakeHash = handshakeHash
  }

  /// `KDF1(chaining key, label)`. Different labels give independent keys.
  public func exportKey(label: StaticString) -> SharedSecret {
    let key = SecretBytes()
    BLAKE2sContext().derive(key: chainingKey.bytes, input: label.bytes, key)
    return SharedSecret(key)
  }
}
