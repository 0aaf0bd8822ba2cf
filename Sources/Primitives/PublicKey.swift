/// A 32-byte X25519 public key: the identity and the address of a node.
@frozen
public struct PublicKey: Hashable, Sendable {
  // Four words instead of an array: a key is compared and hashed on hot paths and must not allocate.
  @usableFromInline let word0, word1, word2, word3: UInt64

  /// - Throws: `.truncated` below 32 bytes, `.trailing` above.
  @inlinable public init(copying bytes: RawSpan) throws(DecodeError) {
    guard bytes.byteCount <= 32 else { throw .trailing(offset: 32) }
    var reader = ByteReader(bytes)
    try self.init(parsing: &reader)
  }

  /// Takes 32 bytes from `reader`.
  /// - Throws: `.truncated` when fewer are left.
  @inlinable public init(parsing reader: inout ByteReader) throws(DecodeError) {
    try reader.require(32)
    word0 = try reader.readUInt64(.little)
    word1 = try reader.readUInt64(.little)
    word2 = try reader.readUInt64(.little)
    word3 = try reader.readUInt64(.little)
  }

  /// Appends the 32 bytes.
  @inlinable public func write(to output: inout OutputRawSpan) {
    output.append(word0, .little)
    output.append(word1, .little)
    output.append(word2, .little)
    output.append(word3, .little)
  }

  /// The 32 bytes as an array (allocates: not for hot paths).
  public var rawBytes: [UInt8] { Array(capacity: 32) { write(to: &$0) } }
}

// MARK: - Text forms

extension PublicKey: CustomStringConvertible, LosslessStringConvertible {
  /// Reads a key in any of its text forms: 44 characters of base64 as WireGuard writes it, 43 of URL-safe base64, or
  /// 52 of base32. `nil` unless all of `text` is one key.
  public init?(_ text: String) {
    let encoding: BaseEncoding
    switch text.utf8.count {
    case 44: encoding = .base64
    case 43: encoding = .base64URL
    case 52: encoding = .base32
    default: return nil
    }
    guard let bytes = encoding.decode(text), let key = try? PublicKey(copying: bytes.bytes) else { return nil }
    self = key
  }

  /// 44 characters of base64: the form that WireGuard's tools read and write.
  public var description: String { BaseEncoding.base64.encode(rawBytes.bytes) }

  /// 43 characters of URL-safe base64 without padding: the form used inside a URI.
  public var urlDescription: String { BaseEncoding.base64URL.encode(rawBytes.bytes) }

  /// 52 characters of lower-case base32: the form used as a label of a host name.
  public var hostDescription: String { BaseEncoding.base32.encode(rawBytes.bytes) }
}

extension PublicKey: Comparable {
  /// By bytes, the first byte being the most significant. Decides which of two peers controls the choice of a path.
  public static func < (left: PublicKey, right: PublicKey) -> Bool {
    (left.word0.byteSwapped, left.word1.byteSwapped, left.word2.byteSwapped, left.word3.byteSwapped)
      < (right.word0.byteSwapped, right.word1.byteSwapped, right.word2.byteSwapped, right.word3.byteSwapped)
  }
}
