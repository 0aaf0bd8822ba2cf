internal import CMeshZstd

/// What the contexts of libzstd have in common.
enum Zstd {
  /// Compression levels that there are contexts for.
  static let levels = 1...19

  static func isError(_ result: Int) -> Bool { ZSTD_isError(result) != 0 }

  /// A failure of decompression in our words.
  static func error(_ result: Int, limit: UInt64, windowLog: Int = 31, dictionaryID: UInt32 = 0) -> CompressionError {
    switch ZSTD_getErrorCode(result) {
    case ZSTD_error_memory_allocation: .outOfMemory
    case ZSTD_error_srcSize_wrong: .truncated
    case ZSTD_error_dstSize_tooSmall: .outputTooLarge(limit: limit)
    case ZSTD_error_frameParameter_windowTooLarge: .windowTooLarge(limit: windowLog)
    case ZSTD_error_dictionary_wrong: .wrongDictionary(id: dictionaryID)
    case ZSTD_error_checksum_wrong: .wrongChecksum
    default: .corrupt
    }
  }

  /// Memory that a compression context needs at `level`, for any source of up to `size` bytes and any dictionary, so
  /// that it never has to grow. libzstd chooses its parameters by level, source size and dictionary size: all its rows
  /// are asked for.
  static func contextSize(level: Int, size: Int, windowLog: Int?) -> Int {
    var largest = 0
    for source in [1, 4096, 16_384, 131_072, 262_144, 1 << 20, size] where source <= max(size, 262_144) {
      for dictionary in [0, 8192, 65_536, 131_072, ZstdDictionary.maximumSize] {
        var parameters = ZSTD_getCParams(Int32(level), UInt64(source), dictionary)
        // A context that is not told the size beforehand takes the window as it is set.
        if let windowLog { parameters.windowLog = UInt32(windowLog) }
        largest = max(
          largest,
          windowLog == nil
            ? ZSTD_estimateCCtxSize_usingCParams(parameters) : ZSTD_estimateCStreamSize_usingCParams(parameters))
      }
    }
    return largest + 4096
  }
}
