internal import CMeshSodium
internal import MeshPrimitives

/// X25519 on scalars in secret memory (RFC 7748 §5). The public face of it is `PrivateKey`.
enum X25519 {
  /// Makes 32 random bytes a scalar (RFC 7748 §5: `decodeScalar25519`).
  static func clamp(_ scalar: UnsafeMutablePointer<UInt8>) {
    unsafe scalar[0] &= 0xF8
    unsafe scalar[31] = scalar[31] & 0x7F | 0x40
  }

  static func publicKey(of scalar: UnsafePointer<UInt8>) -> PublicKey {
    // Cannot fail: a clamped scalar times the base point is never the neutral element.
    let bytes = Digest32 { output in
      unsafe output.withUnsafeMutableBytes { target, count in
        unsafe crypto_scalarmult_base(target.baseAddress!.assumingMemoryBound(to: UInt8.self), scalar)
        count = 32
      }
    }
    guard let key = bytes.withBytes({ try? PublicKey(copying: $0) }) else { fatalError("unreachable: 32 bytes") }
    return key
  }

  /// The shared secret, or `nil` when `key` is a point of low order, which would make it all zero.
  static func shared(_ scalar: UnsafePointer<UInt8>, with key: PublicKey) -> SecretBytes? {
    let secret = SecretBytes()
    let point = Digest32(key)
    let failure = point.withBytes { bytes in
      unsafe bytes.withUnsafeBytes { source in
        unsafe crypto_scalarmult(
          secret.octets, scalar, source.baseAddress!.assumingMemoryBound(to: UInt8.self))
      }
    }
    guard failure == 0, unsafe sodium_is_zero(secret.octets, 32) == 0 else { return nil }
    return consume secret
  }
}

/// A key pair for one handshake. Its private half is in the slab: there can be many of them.
struct EphemeralKey: ~Copyable {
  private let scalar: SecretBytes
  let publicKey: PublicKey

  init(generating entropy: inout some Entropy) {
    Sodium.start()
    scalar = SecretBytes(generating: &entropy)
    unsafe X25519.clamp(scalar.octets)
    publicKey = unsafe X25519.publicKey(of: scalar.octets)
  }

  func sharedSecret(with key: PublicKey) -> SecretBytes? { unsafe X25519.shared(scalar.octets, with: key) }
}
