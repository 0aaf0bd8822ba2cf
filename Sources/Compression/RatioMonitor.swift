/// Tells when a dictionary no longer fits what it is used for: when the ratio on current messages has decayed, by a set
/// share, from what it was on the hold-out samples of its training.
///
/// Older messages count less and less: half as much once ``window`` bytes have followed. It says so only after half a window and
/// ``minimumMessages``, so that a few odd messages do not start a training.
public struct RatioMonitor: Equatable, Sendable {
  /// The ratio to compare with: ``TrainingReport/ratio``.
  public let baseline: Double
  /// The share that may be lost, 0 to 1.
  public let decay: Double
  /// In bytes of content.
  public let window: Int
  public let minimumMessages: Int
  private var content = 0.0
  private var compressed = 0.0
  private var messages = 0

  public init(baseline: Double, decay: Double = 0.15, window: Int = 1 << 20, minimumMessages: Int = 256) {
    precondition(baseline > 0 && (0..<1).contains(decay) && window > 0, "a share is below 1; all else is positive")
    self.baseline = baseline
    self.decay = decay
    self.window = window
    self.minimumMessages = minimumMessages
  }

  /// A message of `size` bytes that travelled as `compressed` bytes, be it compressed or as it is.
  public mutating func record(size: Int, compressed: Int) {
    content += Double(size)
    self.compressed += Double(compressed)
    messages = min(messages + 1, .max - 1)
    if content > Double(window) {
      content /= 2
      self.compressed /= 2
    }
  }

  /// The ratio on current messages; `nil` before there are enough of them.
  public var ratio: Double? {
    guard messages >= minimumMessages, content >= Double(window) / 2, compressed > 0 else { return nil }
    return content / compressed
  }

  /// The share of the baseline's ratio that is lost, 0 to 1; `nil` before there are enough messages.
  public var loss: Double? { ratio.map { max(0, 1 - $0 / baseline) } }

  /// Whether to train anew.
  public var needsRetraining: Bool { loss.map { $0 >= decay } ?? false }
}
