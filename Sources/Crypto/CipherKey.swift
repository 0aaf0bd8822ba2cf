internal import CMeshIPsecMB
internal import CMeshLibcrypto
internal import CMeshSodium
internal import MeshPrimitives

/// A ChaCha20-Poly1305 key for one direction, with what the backends need to use it without allocating.
///
/// The key is in locked memory. libcrypto's context holds a second copy, in ordinary memory that libcrypto wipes when
/// it is freed; there is one only if the provider's table names libcrypto.
///
/// A class with one owner, `SealingKey` or `OpeningKey`, since Swift 6.3's optimiser stops with an assertion where a
/// public property holds a noncopyable structure with an internal `deinit`.
@safe final class CipherKey: @unchecked Sendable {
  private let secret: SecretBytes
  private let provider: CipherProvider
  private let table: CipherTable
  /// Used only between `provider.enter()` and `leave()`, but for its end.
  private let context: OpaquePointer?
  /// The provider's.
  private let manager: UnsafeMutableRawPointer?

  /// - Parameter sealing: Whether the key seals or opens: libcrypto fixes that at the start.
  init(_ secret: consuming SecretBytes, _ provider: CipherProvider, sealing: Bool) {
    Sodium.start()
    self.provider = provider
    table = provider.choices
    unsafe manager = provider.managerAddress
    if table.uses(.libcrypto) {
      guard let context = unsafe EVP_CIPHER_CTX_new() else { fatalError("out of memory") }
      // The default length of the nonce is the right one, 12 bytes.
      let good = unsafe EVP_CipherInit_ex2(context, Algorithms.cipher, secret.octets, nil, sealing ? 1 : 0, nil)
      precondition(good == 1, "libcrypto must be able to take a key")
      unsafe self.context = context
    } else {
      unsafe context = nil
    }
    self.secret = secret
  }

  // Wipes libcrypto's copy first.
  deinit { unsafe EVP_CIPHER_CTX_free(context) }

  /// Encrypts all but the last 16 bytes of `buffer` in place and writes the tag there.
  /// - Precondition: `buffer` holds 16 bytes at least.
  func seal(_ buffer: inout MutableRawSpan, counter: UInt64) {
    let length = buffer.byteCount - 16
    unsafe buffer.withUnsafeMutableBytes { buffer in
      let text = unsafe buffer.baseAddress!.assumingMemoryBound(to: UInt8.self)
      let backend = table.backend(for: length)
      if backend != .libsodium, provider.enter() {
        let isDone =
          unsafe backend == .libcrypto
          ? sealWithLibcrypto(text, length, counter) : runIPsecMB(true, text, length, counter, text + length)
        provider.leave()
        precondition(isDone, "a backend that passed its known-answer test must be able to seal")
        return
      }
      _ = unsafe withNonce(counter) { nonce in
        unsafe crypto_aead_chacha20poly1305_ietf_encrypt_detached(
          text, text + length, nil, text, UInt64(length), nil, 0, nil, nonce, secret.octets)
      }
    }
  }

  /// Decrypts all but the last 16 bytes of `buffer` in place, if these are the tag of them. Else gives `false`, and
  /// what was the ciphertext is zeros.
  /// - Precondition: `buffer` holds 16 bytes at least.
  func open(_ buffer: inout MutableRawSpan, counter: UInt64) -> Bool {
    let length = buffer.byteCount - 16
    return unsafe buffer.withUnsafeMutableBytes { buffer in
      let text = unsafe buffer.baseAddress!.assumingMemoryBound(to: UInt8.self)
      let backend = table.backend(for: length)
      let isGood: Bool
      if backend != .libsodium, provider.enter() {
        isGood =
          unsafe backend == .libcrypto
          ? openWithLibcrypto(text, length, counter) : openWithIPsecMB(text, length, counter)
        provider.leave()
      } else {
        isGood = unsafe withNonce(counter) { nonce in
          unsafe crypto_aead_chacha20poly1305_ietf_decrypt_detached(
            text, nil, text, UInt64(length), text + length, nil, 0, nonce, secret.octets) == 0
        }
      }
      // Some backends decrypt before they know.
      if !isGood { unsafe Sodium.wipe(text, length) }
      return isGood
    }
  }

  private func sealWithLibcrypto(_ text: UnsafeMutablePointer<UInt8>, _ length: Int, _ counter: UInt64) -> Bool {
    var written: Int32 = 0
    guard unsafe withNonce(counter, { unsafe EVP_EncryptInit_ex(context, nil, nil, nil, $0) }) == 1 else {
      return false
    }
    if length > 0 {
      guard unsafe EVP_EncryptUpdate(context, text, &written, text, Int32(length)) == 1 else { return false }
    }
    guard unsafe EVP_EncryptFinal_ex(context, text + length, &written) == 1 else { return false }
    return unsafe EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, text + length) == 1
  }

  private func openWithLibcrypto(_ text: UnsafeMutablePointer<UInt8>, _ length: Int, _ counter: UInt64) -> Bool {
    var written: Int32 = 0
    guard unsafe withNonce(counter, { unsafe EVP_DecryptInit_ex(context, nil, nil, nil, $0) }) == 1 else {
      return false
    }
    guard unsafe EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, text + length) == 1 else { return false }
    if length > 0 {
      guard unsafe EVP_DecryptUpdate(context, text, &written, text, Int32(length)) == 1 else { return false }
    }
    var rest: (UInt64, UInt64) = (0, 0)
    return unsafe withUnsafeMutableBytes(of: &rest) {
      unsafe EVP_DecryptFinal_ex(context, $0.baseAddress!.assumingMemoryBound(to: UInt8.self), &written) > 0
    }
  }

  /// The library decrypts whatever it is given and computes the tag that would be right: the comparison is ours.
  private func openWithIPsecMB(_ text: UnsafeMutablePointer<UInt8>, _ length: Int, _ counter: UInt64) -> Bool {
    var tag: (UInt64, UInt64) = (0, 0)
    let isDone = unsafe withUnsafeMutableBytes(of: &tag) { tag in
      unsafe runIPsecMB(false, text, length, counter, tag.baseAddress!.assumingMemoryBound(to: UInt8.self))
    }
    guard isDone else { return false }
    // As a whole: where they differ makes no difference in time.
    let given = unsafe UnsafeRawPointer(text + length)
    let low = unsafe tag.0 ^ given.loadUnaligned(as: UInt64.self)
    let high = unsafe tag.1 ^ given.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    return low | high == 0
  }

  private func runIPsecMB(
    _ encrypts: Bool, _ text: UnsafeMutablePointer<UInt8>, _ length: Int, _ counter: UInt64,
    _ tag: UnsafeMutablePointer<UInt8>
  ) -> Bool {
    unsafe withNonce(counter) {
      unsafe mesh_ipsec_mb_run(manager, encrypts ? 1 : 0, secret.octets, $0, text, length, tag) == 1
    }
  }

  /// Lends the 12 bytes of a nonce: four zeros and the counter, little-endian.
  @inline(__always)
  private func withNonce<Result>(_ counter: UInt64, _ body: (UnsafePointer<UInt8>) -> Result) -> Result {
    let nonce: InlineArray<3, UInt32> = [
      0, UInt32(truncatingIfNeeded: counter).littleEndian, UInt32(truncatingIfNeeded: counter >> 32).littleEndian,
    ]
    return unsafe withUnsafeBytes(of: nonce) {
      unsafe body($0.baseAddress!.assumingMemoryBound(to: UInt8.self))
    }
  }
}
