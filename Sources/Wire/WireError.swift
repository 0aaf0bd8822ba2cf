/// Why a message was not read or written.
@frozen
public enum WireError: Error, Equatable, Sendable {
  /// The bytes at `offset` are no proto3, end too early, or have another wire type than their field.
  case malformed(offset: Int)
  /// A content field (below 64) of a message is unknown.
  case unsupported(field: UInt32)
  /// There are more than `limit` fields or levels at `offset`.
  case tooLarge(offset: Int, limit: Int)
  /// A field of a message has a value, a length or a count that is not allowed.
  case invalid(field: UInt32)
  /// The message needs more memory than the arena has, in bytes.
  case arenaFull(capacity: Int)
  /// The output has too few free bytes; nothing was written.
  case noRoom(needed: Int, available: Int)
}
