internal import CMeshLibcrypto
public import MeshPrimitives

/// BLAKE2s (RFC 7693) as WireGuard uses it: hash, keyed hash of 16 bytes, HMAC and key derivation. By libcrypto.
///
/// The results are values in ordinary memory. What derives secrets inside this module writes them to locked memory.
public enum BLAKE2s {
  /// The 32-byte hash.
  public static func hash(_ bytes: RawSpan) -> Digest32 { BLAKE2sContext().hash(bytes, RawSpan()) }

  /// The hash of two parts, one after the other.
  public static func hash(_ first: RawSpan, _ second: RawSpan) -> Digest32 { BLAKE2sContext().hash(first, second) }

  /// The hash of a label (its UTF-8, no terminator) and what follows it.
  public static func hash(_ label: StaticString, _ bytes: RawSpan) -> Digest32 { hash(label.bytes, bytes) }

  /// The hash of a label (its UTF-8, no terminator) and a key.
  public static func hash(_ label: StaticString, _ key: PublicKey) -> Digest32 {
    Digest32(key).withBytes { hash(label.bytes, $0) }
  }

  /// Keyed BLAKE2s with 16 bytes of output (RFC 7693 §2.5; it is no HMAC).
  /// - Precondition: `key` holds 1 to 32 bytes.
  public static func mac16(key: RawSpan, _ bytes: RawSpan) -> Tag16 { mac16(key: key, bytes, RawSpan()) }

  /// Keyed BLAKE2s of two parts, one after the other, with 16 bytes of output.
  /// - Precondition: `key` holds 1 to 32 bytes.
  public static func mac16(key: RawSpan, _ first: RawSpan, _ second: RawSpan) -> Tag16 {
    precondition((1...32).contains(key.byteCount), "a BLAKE2s key has 1 to 32 bytes")
    let context = unsafe EVP_MAC_CTX_new(Algorithms.mac)
    defer { unsafe EVP_MAC_CTX_free(context) }
    return Tag16 { output in
      var good = unsafe key.withUnsafeBytes {
        unsafe mesh_blake2s_mac_start(context, $0.baseAddress!.assumingMemoryBound(to: UInt8.self), $0.count, 16)
      }
      for part in [0, 1] {
        good &= unsafe (part == 0 ? first : second).withUnsafeBytes {
          unsafe EVP_MAC_update(context, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), $0.count)
        }
      }
      unsafe output.withUnsafeMutableBytes { target, count in
        good &= unsafe EVP_MAC_final(context, target.baseAddress!.assumingMemoryBound(to: UInt8.self), &count, 16)
      }
      precondition(good == 1, "libcrypto must be able to compute BLAKE2SMAC")
    }
  }

  /// HMAC (RFC 2104) with BLAKE2s: blocks of 64 bytes, 32 bytes of output.
  public static func hmac(key: RawSpan, _ bytes: RawSpan) -> Digest32 { hmac(key: key, bytes, RawSpan()) }

  /// HMAC of two parts, one after the other.
  public static func hmac(key: RawSpan, _ first: RawSpan, _ second: RawSpan) -> Digest32 {
    Digest32 { output in
      unsafe output.withUnsafeMutableBytes { target, count in
        unsafe BLAKE2sContext().hmac(key: key, first, second, to: target.baseAddress!)
        count = 32
      }
    }
  }

  /// The first value derived from `input` under `key` (HKDF, RFC 5869, with HMAC-BLAKE2s and no info).
  public static func kdf1(key: RawSpan, input: RawSpan) -> Digest32 { kdf3(key: key, input: input).0 }

  /// The first two values.
  public static func kdf2(key: RawSpan, input: RawSpan) -> (Digest32, Digest32) {
    let values = kdf3(key: key, input: input)
    return (values.0, values.1)
  }

  /// The first three values.
  public static func kdf3(key: RawSpan, input: RawSpan) -> (Digest32, Digest32, Digest32) {
    let first = SecretBytes(), second = SecretBytes(), third = SecretBytes()
    BLAKE2sContext().derive(key: key, input: input, first, second, third)
    return (first.digest, second.digest, third.digest)
  }
}

extension SecretBytes {
  fileprivate var digest: Digest32 { Digest32 { $0.append(bytes) } }
}

extension StaticString {
  /// The UTF-8 of the literal, which lives as long as the process.
  var bytes: RawSpan {
    @_lifetime(immortal) get {
      let span = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(utf8Start), byteCount: utf8CodeUnitCount)
      return unsafe _overrideLifetime(span, copying: ())
    }
  }
}

/// What libcrypto looks up by name, once.
@safe enum Algorithms {
  nonisolated(unsafe) static let hash: OpaquePointer = {
    guard let found = unsafe EVP_MD_fetch(nil, "BLAKE2S-256", nil) else { fatalError("libcrypto has no BLAKE2s") }
    return unsafe found
  }()
  nonisolated(unsafe) static let sha256: OpaquePointer = {
    guard let found = unsafe EVP_MD_fetch(nil, "SHA256", nil) else { fatalError("libcrypto has no SHA-256") }
    return unsafe found
  }()
  nonisolated(unsafe) static let mac: OpaquePointer = {
    guard let found = unsafe EVP_MAC_fetch(nil, "BLAKE2SMAC", nil) else { fatalError("libcrypto has no BLAKE2SMAC") }
    return unsafe found
  }()
  nonisolated(unsafe) static let cipher: OpaquePointer = {
    guard let found = unsafe EVP_CIPHER_fetch(nil, "ChaCha20-Poly1305", nil) else {
      fatalError("libcrypto has no ChaCha20-Poly1305")
    }
    return unsafe found
  }()
}
