internal import CMeshSodium
internal import MeshPrimitives

/// BLAKE2b-256 (RFC 7693, no key) of all bytes of a dictionary: its identity.
public struct DictionaryHash: Hashable, Sendable {
  /// The 32 bytes as four big-endian words.
  private let words: (UInt64, UInt64, UInt64, UInt64)

  /// The hash of `bytes`.
  public init(of bytes: RawSpan) {
    var digest = [UInt8](repeating: 0, count: 32)
    let result = unsafe bytes.withUnsafeBytes { input in
      unsafe crypto_generichash_blake2b(&digest, 32, input.baseAddress, UInt64(input.count), nil, 0)
    }
    precondition(result == 0, "BLAKE2b fails for wrong lengths only")
    self.init(unchecked: digest.bytes)
  }

  /// A hash as it came over a network or out of a file; `nil` unless it has 32 bytes.
  public init?(_ bytes: RawSpan) {
    guard bytes.byteCount == 32 else { return nil }
    self.init(unchecked: bytes)
  }

  /// 64 hexadecimal digits in either case; `nil` when `text` is anything else.
  public init?(_ text: some StringProtocol) {
    let digits = Array(text.utf8)
    guard digits.count == 64 else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: 64, by: 2) {
      guard let high = Self.value(digits[index]), let low = Self.value(digits[index + 1]) else { return nil }
      bytes.append(high << 4 | low)
    }
    self.init(unchecked: bytes.bytes)
  }

  private init(unchecked bytes: RawSpan) {
    func word(_ index: Int) -> UInt64 {
      UInt64(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 8 * index, as: UInt64.self))
    }
    words = (word(0), word(1), word(2), word(3))
  }

  private static func value(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  /// The 32 bytes.
  public var bytes: [UInt8] {
    [UInt8](capacity: 32) { output in
      output.append(words.0, .big)
      output.append(words.1, .big)
      output.append(words.2, .big)
      output.append(words.3, .big)
    }
  }

  public static func == (left: Self, right: Self) -> Bool { left.words == right.words }

  public func hash(into hasher: inout Hasher) {
    // It is uniform: one word of it is as good as all.
    hasher.combine(words.0)
  }
}

extension DictionaryHash: Comparable {
  /// In the order of the bytes.
  public static func < (left: Self, right: Self) -> Bool { left.words < right.words }
}

extension DictionaryHash: CustomStringConvertible {
  /// 64 lower-case hexadecimal digits.
  public var description: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// The first 16 of them: enough to tell dictionaries apart, too little to verify one.
  public var prefix: String { String(description.prefix(16)) }
}
