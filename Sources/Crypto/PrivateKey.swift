internal import CMeshSodium
public import MeshPrimitives

/// A 32-byte X25519 private key: the secret half of a node's identity.
///
/// Noncopyable, in one guarded and locked allocation for life, read as zeros in a forked child, wiped when it goes. It
/// takes two pages and four mappings, so it is for the few keys that live long: a handshake's own keys are in
/// `SecretSlab`.
@safe public struct PrivateKey: ~Copyable, @unchecked Sendable {
  // Written by the initialisers only; shared reads are safe.
  private let storage: UnsafeMutablePointer<UInt8>
  /// The public half, computed once.
  public let publicKey: PublicKey

  /// Copies 32 bytes and clamps the copy (RFC 7748 §5).
  /// - Throws: `.wrongLength` unless there are exactly 32; `.outOfMemory`.
  public init(copying bytes: RawSpan) throws(KeyError) {
    guard bytes.byteCount == 32 else { throw .wrongLength(bytes.byteCount) }
    let storage = unsafe try Self.allocate()
    unsafe bytes.withUnsafeBytes {
      unsafe UnsafeMutableRawPointer(storage).copyMemory(from: $0.baseAddress!, byteCount: 32)
    }
    unsafe self.init(owning: storage)
  }

  /// - Throws: `.outOfMemory`.
  public init(generating entropy: inout some Entropy) throws(KeyError) {
    let storage = unsafe try Self.allocate()
    var bytes = unsafe MutableRawSpan(_unsafeBytes: UnsafeMutableRawBufferPointer(start: storage, count: 32))
    entropy.fill(&bytes)
    unsafe self.init(owning: storage)
  }

  /// Reads 44 characters of base64, as `wg genkey` prints them (without the line's end).
  /// - Throws: `.malformedText`, `.outOfMemory`.
  public init(base64 text: String) throws(KeyError) {
    let storage = unsafe try Self.allocate()
    guard unsafe SecretText.decode(text, to: storage) else {
      unsafe sodium_free(storage)
      throw .malformedText
    }
    unsafe self.init(owning: storage)
  }

  /// `storage` comes from `sodium_malloc` and holds 32 bytes.
  private init(owning storage: UnsafeMutablePointer<UInt8>) {
    unsafe X25519.clamp(storage)
    unsafe self.storage = storage
    publicKey = unsafe X25519.publicKey(of: storage)
  }

  private static func allocate() throws(KeyError) -> UnsafeMutablePointer<UInt8> {
    Sodium.start()
    guard let storage = unsafe sodium_malloc(32) else { throw .outOfMemory }
    unsafe mesh_secret_wipe_on_fork(storage, 32, 4096)
    return unsafe storage.assumingMemoryBound(to: UInt8.self)
  }

  // Wipes first.
  deinit { unsafe sodium_free(storage) }

  /// 44 characters of base64, as `wg genkey` prints them: the only way out, for key files of mode 0600.
  ///
  /// The string is ordinary memory that nothing wipes: make it only to write it away.
  public func base64() -> String { unsafe SecretText.encode(storage) }

  /// X25519 of this key and another's.
  /// - Throws: `.lowOrderPoint` when the result is all zero.
  public func sharedSecret(with key: PublicKey) throws(KeyError) -> SharedSecret {
    guard let secret = unsafe X25519.shared(storage, with: key) else { throw .lowOrderPoint }
    return SharedSecret(secret)
  }

  /// A second owner of the same key.
  /// - Throws: `.outOfMemory`.
  public func copy() throws(KeyError) -> PrivateKey {
    let copy = unsafe try Self.allocate()
    unsafe copy.update(from: storage, count: 32)
    return unsafe PrivateKey(owning: copy, publicKey: publicKey)
  }

  private init(owning storage: UnsafeMutablePointer<UInt8>, publicKey: PublicKey) {
    unsafe self.storage = storage
    self.publicKey = publicKey
  }

  /// As `sharedSecret(with:)`, `nil` for a point of low order.
  func secretBytes(with key: PublicKey) -> SecretBytes? { unsafe X25519.shared(storage, with: key) }
}
