internal import CMeshSodium
internal import MeshPrimitives

/// XChaCha20-Poly1305: the AEAD with a nonce long enough to be random (draft-irtf-cfrg-xchacha §2). By libsodium.
public enum XChaCha20Poly1305 {
  /// How much longer a sealed message is, in bytes.
  public static let overhead = 16

  /// Appends the ciphertext and its 16-byte tag to `output`.
  /// - Parameters:
  ///   - key: 32 bytes.
  ///   - nonce: 24 bytes, never used twice with `key`: random ones are.
  ///   - additional: Bytes that are authenticated but not sent.
  /// - Precondition: `output` has room for `plaintext` and 16 bytes more.
  public static func seal(
    key: RawSpan, nonce: RawSpan, plaintext: RawSpan, authenticating additional: RawSpan,
    into output: inout OutputRawSpan
  ) {
    check(key, nonce)
    precondition(output.freeCapacity >= plaintext.byteCount + overhead, "there must be room for ciphertext and tag")
    unsafe output.withUnsafeMutableBytes { target, count in
      unsafe withOctets(key, nonce, plaintext, additional) { key, nonce, plaintext, additional in
        var written: UInt64 = 0
        unsafe crypto_aead_xchacha20poly1305_ietf_encrypt(
          target.baseAddress!.assumingMemoryBound(to: UInt8.self) + count, &written,
          plaintext.baseAddress, UInt64(plaintext.count), additional.baseAddress, UInt64(additional.count),
          nil, nonce.baseAddress!, key.baseAddress!)
        count += Int(written)
      }
    }
  }

  /// Appends the plaintext of `ciphertext` (which ends with the 16-byte tag) to `output`; nothing when it throws.
  /// - Throws: `.forged` when the tag does not match or `ciphertext` is shorter than one.
  /// - Precondition: `output` has room for the plaintext.
  public static func open(
    key: RawSpan, nonce: RawSpan, ciphertext: RawSpan, authenticating additional: RawSpan,
    into output: inout OutputRawSpan
  ) throws(CryptoError) {
    check(key, nonce)
    guard ciphertext.byteCount >= overhead else { throw .forged }
    precondition(output.freeCapacity >= ciphertext.byteCount - overhead, "there must be room for the plaintext")
    let failure = unsafe output.withUnsafeMutableBytes { target, count in
      unsafe withOctets(key, nonce, ciphertext, additional) { key, nonce, ciphertext, additional in
        var written: UInt64 = 0
        // An output of no capacity has no address; libsodium wants one for a plaintext of no bytes, too.
        var nothing: UInt8 = 0
        let failure: Int32
        if let address = target.baseAddress {
          failure = unsafe crypto_aead_xchacha20poly1305_ietf_decrypt(
            address.assumingMemoryBound(to: UInt8.self) + count, &written, nil,
            ciphertext.baseAddress!, UInt64(ciphertext.count), additional.baseAddress, UInt64(additional.count),
            nonce.baseAddress!, key.baseAddress!)
        } else {
          failure = unsafe crypto_aead_xchacha20poly1305_ietf_decrypt(
            &nothing, &written, nil,
            ciphertext.baseAddress!, UInt64(ciphertext.count), additional.baseAddress, UInt64(additional.count),
            nonce.baseAddress!, key.baseAddress!)
        }
        if failure == 0 { count += Int(written) }
        return failure
      }
    }
    guard failure == 0 else { throw .forged }
  }

  private static func check(_ key: RawSpan, _ nonce: RawSpan) {
    precondition(key.byteCount == 32, "the key has 32 bytes")
    precondition(nonce.byteCount == 24, "the nonce has 24 bytes")
    Sodium.start()
  }
}

/// The bytes of four spans for one call into C.
func withOctets<Result>(
  _ first: RawSpan, _ second: RawSpan, _ third: RawSpan, _ fourth: RawSpan,
  _ body: (
    UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<UInt8>
  ) -> Result
) -> Result {
  unsafe first.withUnsafeBytes { first in
    unsafe second.withUnsafeBytes { second in
      unsafe third.withUnsafeBytes { third in
        unsafe fourth.withUnsafeBytes { fourth in
          unsafe body(
            first.assumingMemoryBound(to: UInt8.self), second.assumingMemoryBound(to: UInt8.self),
            third.assumingMemoryBound(to: UInt8.self), fourth.assumingMemoryBound(to: UInt8.self))
        }
      }
    }
  }
}
