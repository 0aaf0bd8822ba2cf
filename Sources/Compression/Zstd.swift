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

  /// libzstd chooses its parameters by level, source size and dictionary size, in steps: one size in each.
  private static let dictionarySizes = [0, 15_000, 16_384, 32_768, 65_536, 130_000, 131_072, 261_000, 262_144]

  /// Memory for a context that compresses whole messages of up to `size` bytes at `level`, with any dictionary.
  static func messageMemory(level: Int, size: Int) -> Int {
    var largest = 0
    for source in [1, 513, 4096, 16_384, 131_072, 262_144, 1 << 20, size] where source <= max(size, 262_144) {
      for dictionary in dictionarySizes {
        let parameters = ZSTD_getCParams(Int32(level), UInt64(source), dictionary)
        largest = max(largest, ZSTD_estimateCCtxSize_usingCParams(parameters))
      }
    }
    return largest + 4096
  }

  /// What a stream without a known size is compressed with: tables that fit the window. libzstd itself would take the
  /// largest that there are.
  static func streamParameters(level: Int, windowLog: Int) -> ZSTD_compressionParameters {
    var parameters = ZSTD_getCParams(Int32(level), 1 << UInt64(windowLog), 0)
    parameters.windowLog = UInt32(windowLog)
    return parameters
  }

  /// Memory for a context that compresses streams at `level`, with any dictionary prepared for `dictionaryLevel`.
  static func streamMemory(level: Int, windowLog: Int, dictionaryLevel: Int?) -> Int {
    var largest = ZSTD_estimateCStreamSize_usingCParams(streamParameters(level: level, windowLog: windowLog))
    guard let dictionaryLevel else { return largest + 4096 }
    for dictionary in dictionarySizes {
      // The tables are the dictionary's, the window is ours.
      var parameters = ZSTD_getCParams(Int32(dictionaryLevel), 513, dictionary)
      parameters.windowLog = UInt32(windowLog)
      largest = max(largest, ZSTD_estimateCStreamSize_usingCParams(parameters))
    }
    return largest + 4096
  }
}
