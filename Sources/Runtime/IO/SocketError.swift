internal import Glibc

/// Why the operating system would not give what the runtime asked for.
public enum SocketError: Error, Equatable, Sendable {
  /// Another socket has the port already.
  case portInUse(UInt16)
  /// Only root may have the port (below 1024, as a rule).
  case notPermitted(port: UInt16)
  /// The address to bind to is none of this machine's.
  case addressNotAvailable
  /// There is no memory for the buffers.
  case outOfMemory
  /// Anything else: what was tried, and the `errno`.
  case system(Operation, errno: Int32)

  public enum Operation: Sendable {
    case openSocket, listen, connect, readAddress, setOption, epoll, eventfd, startThread
  }

  /// The error of a call that returned `-errno`.
  init(_ operation: Operation, _ result: Int32, port: UInt16 = 0) {
    switch -result {
    case EADDRINUSE where operation == .openSocket || operation == .listen: self = .portInUse(port)
    case EACCES where operation == .openSocket || operation == .listen,
      EPERM where operation == .openSocket || operation == .listen:
      self = .notPermitted(port: port)
    case EADDRNOTAVAIL where operation == .openSocket || operation == .listen: self = .addressNotAvailable
    case ENOMEM: self = .outOfMemory
    default: self = .system(operation, errno: -result)
    }
  }
}

extension SocketError: CustomStringConvertible {
  /// What went wrong and, where there is something, what to do.
  public var description: String {
    switch self {
    case .portInUse(let port): "port \(port) is in use by another program; choose another, or 0 for any"
    case .notPermitted(let port): "port \(port) is not permitted to this user; choose one above 1023"
    case .addressNotAvailable: "the address to listen on is none of this machine's"
    case .outOfMemory: "there is no memory for network buffers"
    case .system(let operation, let errno): "\(operation): \(systemMessage(errno))"
    }
  }
}
