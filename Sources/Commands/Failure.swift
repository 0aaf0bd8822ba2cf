/// Why a command failed: one plain line that says what to do, and the exit code.
public struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
  /// The exit codes of `pnet`. 64 (wrong use of the command line) comes from the argument parser.
  public enum Code: Int32, Codable, Sendable {
    /// Anything that has no code of its own.
    case failed = 1
    /// A key, a configuration or a file is wrong, unreadable, or too open.
    case badInput = 2
    /// No running node listens on the control socket.
    case noNode = 3
    /// The peer is not known, or does not answer.
    case unreachable = 4
    /// The peer has no such service, or does not allow it.
    case refused = 5
    /// A transfer ended before its end, or what arrived is damaged.
    case broken = 6
    /// Ended by Ctrl-C or SIGTERM.
    case interrupted = 130
  }

  public let message: String
  public let code: Code

  public init(_ message: String, _ code: Code = .failed) {
    self.message = message
    self.code = code
  }

  public var description: String { message }
}
