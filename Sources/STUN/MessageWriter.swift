public import MeshPrimitives

/// Writes one STUN message into the free capacity of a span, attribute by attribute, without allocation.
///
/// The length in the header is right after every call. Integrity comes last but for the fingerprint, and MESSAGE-INTEGRITY
/// before MESSAGE-INTEGRITY-SHA256. An attribute that does not fit is left out and makes ``isComplete`` false: such a message
/// is not to be sent.
///
///     var writer = MessageWriter(.request, .binding, id, to: &output)
///     writer.append(.priority, 1_845_501_695, to: &output)
///     writer.appendIntegrity(.sha1, key, to: &output)
///     writer.appendFingerprint(to: &output)
@frozen
public struct MessageWriter: Sendable {
  /// Where the message begins in the output.
  public let start: Int
  public let transactionID: TransactionID
  /// Whether everything fitted so far.
  public private(set) var isComplete = true
  private var isSealed = false

  /// Appends the header.
  public init(
    _ messageClass: MessageClass, _ method: MessageMethod, _ id: TransactionID, to output: inout OutputRawSpan
  ) {
    start = output.byteCount
    transactionID = id
    guard output.freeCapacity >= 20 else {
      isComplete = false
      return
    }
    output.append(UInt32(MessageType(messageClass, method).bits) << 16, .big)
    output.append(STUNMessage.magicCookie, .big)
    output.append(id.high, .big)
    output.append(id.low, .big)
  }

  /// Appends the header of an attribute of `size` bytes when there is room for all of it and its padding.
  private mutating func begin(_ type: AttributeType, _ size: Int, to output: inout OutputRawSpan) -> Bool {
    precondition(!isSealed, "only a fingerprint may follow message integrity")
    return beginUnsealed(type, size, to: &output)
  }

  private mutating func beginUnsealed(_ type: AttributeType, _ size: Int, to output: inout OutputRawSpan) -> Bool {
    let total = 4 + (size + 3) & ~3
    let length = output.byteCount - start - STUNMessage.headerSize + total
    guard isComplete, total <= output.freeCapacity, length <= 0xFFFF else {
      isComplete = false
      return false
    }
    setLength(length, in: &output)
    output.append(UInt32(type.rawValue) << 16 | UInt32(size), .big)
    return true
  }

  private func setLength(_ length: Int, in output: inout OutputRawSpan) {
    var bytes = output.mutableBytes
    bytes.storeBytes(of: UInt16(length).bigEndian, toByteOffset: start + 2, as: UInt16.self)
  }

  public mutating func append(_ key: AddressKey, _ value: SocketAddress, to output: inout OutputRawSpan) {
    let isV4 = value.address.family == .v4
    guard begin(key.type, isV4 ? 8 : 20, to: &output) else { return }
    let cookie = key.isXORed ? STUNMessage.magicCookie : 0
    output.append(
      (isV4 ? 1 : 2) << 16 | UInt32(value.port ^ UInt16(truncatingIfNeeded: cookie >> 16)), .big)
    if isV4 {
      output.append(UInt32(truncatingIfNeeded: value.address.low) ^ cookie, .big)
    } else {
      let (maskHigh, maskLow) = key.isXORed ? (transactionID.high, transactionID.low) : (0, 0)
      output.append(value.address.high ^ (UInt64(cookie) << 32 | UInt64(maskHigh)), .big)
      output.append(value.address.low ^ maskLow, .big)
    }
  }

  public mutating func append(_ key: UInt32Key, _ value: UInt32, to output: inout OutputRawSpan) {
    guard begin(key.type, 4, to: &output) else { return }
    output.append(value, .big)
  }

  public mutating func append(_ key: UInt64Key, _ value: UInt64, to output: inout OutputRawSpan) {
    guard begin(key.type, 8, to: &output) else { return }
    output.append(value, .big)
  }

  public mutating func append(_ key: FlagKey, to output: inout OutputRawSpan) { _ = begin(key.type, 0, to: &output) }

  /// - Precondition: `bytes` are no longer than the attribute allows.
  public mutating func append(_ key: BytesKey, _ bytes: RawSpan, to output: inout OutputRawSpan) {
    precondition(key.lengths.contains(bytes.byteCount), "the value must be of a length that the attribute allows")
    append(raw: key.type, bytes, to: &output)
  }

