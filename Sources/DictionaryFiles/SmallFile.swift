internal import Glibc

/// Whole small files.
public enum SmallFile {
  /// The bytes of a regular file. - Throws: `.system`, `.notARegularFile`, `.tooLarge`.
  public static func read(_ path: String, limit: Int) throws(DictionaryFileError) -> [UInt8] {
    // Not waiting for a writer of a named pipe.
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw .system(code: errno) }
    defer { close(descriptor) }
    var facts = stat()
    guard unsafe fstat(descriptor, &facts) == 0 else { throw .system(code: errno) }
    guard facts.st_mode & S_IFMT == S_IFREG else { throw .notARegularFile }
    guard facts.st_size <= limit else { throw .tooLarge(limit: limit) }
    var bytes: [UInt8] = []
    while bytes.count <= limit {
      let wanted = min(1 << 20, limit + 1 - bytes.count)
      var result = 0
      let piece = unsafe [UInt8](unsafeUninitializedCapacity: wanted) { buffer, count in
        result = unsafe Glibc.read(descriptor, buffer.baseAddress!, wanted)
        count = max(0, result)
      }
      if result < 0 {
        if errno == EINTR { continue }
        throw .system(code: errno)
      }
      if result == 0 { return bytes }
      bytes += piece
    }
    throw .tooLarge(limit: limit)
  }

  /// Writes a file so that it is there whole or not at all: under another name first, then renamed.
  ///
  /// - Parameters:
  ///   - mode: Its permissions, less what the umask takes.
  ///   - isReplacing: Replace a file of that name; otherwise that is `.system` with `EEXIST`.
  /// - Throws: `.system`.
  public static func write(
    _ bytes: [UInt8], to path: String, mode: UInt32 = 0o600, isReplacing: Bool = false
  ) throws(DictionaryFileError) {
    let part = "\(path).\(getpid()).part"
    let descriptor = unsafe open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode)
    guard descriptor >= 0 else { throw .system(code: errno) }
    var failure: Int32?
    var start = 0
    while start < bytes.count, failure == nil {
      let result = unsafe bytes.withUnsafeBytes {
        unsafe Glibc.write(descriptor, $0.baseAddress! + start, $0.count - start)
      }
      if result > 0 { start += result } else if errno != EINTR || result == 0 { failure = result == 0 ? ENOSPC : errno }
    }
    if failure == nil, fsync(descriptor) != 0 { failure = errno }
    close(descriptor)
    if failure == nil {
      // A rename would replace what is there; a link does not.
      let result = unsafe isReplacing ? rename(part, path) : link(part, path)
      if result != 0 { failure = errno }
    }
    unsafe unlink(part)
    if let failure { throw .system(code: failure) }
  }
}
