internal import Glibc

/// Why the operating system would not give what the runtime asked for.
public enum SocketError: Error, Equatable, Sendable {
  /// Another socket has the UDP port already.
  case portInUse(UInt16)
  /// Only root may have the UDP port (below 1024, as a rule).
  case notPermitted(port: UInt16)
  /// The address to bind to is none of this machine's.
  case addressNotAvailable
  /// There is no memory for the buffers.
  case outOfMemory
  /// Anything else: what was tried, and the `errno`.
  case system(Operation, errno: Int32)

  public enum Operation: Sendable { case openSocket, readAddress, setOption, epoll, eventfd, startThread }

  /// The error of a call that returned `-errno`.
  init(_ operation: Operation, _ result: Int32, port: UInt16 = 0) {
    switch -result {
    case EADDRINUSE where operation == .openSocket: self = .portInUse(port)
    case EACCES where operation == .openSocket, EPERM where operation == .openSocket: self = .notPermitted(port: port)
    case EADDRNOTAVAIL where operation == .openSocket: self = .addressNotAvailable
    case ENOMEM: self = .outOfMemory
    default: self = .system(operation, errno: -result)
    }
  }
}

extension SocketError: CustomStringConvertible {
  /// What went wrong and, where there is something, what to do.
  public var description: String {
    switch self {
    case .portInUse(let port): "UDP port \(port) is in use by another program; choose another, or 0 for any"
    case .notPermitted(let port): "UDP port \(port) is not permitted to this user; choose one above 1023"
    case .addressNotAvailable: "the address to listen on is none of this machine's"
    case .outOfMemory: "there is no memory for network buffers"
    case .system(let operation, let errno): "\(operation): \(systemMessage(errno))"
    }
  }
}
