/// Why messages could not be decompressed, for counting: a ``CompressionError`` without its numbers.
public enum DecompressionFailure: UInt8, CaseIterable, Sendable {
  case outOfMemory, truncated, corrupt, trailing, outputTooLarge, windowTooLarge, wrongDictionary, wrongChecksum

  /// The failure that `error` is. Errors of compression do not occur here, and count as `corrupt`.
  init(_ error: CompressionError) {
    self =
      switch error {
      case .outOfMemory: .outOfMemory
      case .truncated: .truncated
      case .trailing: .trailing
      case .outputTooLarge: .outputTooLarge
      case .windowTooLarge: .windowTooLarge
      case .wrongDictionary: .wrongDictionary
      case .wrongChecksum: .wrongChecksum
      case .corrupt, .messageTooLarge, .ended: .corrupt
      }
  }
}
