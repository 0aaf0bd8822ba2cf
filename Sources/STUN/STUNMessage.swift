internal import MeshPrimitives

/// A STUN message (RFC 8489), read in place: a view of the bytes that it borrows. Reading allocates nothing.
///
/// What `init` checks: the header, that every attribute lies in the message, and the order that integrity and fingerprint
/// must have. Whether those two are *right* is asked with ``integrity(with:)`` and ``fingerprint``. Attributes behind an
/// integrity attribute do not count (RFC 8489 §14.5), and of several of one type only the first does (§14).
///
/// ```swift
/// import MeshPrimitives
/// import MeshSTUN
///
/// func mappedAddress(in datagram: [UInt8], for request: TransactionID) throws -> SocketAddress? {
///   let message = try STUNMessage(datagram.bytes)
///   guard message.messageClass == .success, message.transactionID == request else { return nil }
///   return try message.value(.xorMappedAddress)
/// }
///
/// func bindingRequest(_ id: TransactionID) -> [UInt8] {
///   [UInt8](capacity: 64) { output in
///     var writer = MessageWriter(.request, .binding, id, to: &output)
///     writer.appendFingerprint(to: &output)
///   }
/// }
/// ```
///
/// The machines on top of it: ``ClientTransaction``, ``BindingClient``, ``BindingServer``, ``BehaviorDiscovery``.
@frozen
public struct STUNMessage: ~Escapable {
  /// Bytes of a header.
  public static var headerSize: Int { 20 }
  /// The magic cookie (RFC 8489 §5).
  @inlinable public static var magicCookie: UInt32 { 0x2112_A442 }
  /// Attributes that a message may have.
  public static var maximumAttributes: Int { 128 }

  /// The whole message.
  public let bytes: RawSpan
  @usableFromInline let type: MessageType
  public let transactionID: TransactionID
  /// Where the attributes end that count.
  @usableFromInline let end: Int
  // Where these attributes begin; 0 when they are not there.
  @usableFromInline let integrityOffset: Int
  @usableFromInline let integritySHA256Offset: Int
  @usableFromInline let fingerprintOffset: Int

