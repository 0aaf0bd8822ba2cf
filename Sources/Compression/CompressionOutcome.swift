/// What ``MessageCompressor`` did with a message.
public enum CompressionOutcome: Equatable, Sendable {
  /// So many bytes were appended to the output.
  case compressed(Int)
  /// It does not get smaller. Nothing was appended: the message is to be sent as it is.
  case incompressible
  /// It was not tried, by ``AdaptiveBypass``. Nothing was appended: the message is to be sent as it is.
  case bypassed
}
