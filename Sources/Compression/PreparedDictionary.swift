internal import CMeshZstd

/// A dictionary made ready to compress at one level. It never changes, so threads share it.
///
/// It costs some times the dictionary's size in hash tables, see ``memoryUse``; so it is made once and not per
/// connection: ``DictionaryStore`` keeps them.
@safe public final class PreparedDictionary: Sendable {
  public let dictionary: ZstdDictionary
  /// 1 to 19.
  public let level: Int
  private nonisolated(unsafe) let tables: OpaquePointer

  /// - Parameter level: zstd's, 1 to 19. It counts in place of the compressor's.
  /// - Throws: `.corrupt` when the dictionary serves for decompression only; `.outOfMemory`.
  public init(_ dictionary: ZstdDictionary, level: Int = 3) throws(DictionaryError) {
    precondition(Zstd.levels.contains(level), "a level is one of \(Zstd.levels)")
    self.dictionary = dictionary
    self.level = level
    let made = unsafe dictionary.withBytes {
      unsafe ZSTD_createCDict_byReference($0.baseAddress, $0.count, Int32(level))
    }
    guard let made = unsafe made else { throw .corrupt }
    // A dictionary of id 0 would have been taken for plain content.
    guard unsafe ZSTD_getDictID_fromCDict(made) == dictionary.id else {
      unsafe ZSTD_freeCDict(made)
      throw .corrupt
    }
    unsafe tables = made
  }

  deinit { unsafe ZSTD_freeCDict(tables) }

  /// Makes `context` compress with this dictionary. The caller keeps it for as long.
  func reference(from context: OpaquePointer) -> Int { unsafe ZSTD_CCtx_refCDict(context, tables) }

  /// Memory in bytes, without the dictionary's own.
  public var memoryUse: Int { unsafe ZSTD_sizeof_CDict(tables) }
}
