internal import Glibc

/// What a command says: facts on standard output, all else on standard error. Nothing is held back in a buffer.
public enum Console {
  /// Whether standard output is a terminal that wants colours (`NO_COLOR` says that it does not).
  public static var isColored: Bool { isatty(1) == 1 && environmentValue("NO_COLOR") == nil }

  /// A line of facts.
  public static func out(_ text: String) { write(1, text + "\n") }

  /// A line for people: progress, hints, errors.
  public static func note(_ text: String) { write(2, text.split(separator: "\n").map { "pnet: \($0)\n" }.joined()) }

  /// Text as it is, on standard output.
  public static func raw(_ text: String) { write(1, text) }

  /// Whether standard output is a file that everybody may read.
  public static var isOutputWorldReadable: Bool {
    var facts = stat()
    return unsafe fstat(1, &facts) == 0 && facts.st_mode & S_IFMT == S_IFREG && facts.st_mode & 0o007 != 0
  }

  private static func write(_ descriptor: Int32, _ text: String) {
    let bytes = Array(text.utf8)
    var start = 0
    while start < bytes.count {
      let result = unsafe bytes.withUnsafeBytes {
        unsafe Glibc.write(descriptor, $0.baseAddress! + start, bytes.count - start)
      }
      // A reader that went away has read enough.
      guard result > 0 || (result < 0 && errno == EINTR) else { return }
      start += max(0, result)
    }
  }
}
