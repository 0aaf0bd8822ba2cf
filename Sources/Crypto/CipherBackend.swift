/// A library that computes ChaCha20-Poly1305. All give the same bytes; they differ in speed.
public enum CipherBackend: String, CaseIterable, Sendable {
  /// The reference, and the fastest for short messages without `ipsecMB`. Always there.
  case libsodium
  /// OpenSSL's. Always there.
  case libcrypto
  /// Intel's Multi-Buffer Crypto for IPSec: on x86-64, when it is found at build time and at run time.
  case ipsecMB
}
