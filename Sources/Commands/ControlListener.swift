internal import Glibc

/// A listening control socket: its file is there for as long as this object.
@safe final class ControlListener: Sendable {
  let path: String
  let descriptor: Descriptor
  /// Held locked, so that two nodes cannot take the same name.
  private let lock: Int32

  /// - Throws: `Failure` when another node listens there, or the socket cannot be made.
  init(_ path: String) throws(Failure) {
    try ControlPath.prepareDirectory(of: path)
    let (address, length) = try ControlPath.address(path)
    let lock = try Self.takeLock(path)
    do throws(Failure) {
      // Whoever held the lock before is gone, and so is what its file led to.
      unsafe unlink(path)
      let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
      guard descriptor >= 0 else { throw Failure("cannot open a socket: \(systemMessage(errno))") }
      // Between bind and listen nobody can connect: the mode is in place in time.
      guard Self.bind(descriptor, address, length), unsafe chmod(path, 0o600) == 0, listen(descriptor, 64) == 0 else {
        let code = errno
        close(descriptor)
        throw Failure(
          "cannot listen on the control socket \(path): \(systemMessage(code)); choose another with --control")
      }
      self.path = path
      self.descriptor = Descriptor(owning: descriptor)
      self.lock = lock
    } catch {
      unsafe unlink(path + ".lock")
      close(lock)
      throw error
    }
  }

  deinit {
    unsafe unlink(path)
    unsafe unlink(path + ".lock")
    close(lock)
  }

  private static func bind(_ descriptor: Int32, _ address: sockaddr_un, _ length: socklen_t) -> Bool {
    unsafe withUnsafePointer(to: address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe Glibc.bind(descriptor, $0, length) } == 0
    }
  }

  private static func takeLock(_ path: String) throws(Failure) -> Int32 {
    for _ in 0..<100 {
      let lock = unsafe open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
      guard lock >= 0 else {
        throw Failure("cannot make the control socket \(path): \(systemMessage(errno)); choose another with --control")
      }
      guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
        close(lock)
        throw Failure(
          "a node listens on \(path) already: end it with 'pnet down', or give this one another --node NAME")
      }
      // Its last owner may have removed the file between our two calls: then the lock is worth nothing.
      var held = stat(), named = stat()
      if unsafe fstat(lock, &held) == 0, unsafe stat(path + ".lock", &named) == 0, held.st_ino == named.st_ino {
        return lock
      }
      close(lock)
    }
    throw Failure("cannot lock \(path).lock: other nodes come and go there")
  }
}
