internal import Glibc

/// Where the control socket of a node is.
public enum ControlPath {
  /// The socket of the node called `name`: `/run/pnet/NAME.sock` for root, else `$XDG_RUNTIME_DIR/pnet/NAME.sock`, or
  /// `/tmp/pnet-UID/NAME.sock` where there is no such directory.
  public static func path(of name: String) throws(Failure) -> String {
    guard WireGuardConfig.isName(name) else {
      throw Failure(
        "\(TextScan.quoted(name)) is no name of a node: use 1 to 32 letters, digits, '-', '_' or '.'", .badInput)
    }
    return "\(directory())/\(name).sock"
  }

  private static func directory() -> String {
    if geteuid() == 0 { return "/run/pnet" }
    if let runtime = environmentValue("XDG_RUNTIME_DIR") { return "\(runtime)/pnet" }
    return "/tmp/pnet-\(geteuid())"
  }

  /// Makes the directory of `path`, of mode 0700, when it is the usual one and missing, and checks that it is ours.
  static func prepareDirectory(of path: String) throws(Failure) {
    let directory = directory()
    guard path.hasPrefix(directory + "/") else { return }
    if unsafe mkdir(directory, 0o700) != 0, errno != EEXIST {
      throw Failure(
        "cannot make \(directory) for the control socket: \(systemMessage(errno)); choose another with --control")
    }
    var facts = stat()
    guard unsafe lstat(directory, &facts) == 0, facts.st_mode & S_IFMT == S_IFDIR, facts.st_uid == geteuid(),
      facts.st_mode & 0o022 == 0
    else {
      throw Failure(
        "\(directory) is not a directory of yours alone: remove it, or choose another socket with --control")
    }
  }

  /// `path` for the system.
  static func address(_ path: String) throws(Failure) -> (sockaddr_un, socklen_t) {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    let room = MemoryLayout.size(ofValue: address.sun_path)
    guard !bytes.isEmpty, bytes.count < room, !bytes.contains(0) else {
      throw Failure("the control socket's path \(TextScan.quoted(path)) must have 1 to \(room - 1) bytes", .badInput)
    }
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
    return (address, socklen_t(MemoryLayout<sockaddr_un>.size))
  }

  /// A connection to the node that listens at `path`; `nil` when none does.
  static func connect(_ path: String) throws(Failure) -> Descriptor? {
    var (address, length) = try address(path)
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw Failure("cannot open a socket: \(systemMessage(errno))") }
    let result = unsafe withUnsafePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe Glibc.connect(descriptor, $0, length) }
    }
    if result == 0 { return Descriptor(owning: descriptor) }
    let code = errno
    close(descriptor)
    if code == ENOENT || code == ECONNREFUSED { return nil }
    throw Failure("cannot reach the node at \(path): \(systemMessage(code))", .noNode)
  }
}
