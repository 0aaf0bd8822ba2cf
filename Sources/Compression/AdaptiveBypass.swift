/// Stops compressing a flow of messages that do not get smaller, and tries one now and then to see whether that is still
/// so.
///
/// One per flow: per connection and service, say. After ``patience`` messages in a row that saved less than a sixteenth,
/// the next ``firstPause`` are sent as they are; then one is tried. If that is no better the pause doubles, up to
/// ``longestPause``; if it is, everything is tried again.
public struct AdaptiveBypass: Equatable, Sendable {
  public let patience: Int
  /// In messages.
  public let firstPause: Int
  /// In messages.
  public let longestPause: Int
  private var bad = 0
  private var pause: Int
  private var left = 0

  /// - Precondition: all are positive, and `firstPause` is at most `longestPause`.
  public init(patience: Int = 8, firstPause: Int = 16, longestPause: Int = 1024) {
    precondition(
      patience > 0 && firstPause > 0 && firstPause <= longestPause, "patience and pauses are positive, and they grow")
    self.patience = patience
    self.firstPause = firstPause
    self.longestPause = longestPause
    pause = firstPause
  }

  /// Whether messages are sent as they are, for now.
  public var isBypassing: Bool { left > 0 }

  /// Whether to try the next message. Must be followed by ``record(size:compressed:)`` when it says so.
  public mutating func shouldTry() -> Bool {
    guard left > 0 else { return true }
    left -= 1
    return false
  }

  /// What came of an attempt: `size` bytes became `compressed`.
  public mutating func record(size: Int, compressed: Int) {
    guard size - compressed < max(1, size / 16) else {
      bad = 0
      pause = firstPause
      return
    }
    bad += 1
    guard bad >= patience else { return }
    left = pause
    pause = min(2 * pause, longestPause)
    // A single further failure is enough from now on.
    bad = patience - 1
  }
}
