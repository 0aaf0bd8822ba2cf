internal import MeshPrimitives

/// USERHASH (RFC 8489 §14.4): the name of a user, hidden from who only listens.
public enum Userhash {
  /// SHA-256 of `username:realm`: 32 bytes.
  public static func compute(username: some Collection<UInt8>, realm: some Collection<UInt8>) -> [UInt8] {
    Hashes.sha256((Array(username) + [0x3A] + Array(realm)).bytes)
  }

  /// SHA-256 of `username:realm`: 32 bytes.
  public static func compute(username: String, realm: String) -> [UInt8] {
    compute(username: username.utf8, realm: realm.utf8)
  }
}
