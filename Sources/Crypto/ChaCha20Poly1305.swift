internal import CMeshSodium
internal import MeshPrimitives

/// ChaCha20-Poly1305 (RFC 8439 §2.8) in one call, for the handshake. By libsodium. Packets go by `SealingKey`.
enum ChaCha20Poly1305 {
  static let overhead = 16

  /// Appends the ciphertext and its tag to `output`, which must have room for them.
  static func seal(
    key: RawSpan, nonce: RawSpan, plaintext: RawSpan, authenticating additional: RawSpan,
    into output: inout OutputRawSpan
  ) {
    precondition(key.byteCount == 32 && nonce.byteCount == 12)
    precondition(output.freeCapacity >= plaintext.byteCount + overhead)
    unsafe output.withUnsafeMutableBytes { target, count in
      unsafe withOctets(key, nonce, plaintext, additional) { key, nonce, plaintext, additional in
        var written: UInt64 = 0
        unsafe crypto_aead_chacha20poly1305_ietf_encrypt(
          target.baseAddress!.assumingMemoryBound(to: UInt8.self) + count, &written,
          plaintext.baseAddress, UInt64(plaintext.count), additional.baseAddress, UInt64(additional.count),
          nil, nonce.baseAddress!, key.baseAddress!)
        count += Int(written)
      }
    }
  }

  /// Appends the plaintext to `output`, which must have a capacity above zero and room for it; nothing when forged.
  static func open(
    key: RawSpan, nonce: RawSpan, ciphertext: RawSpan, authenticating additional: RawSpan,
    into output: inout OutputRawSpan
  ) throws(CryptoError) {
    precondition(key.byteCount == 32 && nonce.byteCount == 12)
    guard ciphertext.byteCount >= overhead else { throw .forged }
    precondition(output.freeCapacity >= ciphertext.byteCount - overhead)
    let failure = unsafe output.withUnsafeMutableBytes { target, count in
      unsafe withOctets(key, nonce, ciphertext, additional) { key, nonce, ciphertext, additional in
        var written: UInt64 = 0
        let failure = unsafe crypto_aead_chacha20poly1305_ietf_decrypt(
          target.baseAddress!.assumingMemoryBound(to: UInt8.self) + count, &written, nil,
          ciphertext.baseAddress!, UInt64(ciphertext.count), additional.baseAddress, UInt64(additional.count),
          nonce.baseAddress!, key.baseAddress!)
        if failure == 0 { count += Int(written) }
        return failure
      }
    }
    guard failure == 0 else { throw .forged }
  }
}
