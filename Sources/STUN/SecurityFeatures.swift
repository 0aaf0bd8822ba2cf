internal import MeshPrimitives

/// What a server says of itself at the beginning of its nonces (RFC 8489 §9.2, §18.1): 24 bits in base64 behind a magic
/// string. An attacker who takes an attribute out of a message cannot take the bit out of the nonce, which is signed.
@frozen
public struct SecurityFeatures: OptionSet, Hashable, Sendable {
  public let rawValue: UInt32
  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The server takes PASSWORD-ALGORITHM. Bit 0 of the standard: the first.
  public static let passwordAlgorithms = SecurityFeatures(rawValue: 1 << 23)
  /// The server takes USERHASH in place of USERNAME. Bit 1 of the standard.
  public static let usernameAnonymity = SecurityFeatures(rawValue: 1 << 22)

  /// Bytes of magic string and features.
  static let cookieSize = 13
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  /// What `nonce` says; `nil` when it does not begin with the magic string (the server is older than RFC 8489).
  public init?(nonce: some Collection<UInt8>) {
    let head = Array(nonce.prefix(Self.cookieSize))
    guard head.count == Self.cookieSize, head[..<9] == Self.magicBytes[...] else { return nil }
    var bits: UInt32 = 0
    for byte in head[9...] {
      guard let digit = Self.alphabet.firstIndex(of: byte) else { return nil }
      bits = bits << 6 | UInt32(digit)
    }
    rawValue = bits
  }

  /// Magic string and features: how a nonce begins.
  public var cookie: [UInt8] {
    Self.magicBytes + [18, 12, 6, 0].map { Self.alphabet[Int(rawValue >> $0 & 63)] }
  }

  private static let magicBytes: [UInt8] = Array("obMatJos2".utf8)
}
