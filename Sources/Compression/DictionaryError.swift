/// Why bytes are no dictionary, or none could be made. Sizes are in bytes.
public enum DictionaryError: Error, Equatable, Sendable {
  case tooSmall(size: Int, minimum: Int)
  case tooLarge(size: Int, limit: Int)
  /// There is no zstd dictionary magic at the beginning.
  case notADictionary
  /// Its tables are damaged, or its id is 0.
  case corrupt
  /// It is not the one that was expected: forged, or damaged on the way.
  case wrongHash(expected: DictionaryHash, found: DictionaryHash)
  /// A diff starts from another dictionary than the given one.
  case wrongReference(expected: DictionaryHash, found: DictionaryHash)
  /// A diff is none, is damaged, or does not give what it says.
  case corruptDiff
  /// The store holds as many dictionaries, or as many bytes of them, as it may.
  case storeFull
  /// There are not enough samples, or not enough bytes of them, to train with.
  case tooFewSamples(count: Int, minimum: Int)
  case tooFewSampleBytes(count: Int, minimum: Int)
  /// The library made no dictionary of these samples: they have nothing in common, or are all the same.
  case trainingFailed
  case outOfMemory
}
