internal import CMeshSodium

/// libsodium, started once per process before anything of it is used.
enum Sodium {
  private static let started: Bool = sodium_init() >= 0

  /// Must come before the first allocation: `sodium_free` aborts in a process that never called `sodium_init`.
  static func start() { precondition(started, "libsodium cannot start: the system has no source of randomness") }

  /// Overwrites `count` bytes with zeros, also when nothing reads them afterwards.
  static func wipe(_ address: UnsafeMutableRawPointer, _ count: Int) { unsafe sodium_memzero(address, count) }
}

/// Whether the bytes are equal, in a time that depends only on how many there are. Spans of different lengths are
/// unequal at once: a length is no secret.
public func constantTimeEqual(_ left: RawSpan, _ right: RawSpan) -> Bool {
  guard left.byteCount == right.byteCount else { return false }
  guard left.byteCount > 0 else { return true }
  return unsafe left.withUnsafeBytes { first in
    unsafe right.withUnsafeBytes { second in
      unsafe sodium_memcmp(first.baseAddress!, second.baseAddress!, first.count) == 0
    }
  }
}
