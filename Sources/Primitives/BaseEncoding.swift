/// RFC 4648 text encodings of public values. Not constant time: secrets are encoded by MeshCrypto.
public enum BaseEncoding: Sendable {
  /// `A-Z a-z 0-9 + /` with padding (RFC 4648 §4).
  case base64
  /// `A-Z a-z 0-9 - _` without padding (RFC 4648 §5).
  case base64URL
  /// Lower-case `a-z 2-7` without padding (RFC 4648 §6); decoding also takes upper case.
  case base32

  private static let base64Alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let base64URLAlphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
  private static let base32Alphabet = Array("abcdefghijklmnopqrstuvwxyz234567".utf8)

  private var alphabet: [UInt8] {
    switch self {
    case .base64: Self.base64Alphabet
    case .base64URL: Self.base64URLAlphabet
    case .base32: Self.base32Alphabet
    }
  }

  private var bitsPerDigit: Int { self == .base32 ? 5 : 6 }

  public func encode(_ bytes: RawSpan) -> String {
    let alphabet = alphabet
    var text: [UInt8] = []
    var accumulator: UInt32 = 0
    var bits = 0
    for offset in 0..<bytes.byteCount {
      accumulator = accumulator << 8 | UInt32(bytes.byte(at: offset))
      bits += 8
      while bits >= bitsPerDigit {
        bits -= bitsPerDigit
        text.append(alphabet[Int(accumulator >> bits) & (alphabet.count - 1)])
      }
      accumulator &= (1 << bits) - 1
    }
    if bits > 0 { text.append(alphabet[Int(accumulator << (bitsPerDigit - bits)) & (alphabet.count - 1)]) }
    if self == .base64 { while text.count % 4 != 0 { text.append(UInt8(ascii: "=")) } }
    return String(decoding: text, as: UTF8.self)
  }

  /// The bytes that `text` stands for; `nil` unless it is exactly what ``encode(_:)`` gives for them
  /// (for base32 in either case).
  public func decode(_ text: some StringProtocol) -> [UInt8]? {
    let alphabet = alphabet
    var digits = Array(text.utf8)
    if self == .base64 {
      guard digits.count % 4 == 0 else { return nil }
      var padding = 0
      while padding < 2, digits.last == UInt8(ascii: "=") {
        digits.removeLast()
        padding += 1
      }
    }
    var bytes: [UInt8] = []
    var accumulator: UInt32 = 0
    var bits = 0
    for digit in digits {
      let lowered = self == .base32 && (0x41...0x5A).contains(digit) ? digit | 0x20 : digit
      guard let value = alphabet.firstIndex(of: lowered) else { return nil }
      accumulator = accumulator << bitsPerDigit | UInt32(value)
      bits += bitsPerDigit
      if bits >= 8 {
        bits -= 8
        bytes.append(UInt8(truncatingIfNeeded: accumulator >> bits))
        accumulator &= (1 << bits) - 1
      }
    }
    // Left-over bits must be zero and fewer than a digit, or two texts would stand for the same bytes.
    guard bits < bitsPerDigit, accumulator == 0 else { return nil }
    return bytes
  }
}
