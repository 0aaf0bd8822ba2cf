internal import Glibc
internal import MeshCrypto
internal import MeshPrimitives
internal import Synchronization

/// The timestamp of the last handshake initiation that was sent with a key, kept across restarts in a file of a line.
///
/// Peers refuse an initiation that is not later than the last one: after a restart with a clock that went back meanwhile
/// (a machine without a battery for it, say) a node that remembers goes on from there.
///
/// Files are never written by the engine thread. What it hands over while a write is under way is written next, the
/// latest only.
final class TimestampFile: Sendable {
  private struct State {
    var latest: TAI64N
    var writer: EngineThread?
  }

  /// What the file held when the node started.
  let initial: TAI64N
  private let path: String
  private let state: Mutex<State>

  /// - Parameters:
  ///   - directory: made, of mode 0700, when it is missing.
  ///   - key: whose timestamp it is; names the file.
  /// - Throws: `.state` when the directory cannot be made or written, or the file holds something else.
  init(in directory: String, key: PublicKey) throws(MeshError) {
    path = "\(directory)/\(key.urlDescription).timestamp"
    try Self.makeDirectory(directory)
    initial = try Self.read(path)
    state = Mutex(State(latest: initial))
    try write(initial)
  }

  /// Has `timestamp` written soon. Later timestamps only.
  func keep(_ timestamp: TAI64N) {
    state.withLock { state in
      guard state.latest < timestamp else { return }
      state.latest = timestamp
      guard state.writer == nil else { return }
      // Without a thread the next timestamp tries again.
      state.writer = try? EngineThread(name: "pnet-state") { self.writeLatest() }
    }
  }

  /// Waits until all is written.
  func flushed() async {
    while let writer = state.withLock({ $0.writer }) { await writer.finished() }
  }

  private func writeLatest() {
    var written: TAI64N?
    while true {
      let next = state.withLock { state -> TAI64N? in
        if state.latest == written { state.writer = nil }
        return state.writer == nil ? nil : state.latest
      }
      guard let next else { return }
      try? write(next)
      written = next
    }
  }

  // MARK: - The file

  private static func makeDirectory(_ directory: String) throws(MeshError) {
    var end = directory.startIndex
    while end < directory.endIndex {
      end = directory[directory.index(after: end)...].firstIndex(of: "/") ?? directory.endIndex
      let part = String(directory[..<end])
      if unsafe mkdir(part, 0o700) != 0, errno != EEXIST {
        throw .state("cannot make the state directory \(part): \(systemMessage(errno))")
      }
    }
  }

  private static func read(_ path: String) throws(MeshError) -> TAI64N {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      guard errno == ENOENT else { throw .state("cannot read \(path): \(systemMessage(errno))") }
      return .zero
    }
    defer { Glibc.close(descriptor) }
    var text = [UInt8](repeating: 0, count: 64)
    let count = unsafe text.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress!, $0.count) }
    guard count >= 0 else { throw .state("cannot read \(path): \(systemMessage(errno))") }
    let line = text[..<count].prefix { $0 != UInt8(ascii: "\n") }
    guard let timestamp = TAI64N(String(decoding: line, as: UTF8.self)) else {
      throw .state("\(path) holds no timestamp of a handshake: remove it")
    }
    return timestamp
  }

  /// Writes a new file and puts it in place of the old one: a crash leaves the one or the other.
  private func write(_ timestamp: TAI64N) throws(MeshError) {
    let draft = "\(path).\(getpid()).draft"
    let descriptor = unsafe open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw .state("cannot write \(draft): \(systemMessage(errno))") }
    let bytes = Array("\(timestamp)\n".utf8)
    let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress!, $0.count) }
    // A disk that is full may take a part and say so only when asked for the rest.
    var problem = count >= 0 && count < bytes.count ? ENOSPC : count < 0 || fsync(descriptor) != 0 ? errno : 0
    Glibc.close(descriptor)
    if problem == 0, unsafe rename(draft, path) != 0 { problem = errno }
    guard problem == 0 else {
      unsafe unlink(draft)
      throw .state("cannot write \(path): \(systemMessage(problem))")
    }
  }
}
