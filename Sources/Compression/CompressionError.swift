/// Why something was not compressed or decompressed. Sizes are in bytes.
public enum CompressionError: Error, Equatable, Sendable {
  /// No memory for the working space of the library.
  case outOfMemory
  /// A message to be compressed is larger than the compressor was made for.
  case messageTooLarge(size: Int, limit: Int)
  /// The bytes end before the frame does.
  case truncated
  /// The bytes are no frame in this format, or a damaged one.
  case corrupt
  /// So many bytes follow the frame.
  case trailing(count: Int)
  /// What the frame decompresses to is larger than allowed. At most that much of it was produced.
  case outputTooLarge(limit: UInt64)
  /// The frame needs a larger window than `2^limit` bytes.
  case windowTooLarge(limit: Int)
  /// The frame names a dictionary, by the id of zstd, that is not the given one.
  case wrongDictionary(id: UInt32)
  /// The content does not have the checksum that the frame gives.
  case wrongChecksum
  /// A stream that failed, or has ended, takes nothing more.
  case ended
}
