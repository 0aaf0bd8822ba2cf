internal import Glibc

/// A directory of our own that can be removed with all that is in it.
public struct TemporaryFolder: Sendable {
  public let path: String

  /// Makes one in `$TMPDIR`, or /tmp.
  public init() throws(Failure) {
    var template = Array("\(environmentValue("TMPDIR") ?? "/tmp")/pnet-XXXXXX".utf8CString)
    guard let made = unsafe mkdtemp(&template) else {
      throw Failure("cannot make a temporary directory: \(systemMessage(errno)); set TMPDIR")
    }
    unsafe path = String(cString: made)
  }

  public func remove() { Self.remove(path, depth: 0) }

  private static func remove(_ path: String, depth: Int) {
    // Links are removed, not followed.
    if unsafe unlink(path) == 0 || depth > 32 { return }
    for name in names(in: path) { remove("\(path)/\(name)", depth: depth + 1) }
    unsafe rmdir(path)
  }

  /// The names of what is in a directory, in order.
  public static func names(in path: String) -> [String] {
    guard let directory = unsafe opendir(path) else { return [] }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
        unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }
}
