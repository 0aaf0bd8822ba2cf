/// How ``DictionaryTraining`` goes about it.
public struct TrainingOptions: Equatable, Sendable {
  /// Sizes that are tried, in bytes, ascending: 8 to 256 KiB. Those for which there are too few samples are left out.
  public var sizes = [8, 16, 32, 64, 128, 256].map { $0 * 1024 }
  /// zstd's level that the dictionary will be used with, 1 to 19.
  public var level = 3
  /// The share of samples, 0.02 to 0.5, that no dictionary is trained with and all are measured on.
  public var holdOut = 0.15
  /// The smallest dictionary is chosen that is at most this share worse than the best, 0 to 1.
  public var tolerance = 0.02
  /// zstd's id of the dictionary; 0: made of its content.
  public var id: UInt32 = 0

  public init() {}
}
