internal import MeshPrimitives

/// The accounts of a server in one realm: keys by user name and by USERHASH, and, if a secret is set, credentials that carry
/// their own time limit. Passwords are not kept, only the keys that are made of them.
public struct UserDirectory: Sendable {
  private struct Account: Sendable {
    let md5: IntegrityKey
    let sha256: IntegrityKey
  }

  /// A user who was found.
  public struct Found: Sendable {
    /// The user name, or for time-limited credentials the part behind the time: what quotas count by.
    public var user: [UInt8]
    public var key: IntegrityKey
  }

  public let realm: String
  private var accounts: [[UInt8]: Account] = [:]
  private var hashes: [[UInt8]: [UInt8]] = [:]
  private var secret: IntegrityKey?

  /// - Parameter realm: at most 127 bytes.
  public init(realm: String) {
    precondition(realm.utf8.count <= 127, "a realm has at most 127 bytes here")
    self.realm = realm
  }

  /// Adds a user, or changes the password.
  /// - Parameter username: at most 512 bytes. Not ASCII: prepared with OpaqueString (RFC 8265), as the password.
  public mutating func add(_ username: String, password: String) {
    precondition(username.utf8.count <= 512, "a user name has at most 512 bytes")
    accounts[Array(username.utf8)] = Account(
      md5: IntegrityKey(longTerm: username, realm: realm, password: password, algorithm: .md5),
      sha256: IntegrityKey(longTerm: username, realm: realm, password: password, algorithm: .sha256))
    hashes[Userhash.compute(username: username, realm: realm)] = Array(username.utf8)
  }

  public mutating func remove(_ username: String) {
    accounts[Array(username.utf8)] = nil
    hashes[Userhash.compute(username: username, realm: realm)] = nil
  }

  public var count: Int { accounts.count }

  /// Whether credentials that carry their time limit are taken.
  public var acceptsTimeLimited: Bool { secret != nil }

  /// Takes credentials made with `secret` by somebody else (the "REST API" of TURN servers): the user name is
  /// `expiry:anything`, with the expiry in seconds since 1970, and the password the base64 of HMAC-SHA1 of the user name under
  /// the secret. Such users cannot be found by USERHASH.
  public mutating func acceptTimeLimited(secret: String) { self.secret = IntegrityKey(shortTerm: secret) }

  /// The password of a time-limited user name.
  public static func timeLimitedPassword(for username: String, secret: String) -> String {
    BaseEncoding.base64.encode(IntegrityKey(shortTerm: secret).hmacSHA1(Array(username.utf8).bytes).bytes)
  }

  /// - Parameter seconds: since 1970, for time limits.
  func find(_ username: [UInt8], _ algorithm: PasswordAlgorithm, seconds: Int64) -> Found? {
    if let account = accounts[username] {
      return Found(user: username, key: algorithm == .sha256 ? account.sha256 : account.md5)
    }
    guard let secret else { return nil }
    let digits = username.prefix { $0 != 0x3A }
    guard !digits.isEmpty, digits.count <= 12, digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
      let expiry = Int64(String(decoding: digits, as: UTF8.self)), expiry > seconds
    else { return nil }
    let password = BaseEncoding.base64.encode(secret.hmacSHA1(username.bytes).bytes)
    let key = IntegrityKey(
      longTerm: username, realm: Array(realm.utf8), password: Array(password.utf8), algorithm: algorithm)
    let user = username.count > digits.count + 1 ? Array(username[(digits.count + 1)...]) : username
    return Found(user: user, key: key)
  }

  func find(userhash: [UInt8], _ algorithm: PasswordAlgorithm) -> Found? {
    guard let username = hashes[userhash] else { return nil }
    return find(username, algorithm, seconds: .max)
  }
}
