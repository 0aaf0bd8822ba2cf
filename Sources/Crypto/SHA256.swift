internal import CMeshLibcrypto
internal import MeshPrimitives

/// SHA-256 (FIPS 180-4) of bytes that come in pieces, by libcrypto. For checking what was transferred; the protocol
/// itself uses ``BLAKE2s``.
@safe public final class SHA256 {
  private let context: OpaquePointer

  public init() {
    guard let context = unsafe EVP_MD_CTX_new() else { fatalError("out of memory") }
    unsafe self.context = context
    precondition(unsafe EVP_DigestInit_ex2(context, Algorithms.sha256, nil) == 1, "libcrypto must be able to hash")
  }

  // Wipes first.
  deinit { unsafe EVP_MD_CTX_free(context) }

  /// Takes in the next bytes.
  public func update(_ bytes: RawSpan) {
    let good = unsafe bytes.withUnsafeBytes { unsafe EVP_DigestUpdate(context, $0.baseAddress, $0.count) }
    precondition(good == 1, "libcrypto must be able to hash")
  }

  /// The hash of all bytes so far; more may follow.
  public func digest() -> Digest32 {
    guard let copy = unsafe EVP_MD_CTX_new() else { fatalError("out of memory") }
    defer { unsafe EVP_MD_CTX_free(copy) }
    return Digest32 { output in
      var good = unsafe EVP_MD_CTX_copy_ex(copy, context)
      unsafe output.withUnsafeMutableBytes { target, count in
        var length: UInt32 = 0
        good &= unsafe EVP_DigestFinal_ex(copy, target.baseAddress!.assumingMemoryBound(to: UInt8.self), &length)
        count = Int(length)
      }
      precondition(good == 1, "libcrypto must be able to hash")
    }
  }

  /// The hash of `bytes`.
  public static func hash(_ bytes: RawSpan) -> Digest32 {
    let hash = SHA256()
    hash.update(bytes)
    return hash.digest()
  }
}