  /// - Precondition: the text is no longer than the attribute allows.
  public mutating func append(_ key: BytesKey, _ text: String, to output: inout OutputRawSpan) {
    append(key, Array(text.utf8).bytes, to: &output)
  }

  /// An attribute with any value.
  /// - Precondition: `value` has at most 65,531 bytes.
  public mutating func append(raw type: AttributeType, _ value: RawSpan, to output: inout OutputRawSpan) {
    precondition(value.byteCount <= 65_531, "a value must fit into a message")
    guard begin(type, value.byteCount, to: &output) else { return }
    output.append(value)
    output.append(zeros: -value.byteCount & 3)
  }

  /// ERROR-CODE.
  /// - Parameter isPhrased: whether the phrase that belongs to the code goes with it.
  public mutating func append(_ code: STUNErrorCode, isPhrased: Bool = true, to output: inout OutputRawSpan) {
    let reason = isPhrased ? Array(code.reason.utf8) : []
    guard begin(.errorCode, 4 + reason.count, to: &output) else { return }
    output.append(UInt32(code.rawValue / 100) << 8 | UInt32(code.rawValue % 100), .big)
    output.append(reason.bytes)
    output.append(zeros: -reason.count & 3)
  }

  /// UNKNOWN-ATTRIBUTES.
  public mutating func append(unknownAttributes types: [AttributeType], to output: inout OutputRawSpan) {
    guard begin(.unknownAttributes, types.count * 2, to: &output) else { return }
    for type in types { output.append(type.rawValue, .big) }
    output.append(zeros: types.count & 1 * 2)
  }

  /// PASSWORD-ALGORITHM.
  public mutating func append(passwordAlgorithm algorithm: PasswordAlgorithm, to output: inout OutputRawSpan) {
    append(UInt32Key(.passwordAlgorithm), UInt32(algorithm.rawValue) << 16, to: &output)
  }

  /// PASSWORD-ALGORITHMS, most preferred first.
  public mutating func append(passwordAlgorithms algorithms: [PasswordAlgorithm], to output: inout OutputRawSpan) {
    guard begin(.passwordAlgorithms, algorithms.count * 4, to: &output) else { return }
    for algorithm in algorithms { output.append(UInt32(algorithm.rawValue) << 16, .big) }
  }

  /// CHANGE-REQUEST.
  public mutating func append(_ change: ChangeRequest, to output: inout OutputRawSpan) {
    append(UInt32Key(.changeRequest), change.rawValue, to: &output)
  }

  /// PADDING of `count` zeros.
  public mutating func append(zeroPadding count: Int, to output: inout OutputRawSpan) {
    precondition(count >= 0 && count <= 65_504, "padding must fit into a message")
    guard begin(.padding, count, to: &output) else { return }
    output.append(zeros: (count + 3) & ~3)
  }

  /// RESPONSE-PORT.
  public mutating func append(responsePort port: UInt16, to output: inout OutputRawSpan) {
    append(UInt32Key(.responsePort), UInt32(port) << 16, to: &output)
  }

  /// MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 over all that is written so far.
  /// - Parameter size: bytes of the code: 20 for SHA-1; 16, 20, 24, 28 or 32 for SHA-256 (RFC 8489 §14.6), 32 unless said.
  public mutating func appendIntegrity(
    _ algorithm: IntegrityAlgorithm, size: Int? = nil, _ key: IntegrityKey, to output: inout OutputRawSpan
  ) {
    let size = size ?? (algorithm == .sha1 ? 20 : 32)
    precondition(
      algorithm == .sha1 ? size == 20 : size >= 16 && size <= 32 && size & 3 == 0,
      "an integrity code has 20 bytes, or with SHA-256 16 to 32 in steps of 4")
    let end = output.byteCount
    guard beginUnsealed(algorithm == .sha1 ? .messageIntegrity : .messageIntegritySHA256, size, to: &output) else {
      return
    }
    let code = key.code(
      algorithm, upTo: end - start, of: output.bytes.extracting(start..<output.byteCount), attributeSize: size)
    unsafe output.append(code.storage.span.bytes.extracting(first: size))
    isSealed = true
  }

  /// FINGERPRINT over all that is written so far. Nothing may follow.
  public mutating func appendFingerprint(to output: inout OutputRawSpan) {
    let end = output.byteCount
    guard beginUnsealed(.fingerprint, 4, to: &output) else { return }
    output.append(Fingerprint.compute(output.bytes.extracting(start..<end)), .big)
    isSealed = true
  }
}
