/// All that is wrong with a configuration file.
public struct ConfigError: Error, Equatable, Sendable, CustomStringConvertible {
  public struct Issue: Equatable, Sendable {
    /// Counted from 1.
    public let line: Int
    /// What is wrong, and what is allowed.
    public let message: String
  }

  public let file: String
  /// In the order of the lines; at most ``WireGuardConfig/maximumIssues``.
  public let issues: [Issue]
  /// How many more there are.
  public let more: Int

  public var description: String {
    var lines = issues.map { "\(file):\($0.line): \($0.message)" }
    if more > 0 { lines.append("\(file): and \(more) more") }
    return lines.joined(separator: "\n")
  }
}
