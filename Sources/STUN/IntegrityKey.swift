internal import CMeshLibcrypto
internal import MeshPrimitives

/// The key of MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 (RFC 8489 §9.1.1, §9.2.2), hashed in once, so that making and
/// checking a code allocates nothing. Wiped when it goes.
///
/// Passwords and user names are taken as they are: text that is not ASCII must have been prepared with the OpaqueString
/// profile (RFC 8265) by the caller.
@safe public final class IntegrityKey: Sendable {
  // Written in `init` only.
  nonisolated(unsafe) private let state: UnsafeMutablePointer<mesh_hmac_key>

  /// A key of these bytes.
  public init(copying bytes: RawSpan) {
    unsafe state = UnsafeMutablePointer<mesh_hmac_key>.allocate(capacity: 1)
    unsafe state.initialize(to: mesh_hmac_key())
    unsafe bytes.withUnsafeBytes {
      unsafe mesh_hmac_key_set(state, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), $0.count)
    }
  }

  deinit {
    unsafe OPENSSL_cleanse(state, MemoryLayout<mesh_hmac_key>.size)
    unsafe state.deallocate()
  }

  /// The key of a short-term credential: the password itself. The one that ICE uses.
  public convenience init(shortTerm password: String) { self.init(copying: Array(password.utf8).bytes) }

  /// The key of a long-term credential: a hash of `username:realm:password`.
  /// - Precondition: `algorithm` is supported.
  public convenience init(
    longTerm username: some Collection<UInt8>, realm: some Collection<UInt8>, password: some Collection<UInt8>,
    algorithm: PasswordAlgorithm = .md5
  ) {
    precondition(algorithm.isSupported, "the algorithm must be one of those that are supported")
    let colon: UInt8 = 0x3A
    var text = Array(username) + [colon] + Array(realm) + [colon] + Array(password)
    var hash = algorithm == .sha256 ? Hashes.sha256(text.bytes) : Hashes.md5(text.bytes)
    self.init(copying: hash.bytes)
    Hashes.wipe(&text)
    Hashes.wipe(&hash)
  }

  /// The key of a long-term credential.
  public convenience init(
    longTerm username: String, realm: String, password: String, algorithm: PasswordAlgorithm = .md5
  ) {
    self.init(longTerm: username.utf8, realm: realm.utf8, password: password.utf8, algorithm: algorithm)
  }

  /// HMAC-SHA1 or HMAC-SHA256 of `first` and `second`, one behind the other.
  func code(_ algorithm: IntegrityAlgorithm, _ first: RawSpan, _ second: RawSpan) -> IntegrityCode {
    var code = IntegrityCode()
    unsafe first.withUnsafeBytes { first in
      unsafe second.withUnsafeBytes { second in
        unsafe withUnsafeMutableBytes(of: &code.storage) { target in
          let address = unsafe target.baseAddress!.assumingMemoryBound(to: UInt8.self)
          switch algorithm {
          case .sha1:
            unsafe mesh_hmac_sha1(state, first.baseAddress, first.count, second.baseAddress, second.count, address)
          case .sha256:
            unsafe mesh_hmac_sha256(state, first.baseAddress, first.count, second.baseAddress, second.count, address)
          }
        }
      }
    }
    return code
  }

  /// HMAC-SHA1 of `bytes`: 20 bytes (allocates).
  public func hmacSHA1(_ bytes: RawSpan) -> [UInt8] {
    let code = code(.sha1, bytes, RawSpan())
    return unsafe Array(copying: code.storage.span.bytes.extracting(first: 20))
  }

  /// HMAC-SHA256 of `bytes`: 32 bytes (allocates).
  public func hmacSHA256(_ bytes: RawSpan) -> [UInt8] {
    let code = code(.sha256, bytes, RawSpan())
    return unsafe Array(copying: code.storage.span.bytes)
  }
}

extension IntegrityKey {
  /// Whether the bytes are the same, in constant time for their length.
  static func areEqual(_ left: RawSpan, _ right: RawSpan) -> Bool {
    guard left.byteCount == right.byteCount else { return false }
    return unsafe left.withUnsafeBytes { left in
      unsafe right.withUnsafeBytes { unsafe CRYPTO_memcmp(left.baseAddress, $0.baseAddress, left.count) }
    } == 0
  }
}

/// Which of the two integrity attributes.
@frozen
public enum IntegrityAlgorithm: UInt8, Sendable {
  /// MESSAGE-INTEGRITY: HMAC-SHA1, 20 bytes.
  case sha1
  /// MESSAGE-INTEGRITY-SHA256: HMAC-SHA256, 16 to 32 bytes.
  case sha256
}

/// What HMAC gave: the first 20 bytes for SHA-1.
struct IntegrityCode {
  var storage: InlineArray<32, UInt8> = InlineArray(repeating: 0)

  /// Whether `bytes` are the first of the code, in constant time.
  func matches(_ bytes: RawSpan) -> Bool {
    precondition(bytes.byteCount <= 32, "a code has at most 32 bytes")
    return unsafe bytes.withUnsafeBytes { bytes in
      unsafe storage.span.bytes.withUnsafeBytes { unsafe CRYPTO_memcmp(bytes.baseAddress, $0.baseAddress, bytes.count) }
    } == 0
  }
}

/// Hashes without a key.
enum Hashes {
  static func md5(_ bytes: RawSpan) -> [UInt8] {
    var hash = [UInt8](repeating: 0, count: Int(MD5_DIGEST_LENGTH))
    unsafe bytes.withUnsafeBytes { source in
      unsafe hash.withUnsafeMutableBufferPointer {
        unsafe _ = MD5(source.baseAddress?.assumingMemoryBound(to: UInt8.self), source.count, $0.baseAddress)
      }
    }
    return hash
  }

  static func sha256(_ bytes: RawSpan) -> [UInt8] {
    var hash = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
    unsafe bytes.withUnsafeBytes { source in
      unsafe hash.withUnsafeMutableBufferPointer {
        unsafe _ = SHA256(source.baseAddress?.assumingMemoryBound(to: UInt8.self), source.count, $0.baseAddress)
      }
    }
    return hash
  }

  static func wipe(_ bytes: inout [UInt8]) {
    unsafe bytes.withUnsafeMutableBytes { unsafe OPENSSL_cleanse($0.baseAddress, $0.count) }
  }
}
