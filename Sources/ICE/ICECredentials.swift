public import MeshPrimitives

/// What the ends of a session show each other in checks (RFC 8445 §5.3): a name in the clear, and a password that signs.
///
/// Both are new for each session, and travel by the signalling that the two ends trust.
public struct ICECredentials: Sendable {
  /// 4 to 256 letters, digits, `+` and `/`.
  public let ufrag: String
  /// 22 to 256 of them.
  public let password: String

  /// `nil` unless both are of their form.
  public init?(ufrag: String, password: String) {
    guard Self.isText(ufrag, 4...256), Self.isText(password, 22...256) else { return nil }
    self.ufrag = ufrag
    self.password = password
  }

  /// Fresh ones: 48 bits of name, 144 bits of password.
  public init(random entropy: inout some Entropy) {
    func text(_ count: Int, _ entropy: inout some Entropy) -> String {
      var bytes = [UInt8](repeating: 0, count: count)
      var span = bytes.mutableBytes
      entropy.fill(&span)
      return String(decoding: bytes.map { Self.alphabet[Int($0 & 63)] }, as: UTF8.self)
    }
    ufrag = text(8, &entropy)
    password = text(24, &entropy)
  }

  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  static func isICECharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2B, 0x2F: true
    default: false
    }
  }

  static func isText(_ text: String, _ lengths: ClosedRange<Int>) -> Bool {
    lengths.contains(text.utf8.count) && text.utf8.allSatisfy(isICECharacter)
  }
}