  /// Whether `datagram` looks like STUN by its first 8 bytes: for telling protocols apart on one port.
  @inlinable public static func isSTUN(_ datagram: RawSpan) -> Bool {
    guard datagram.byteCount >= 20 else { return false }
    let first = UInt64(bigEndian: unsafe datagram.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self))
    return first & 0xC000_0003_FFFF_FFFF == UInt64(magicCookie)
  }

  /// - Parameter bytes: exactly one message.
  /// - Throws: `.truncated`, `.notSTUN`, `.wrongLength`, `.malformed` or `.tooManyAttributes`.
  @inlinable @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) throws(STUNError) {
    guard bytes.byteCount >= 20 else { throw .truncated(needed: 20, available: bytes.byteCount) }
    let head = UInt64(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: 0, as: UInt64.self))
    guard head & 0xC000_0000_FFFF_FFFF == UInt64(Self.magicCookie) else { throw .notSTUN }
    let length = Int(truncatingIfNeeded: head >> 32 & 0xFFFF)
    guard length & 3 == 0 else { throw .wrongLength(length) }
    guard bytes.byteCount >= 20 &+ length else {
      throw .truncated(needed: 20 &+ length, available: bytes.byteCount)
    }
    guard bytes.byteCount == 20 &+ length else { throw .wrongLength(length) }

    var offset = 20
    var count = 0
    var (end, integrity, integritySHA256, fingerprint) = (0, 0, 0, 0)
    while offset < bytes.byteCount {
      // The length is a multiple of 4: four bytes are there.
      let word = UInt32(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self))
      let type = AttributeType(rawValue: UInt16(truncatingIfNeeded: word >> 16))
      let size = Int(truncatingIfNeeded: word & 0xFFFF)
      guard size <= bytes.byteCount &- offset &- 4 else { throw .malformed(type) }
      count &+= 1
      guard count <= Self.maximumAttributes, fingerprint == 0 else {
        throw fingerprint == 0 ? .tooManyAttributes : .malformed(.fingerprint)
      }
      switch type {
      case .messageIntegrity:
        if integrity | integritySHA256 == 0 {
          guard size == 20 else { throw .malformed(type) }
          integrity = offset
          end = offset
        }
      case .messageIntegritySHA256:
        if integritySHA256 == 0 {
          guard size >= 16, size <= 32, size & 3 == 0 else { throw .malformed(type) }
          integritySHA256 = offset
          if integrity == 0 { end = offset }
        }
      case .fingerprint:
        guard size == 4 else { throw .malformed(type) }
        fingerprint = offset
        if end == 0 { end = offset }
      default: break
      }
      offset &+= 4 &+ (size &+ 3) & ~3
    }
    self.bytes = bytes
    self.type = MessageType(bits: UInt16(truncatingIfNeeded: head >> 48))
    transactionID = TransactionID(bytes, at: 8)
    self.end = end == 0 ? bytes.byteCount : end
    integrityOffset = integrity
    integritySHA256Offset = integritySHA256
    fingerprintOffset = fingerprint
  }

  @inlinable public var messageClass: MessageClass { type.messageClass }
  @inlinable public var method: MessageMethod { type.method }

  /// Whether there is a MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 attribute.
  @inlinable public var hasIntegrity: Bool { integrityOffset | integritySHA256Offset != 0 }
  @inlinable public var hasMessageIntegrity: Bool { integrityOffset != 0 }
  @inlinable public var hasMessageIntegritySHA256: Bool { integritySHA256Offset != 0 }

  // MARK: Attributes

  /// Where an attribute lies.
  @frozen
  public struct Attribute: Sendable {
    public let type: AttributeType
    /// The value's place in ``STUNMessage/bytes``, without padding.
    public let value: Range<Int>

    @inlinable init(type: AttributeType, value: Range<Int>) {
      self.type = type
      self.value = value
    }
  }

  /// The attribute whose header is at `offset`, which is moved behind it; `nil` at the end of those that count.
  ///
  ///     var offset = STUNMessage.headerSize
  ///     while let attribute = message.attribute(at: &offset) { … message.bytes.extracting(attribute.value) … }
  ///
  /// Integrity and fingerprint, and what follows them, are not among them.
  /// - Precondition: `offset` is 20, or what this function left in it.
  @inlinable public func attribute(at offset: inout Int) -> Attribute? {
    guard offset < end else { return nil }
    let word = UInt32(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    let start = offset &+ 4
    let size = Int(truncatingIfNeeded: word & 0xFFFF)
    offset = start &+ (size &+ 3) & ~3
    return Attribute(
      type: AttributeType(rawValue: UInt16(truncatingIfNeeded: word >> 16)), value: start..<start &+ size)
  }

  /// Where the value of the first attribute of `type` lies in ``bytes``.
  @inlinable public func range(of type: AttributeType) -> Range<Int>? {
    var offset = 20
    while let attribute = attribute(at: &offset) {
      if attribute.type == type { return attribute.value }
    }
    return nil
  }

  @inlinable public func contains(_ type: AttributeType) -> Bool { range(of: type) != nil }

  /// The comprehension-required attributes that are not in `known`, each once, at most 16: what an error 420 must list. The
  /// array is empty, and nothing is allocated, when there are none.
  public func unknownAttributes(knowing known: AttributeSet) -> [AttributeType] {
    var unknown: [AttributeType] = []
    var offset = 20
    while let attribute = attribute(at: &offset) {
      guard attribute.type.isComprehensionRequired, !known.contains(attribute.type) else { continue }
      if unknown.count < 16, !unknown.contains(attribute.type) { unknown.append(attribute.type) }
    }
    return unknown
  }
}
