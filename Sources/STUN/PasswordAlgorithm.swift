/// How a key is made of a long-term password (RFC 8489 §18.5).
@frozen
public struct PasswordAlgorithm: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt16
  @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// MD5 of `username:realm:password`: 16 bytes.
  public static let md5 = PasswordAlgorithm(rawValue: 1)
  /// SHA-256 of `username:realm:password`: 32 bytes.
  public static let sha256 = PasswordAlgorithm(rawValue: 2)

  /// Whether a key can be made with it here.
  public var isSupported: Bool { self == .md5 || self == .sha256 }
}
