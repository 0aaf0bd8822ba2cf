internal import Glibc
internal import MeshCrypto
internal import MeshPrimitives

/// A regular file, read or written by blocks. Closed with the object.
@safe final class FileAccess: Sendable {
  let descriptor: Int32

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  /// Opens a file for reading. - Throws: `Failure` when it is none, or unreadable.
  static func reading(_ path: String) throws(Failure) -> FileAccess {
    // Not waiting for a writer of a named pipe.
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw Failure("cannot read \(path): \(systemMessage(errno))", .badInput) }
    let file = FileAccess(descriptor)
    var facts = stat()
    guard unsafe fstat(descriptor, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
      throw Failure("\(path) is not a regular file", .badInput)
    }
    return file
  }

  var size: UInt64 {
    var facts = stat()
    guard unsafe fstat(descriptor, &facts) == 0 else { return 0 }
    return UInt64(max(0, facts.st_size))
  }

  /// Up to `count` bytes at `offset`; empty at the end of the file.
  func read(at offset: UInt64, upTo count: Int) throws(DescriptorError) -> [UInt8] {
    while true {
      var result = 0
      var code: Int32 = 0
      let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
        result = unsafe pread(descriptor, buffer.baseAddress!, count, off_t(offset))
        code = errno
        initialized = max(0, result)
      }
      if result >= 0 { return bytes }
      guard code == EINTR else { throw DescriptorError(code: code) }
    }
  }

  func write(_ bytes: [UInt8], at offset: UInt64) throws(DescriptorError) {
    var start = 0
    while start < bytes.count {
      let result = unsafe bytes.withUnsafeBytes {
        unsafe pwrite(descriptor, $0.baseAddress! + start, bytes.count - start, off_t(offset) + off_t(start))
      }
      if result > 0 {
        start += result
      } else if errno != EINTR || result == 0 {
        throw DescriptorError(code: result == 0 ? ENOSPC : errno)
      }
    }
  }

  /// Takes the bytes from the beginning to `end` into `hash`.
  /// - Returns: how many there were: fewer when the file is shorter.
  func hash(into hash: SHA256, upTo end: UInt64, _ report: (UInt64) -> Void = { _ in }) throws -> UInt64 {
    var offset: UInt64 = 0
    while offset < end {
      try Task.checkCancellation()
      let bytes = try read(at: offset, upTo: Int(min(UInt64(FileService.chunk), end - offset)))
      if bytes.isEmpty { break }
      hash.update(bytes.bytes)
      offset += UInt64(bytes.count)
      report(offset)
    }
    return offset
  }
}

/// Lower-case hexadecimal digits.
func hexadecimal(_ bytes: [UInt8]) -> String {
  let digits = Array("0123456789abcdef".utf8)
  return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}
