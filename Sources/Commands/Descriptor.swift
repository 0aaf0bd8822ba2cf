internal import Glibc
internal import Synchronization

/// A pipe, socket or terminal that tasks read and write without blocking a thread. Closed with its last user.
@safe public final class Descriptor: Sendable {
  private struct State {
    var users = 0
    var isClosed = false
  }

  private let descriptor: Int32
  /// Ours alone, and set not to block. A descriptor that is shared with other processes, such as standard input, must
  /// stay as it is: it is waited for before each call.
  private let isOwned: Bool
  /// Then a broken connection must not raise SIGPIPE.
  private let isSocket: Bool
  private let state = Mutex(State())

  public static let standardInput = Descriptor(borrowing: 0)
  public static let standardOutput = Descriptor(borrowing: 1)

  /// Takes over an open descriptor.
  init(owning descriptor: Int32) {
    self.descriptor = descriptor
    isOwned = true
    var facts = stat()
    isSocket = unsafe fstat(descriptor, &facts) == 0 && facts.st_mode & S_IFMT == S_IFSOCK
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
  }

  private init(borrowing descriptor: Int32) {
    self.descriptor = descriptor
    isOwned = false
    isSocket = false
  }

  deinit { if isOwned, !state.withLock({ $0.isClosed }) { Glibc.close(descriptor) } }

  /// Closes it as soon as nobody uses it; who waits for it fails.
  public func close() {
    guard isOwned else { return }
    let isFree = state.withLock { state -> Bool in
      guard !state.isClosed else { return false }
      state.isClosed = true
      return state.users == 0
    }
    if isFree { Glibc.close(descriptor) } else { Readiness.shared.release(descriptor) }
  }

  private func enter() throws {
    try state.withLock { state in
      guard !state.isClosed else { throw DescriptorError(code: EBADF) }
      state.users += 1
    }
  }

  private func leave() {
    let isLast = state.withLock { state -> Bool in
      state.users -= 1
      return state.isClosed && state.users == 0
    }
    if isLast { Glibc.close(descriptor) }
  }

  private func wait(_ interest: Readiness.Interest) async throws {
    try await Readiness.shared.wait(descriptor, for: interest)
    guard !state.withLock({ $0.isClosed }) else { throw DescriptorError(code: EBADF) }
  }

  /// What there is, at most `count` bytes, waiting for the first; `nil` at the end.
  public func read(upTo count: Int = 65_536) async throws -> [UInt8]? {
    try enter()
    defer { leave() }
    if !isOwned { try await wait(.readable) }
    while true {
      var result = 0
      var code: Int32 = 0
      let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
        result = unsafe Glibc.read(descriptor, buffer.baseAddress!, count)
        code = errno
        initialized = max(0, result)
      }
      if result > 0 { return bytes }
      if result == 0 { return nil }
      switch code {
      case EINTR: continue
      case EAGAIN: try await wait(.readable)
      default: throw DescriptorError(code: code)
      }
    }
  }

  /// Writes all of `bytes`.
  public func write(_ bytes: [UInt8]) async throws {
    try enter()
    defer { leave() }
    var start = 0
    while start < bytes.count {
      // A pipe that is ready takes this much without blocking; ours does not block anyway.
      let limit = isOwned ? bytes.count - start : min(4096, bytes.count - start)
      if !isOwned { try await wait(.writable) }
      let result = unsafe bytes.withUnsafeBytes {
        unsafe isSocket
          ? send(descriptor, $0.baseAddress! + start, limit, Int32(MSG_NOSIGNAL))
          : Glibc.write(descriptor, $0.baseAddress! + start, limit)
      }
      if result >= 0 {
        start += result
        continue
      }
      switch errno {
      case EINTR: continue
      case EAGAIN: try await wait(.writable)
      default: throw DescriptorError(code: errno)
      }
    }
  }

  /// The next connection to this listening socket.
  func accept() async throws -> Descriptor {
    try enter()
    defer { leave() }
    while true {
      let accepted = Glibc.accept(descriptor, nil, nil)
      if accepted >= 0 { return Descriptor(owning: accepted) }
      switch errno {
      case EINTR, ECONNABORTED: continue
      case EAGAIN: try await wait(.readable)
      default: throw DescriptorError(code: errno)
      }
    }
  }

  /// The user at the other end of a UNIX socket; `nil` when the system does not say.
  var peerUser: UInt32? {
    // struct ucred: pid, uid, gid.
    var credentials: [UInt32] = [0, 0, 0]
    var length = socklen_t(12)
    let result = unsafe getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length)
    return result == 0 && length == 12 ? credentials[1] : nil
  }

  /// Whether it is a terminal.
  public var isTerminal: Bool { isatty(descriptor) == 1 }
}

/// A system call on a descriptor failed.
struct DescriptorError: Error, CustomStringConvertible {
  let code: Int32
  var description: String { systemMessage(code) }
}
