internal import Glibc
public import MeshCrypto
public import MeshPrimitives

/// The private key that a node is known by. It can be kept in a file that nobody else may read.
public struct Identity: Sendable {
  // Shared, not copied: a key has one place in locked memory.
  private final class Storage: Sendable {
    let key: PrivateKey
    init(_ key: consuming PrivateKey) { self.key = key }
  }

  private let storage: Storage

  /// A new random identity.
  public static func generate() -> Identity {
    var entropy = SystemEntropy()
    guard let key = try? PrivateKey(generating: &entropy) else {
      preconditionFailure("there is no locked memory for a key: raise RLIMIT_MEMLOCK")
    }
    return Identity(key)
  }

  public init(_ key: consuming PrivateKey) { storage = Storage(key) }

  /// Reads a key as `wg genkey` writes it: 44 characters of base64.
  public init(base64: String) throws(KeyError) { self.init(try PrivateKey(base64: base64)) }

  /// Reads a key from a file that only its owner may read.
  public init(contentsOf path: String) throws(IdentityError) {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .unreadable(path: path, errno: errno) }
    defer { close(descriptor) }
    var information = stat()
    guard unsafe fstat(descriptor, &information) == 0 else { throw .unreadable(path: path, errno: errno) }
    guard information.st_mode & 0o077 == 0 else { throw .readableByOthers(path: path) }
    var bytes = [UInt8](repeating: 0, count: 256)
    let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
    guard count >= 0 else { throw .unreadable(path: path, errno: errno) }
    let text = String(decoding: bytes[..<count], as: UTF8.self)
    let trimmed = text.drop { $0.isWhitespace }.prefix { !$0.isWhitespace }
    guard let key = try? PrivateKey(base64: String(trimmed)) else { throw .noKey(path: path) }
    self.init(key)
  }

  public var publicKey: PublicKey { storage.key.publicKey }

  /// The key in base64, to be written to a file. Whoever reads it is this node.
  public func base64() -> String { storage.key.base64() }

  func privateKey() throws(KeyError) -> PrivateKey { try storage.key.copy() }
}

/// Why a key file was not taken.
public enum IdentityError: Error, Equatable, Sendable, CustomStringConvertible {
  case unreadable(path: String, errno: Int32)
  case readableByOthers(path: String)
  case noKey(path: String)

  public var description: String {
    switch self {
    case .unreadable(let path, let errno): "cannot read \(path): \(systemMessage(errno))"
    case .readableByOthers(let path): "others can read the private key in \(path); run: chmod 600 \(path)"
    case .noKey(let path): "\(path) holds no private key; make one with: pnet genkey -o FILE"
    }
  }
}
