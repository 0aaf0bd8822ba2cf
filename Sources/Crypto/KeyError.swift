/// Why a key could not be made or used.
public enum KeyError: Error, Equatable, Sendable {
  /// A key of this many bytes; every key here has 32.
  case wrongLength(Int)
  /// No more guarded memory: a process can hold about 16,000 `PrivateKey`s.
  case outOfMemory
  /// The other side's public key is one of the few that give the same secret to everybody (RFC 7748 §6.1).
  case lowOrderPoint
  /// The text is not 44 characters of canonical base64.
  case malformedText
}
