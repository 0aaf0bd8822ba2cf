/// Why bytes are not a message, or not one that may be used. Offsets and lengths are in bytes.
@frozen
public enum STUNError: Error, Equatable, Sendable {
  /// Below 20 bytes, or fewer than the header announces.
  case truncated(needed: Int, available: Int)
  /// The top two bits are not 0, or the magic cookie is not there: some other protocol (RFC 8489 §6.3).
  case notSTUN
  /// The length is no multiple of 4, or bytes follow the message.
  case wrongLength(Int)
  /// An attribute does not lie in its message, or its value is not of the form that its type asks for.
  case malformed(AttributeType)
  /// More than ``STUNMessage/maximumAttributes``.
  case tooManyAttributes
  /// An attribute that the message must have is not there.
  case missing(AttributeType)
}
