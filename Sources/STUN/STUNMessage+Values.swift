public import MeshPrimitives

// Each of these returns `nil` when the attribute is not there, and throws `.malformed` when its value is not of the form.
extension STUNMessage {
  /// An address. A masked one is unmasked.
  @inlinable public func value(_ key: AddressKey) throws(STUNError) -> SocketAddress? {
    guard let range = range(of: key.type) else { return nil }
    return try address(key, at: range)
  }

  /// The address in the value at `range`, for attributes that may be there more than once.
  @inlinable public func address(_ key: AddressKey, at range: Range<Int>) throws(STUNError) -> SocketAddress {
    let start = range.lowerBound
    guard range.count >= 8 else { throw .malformed(key.type) }
    // The first byte is reserved and ignored.
    let family = bytes.byte(at: start + 1)
    var port = UInt16(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: start + 2, as: UInt16.self))
    if key.isXORed { port ^= UInt16(truncatingIfNeeded: Self.magicCookie >> 16) }
    switch (family, range.count) {
    case (1, 8):
      var bits = UInt32(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: start + 4, as: UInt32.self))
      if key.isXORed { bits ^= Self.magicCookie }
      return SocketAddress(IPAddress(v4: bits), port: port)
    case (2, 20):
      var high = UInt64(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: start + 4, as: UInt64.self))
      var low = UInt64(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: start + 12, as: UInt64.self))
      if key.isXORed {
        high ^= UInt64(Self.magicCookie) << 32 | UInt64(transactionID.high)
        low ^= transactionID.low
      }
      return SocketAddress(IPAddress(v6High: high, low: low), port: port)
    default: throw .malformed(key.type)
    }
  }

  @inlinable public func value(_ key: UInt32Key) throws(STUNError) -> UInt32? {
    guard let range = range(of: key.type) else { return nil }
    guard range.count == 4 else { throw .malformed(key.type) }
    return UInt32(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: range.lowerBound, as: UInt32.self))
  }

  @inlinable public func value(_ key: UInt64Key) throws(STUNError) -> UInt64? {
    guard let range = range(of: key.type) else { return nil }
    guard range.count == 8 else { throw .malformed(key.type) }
    return UInt64(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: range.lowerBound, as: UInt64.self))
  }

  /// Whether the attribute is there.
  @inlinable public func value(_ key: FlagKey) throws(STUNError) -> Bool {
    guard let range = range(of: key.type) else { return false }
    guard range.isEmpty else { throw .malformed(key.type) }
    return true
  }

  /// Where the bytes lie in ``bytes``.
  @inlinable public func value(_ key: BytesKey) throws(STUNError) -> Range<Int>? {
    guard let range = range(of: key.type) else { return nil }
    guard key.lengths.contains(range.count) else { throw .malformed(key.type) }
    return range
  }

  /// The bytes as text; what is not UTF-8 is replaced (allocates).
  public func text(_ key: BytesKey) throws(STUNError) -> String? {
    guard let range = try value(key) else { return nil }
    let span = bytes.extracting(range)
    return unsafe span.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
  }

  /// A copy of the bytes (allocates).
  public func copy(_ key: BytesKey) throws(STUNError) -> [UInt8]? {
    guard let range = try value(key) else { return nil }
    return Array(copying: bytes.extracting(range))
  }

  /// ERROR-CODE (RFC 8489 §14.8), without its reason phrase.
  public func errorCode() throws(STUNError) -> STUNErrorCode? {
    guard let range = range(of: .errorCode) else { return nil }
    guard range.count >= 4 else { throw .malformed(.errorCode) }
    let (hundreds, number) = (bytes.byte(at: range.lowerBound + 2) & 7, bytes.byte(at: range.lowerBound + 3))
    guard hundreds >= 3, hundreds <= 6, number < 100 else { throw .malformed(.errorCode) }
    return STUNErrorCode(rawValue: UInt16(hundreds) * 100 + UInt16(number))
  }

  /// The reason phrase of ERROR-CODE: text of whoever sent it (allocates).
  public var errorReason: String? {
    guard let range = range(of: .errorCode), range.count >= 4, range.count <= 767 else { return nil }
    let span = bytes.extracting(range.lowerBound + 4..<range.upperBound)
    return unsafe span.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
  }

  /// UNKNOWN-ATTRIBUTES (RFC 8489 §14.10), at most 16 of them.
  public func listedUnknownAttributes() throws(STUNError) -> [AttributeType]? {
    guard let range = range(of: .unknownAttributes) else { return nil }
    guard range.count & 1 == 0 else { throw .malformed(.unknownAttributes) }
    return stride(from: range.lowerBound, to: min(range.upperBound, range.lowerBound + 32), by: 2).map { offset in
      AttributeType(rawValue: UInt16(bytes.byte(at: offset)) << 8 | UInt16(bytes.byte(at: offset + 1)))
    }
  }

  /// PASSWORD-ALGORITHM (RFC 8489 §14.12).
  public func passwordAlgorithm() throws(STUNError) -> PasswordAlgorithm? {
    guard let range = range(of: .passwordAlgorithm) else { return nil }
    var offset = range.lowerBound
    let algorithm = try nextPasswordAlgorithm(at: &offset, end: range.upperBound, in: .passwordAlgorithm)
    guard offset >= range.upperBound else { throw .malformed(.passwordAlgorithm) }
    return algorithm
  }

  /// PASSWORD-ALGORITHMS (RFC 8489 §14.11): most preferred first. At most 8 are read.
  public func passwordAlgorithms() throws(STUNError) -> [PasswordAlgorithm]? {
    guard let range = range(of: .passwordAlgorithms) else { return nil }
    var algorithms: [PasswordAlgorithm] = []
    var offset = range.lowerBound
    while offset < range.upperBound, algorithms.count < 8 {
      algorithms.append(try nextPasswordAlgorithm(at: &offset, end: range.upperBound, in: .passwordAlgorithms))
    }
    return algorithms
  }

  private func nextPasswordAlgorithm(
    at offset: inout Int, end: Int, in type: AttributeType
  ) throws(STUNError) -> PasswordAlgorithm {
    guard end - offset >= 4 else { throw .malformed(type) }
    let number = UInt16(bytes.byte(at: offset)) << 8 | UInt16(bytes.byte(at: offset + 1))
    let size = Int(bytes.byte(at: offset + 2)) << 8 | Int(bytes.byte(at: offset + 3))
    guard size <= end - offset - 4 else { throw .malformed(type) }
    // Parameters are padded; the padding of the last may lie outside the value.
    offset += 4 + (size + 3) & ~3
    // The algorithms that are known take no parameters.
    return PasswordAlgorithm(rawValue: size == 0 ? number : 0)
  }

  /// CHANGE-REQUEST (RFC 5780 §7.2).
  public func changeRequest() throws(STUNError) -> ChangeRequest? {
    guard let flags = try value(UInt32Key(.changeRequest)) else { return nil }
    return ChangeRequest(rawValue: flags & 6)
  }

  /// RESPONSE-PORT (RFC 5780 §7.5): the port to which the response shall go.
  public func responsePort() throws(STUNError) -> UInt16? {
    guard let range = range(of: .responsePort) else { return nil }
    guard range.count == 4 || range.count == 2 else { throw .malformed(.responsePort) }
    return UInt16(bytes.byte(at: range.lowerBound)) << 8 | UInt16(bytes.byte(at: range.lowerBound + 1))
  }
}

/// From which of its addresses a server shall answer (RFC 5780 §7.2).
@frozen
public struct ChangeRequest: OptionSet, Hashable, Sendable {
  public let rawValue: UInt32
  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let changeIP = ChangeRequest(rawValue: 4)
  public static let changePort = ChangeRequest(rawValue: 2)
}
