internal import MeshPrimitives

extension STUNMessage {
  /// What a check found.
  @frozen
  public enum Check: Sendable {
    /// The attribute is not there.
    case absent
    case valid
    case wrong
  }

  /// Checks MESSAGE-INTEGRITY-SHA256 if it is there, else MESSAGE-INTEGRITY (RFC 8489 §9.1.3, §9.2.4), in constant time.
  /// Allocates nothing.
  public func integrity(with key: IntegrityKey) -> Check {
    if hasMessageIntegritySHA256 { return integrity(.sha256, with: key) }
    return integrity(.sha1, with: key)
  }

  /// Checks one of the two integrity attributes.
  public func integrity(_ algorithm: IntegrityAlgorithm, with key: IntegrityKey) -> Check {
    let offset = algorithm == .sha1 ? integrityOffset : integritySHA256Offset
    guard offset != 0 else { return .absent }
    let size = Int(bytes.byte(at: offset + 2)) << 8 | Int(bytes.byte(at: offset + 3))
    let code = key.code(algorithm, upTo: offset, of: bytes, attributeSize: size)
    return code.matches(bytes.extracting(offset + 4..<offset + 4 + size)) ? .valid : .wrong
  }

  /// Checks FINGERPRINT (RFC 8489 §14.7).
  public var fingerprint: Check {
    guard fingerprintOffset != 0 else { return .absent }
    let expected = Fingerprint.compute(bytes.extracting(first: fingerprintOffset))
    let stored = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: fingerprintOffset + 4, as: UInt32.self)
    return UInt32(bigEndian: stored) == expected ? .valid : .wrong
  }
}

extension IntegrityKey {
  /// The code over the first `offset` bytes of a message, as if it ended with an integrity attribute of `attributeSize`
  /// bytes there (RFC 8489 §14.5).
  func code(
    _ algorithm: IntegrityAlgorithm, upTo offset: Int, of message: RawSpan, attributeSize: Int
  ) -> IntegrityCode {
    let length = offset - STUNMessage.headerSize + 4 + attributeSize
    var head: InlineArray<4, UInt8> = InlineArray(repeating: 0)
    head[0] = message.byte(at: 0)
    head[1] = message.byte(at: 1)
    head[2] = UInt8(truncatingIfNeeded: length >> 8)
    head[3] = UInt8(truncatingIfNeeded: length)
    return unsafe code(algorithm, head.span.bytes, message.extracting(4..<offset))
  }
}
