/// Why bytes could not be read. Thrown by every decoder of the stack; offsets and lengths are in bytes.
@frozen
public enum DecodeError: Error, Equatable, Sendable {
  /// The bytes end before the value does.
  case truncated(needed: Int, available: Int)
  /// The byte or field at `offset` has a value that the format does not allow.
  case unexpected(offset: Int)
  /// A length, count or depth at `offset` is above the cap of `limit`.
  case tooLarge(offset: Int, limit: Int)
  /// Bytes are left over after the value, from `offset` on.
  case trailing(offset: Int)
}
