import Glibc

/// A directory that goes with the value.
final class TemporaryDirectory: Sendable {
  let path: String

  init() {
    var template = Array("/tmp/pnet-test-XXXXXX".utf8CString)
    path = mkdtemp(&template).map { String(cString: $0) } ?? "/nonexistent"
  }

  deinit { nftw(path, { path, _, _, _ in remove(path) }, 16, FTW_DEPTH | FTW_PHYS) }

  private let FTW_PHYS: Int32 = 1
  private let FTW_DEPTH: Int32 = 8
}
