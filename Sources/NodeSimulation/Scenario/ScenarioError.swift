/// All that is wrong with a scenario's text.
public struct ScenarioError: Error, Equatable, Sendable, CustomStringConvertible {
  public struct Issue: Equatable, Sendable {
    /// Counted from 1; 0: the text as a whole.
    public let line: Int
    /// What is wrong, and what is expected.
    public let message: String
  }

  /// In the order of the lines; at most 20.
  public let issues: [Issue]

  public var description: String {
    issues.map { $0.line > 0 ? "line \($0.line): \($0.message)" : $0.message }.joined(separator: "\n")
  }
}
