public import MeshCompression

/// What a dictionary does to given samples.
public struct DictionaryEvaluation: Codable, Equatable, Sendable {
  public var id: UInt32
  public var hash: String
  public var level: Int
  public var samples: Int
  /// Bytes.
  public var sampleBytes: Int
  /// Bytes that the samples become one by one, without a dictionary and with it.
  public var plainBytes: Int
  public var compressedBytes: Int
  public var plainRatio: Double
  public var ratio: Double
  /// The ratio when it was trained, if that is known.
  public var trainedRatio: Double?
  /// Whether the ratio has decayed by the set share since.
  public var needsRetraining: Bool?

  /// - Parameter decay: The share of the ratio that may be lost.
  /// - Throws: `Failure`.
  public init(
    _ dictionary: ZstdDictionary, on samples: [[UInt8]], level: Int, training: DictionaryFacts.Training?, decay: Double
  ) throws {
    guard !samples.isEmpty else { throw Failure("there are no samples in these files", .badInput) }
    guard samples.allSatisfy({ $0.count <= MessageCompressor.largestMessage }) else {
      throw Failure("a sample has more than \(MessageCompressor.largestMessage) bytes: use --split", .badInput)
    }
    id = dictionary.id
    hash = dictionary.hash.description
    self.level = level
    self.samples = samples.count
    sampleBytes = samples.reduce(0) { $0 + $1.count }
    do throws(DictionaryError) {
      plainBytes = try DictionaryTraining.measure(samples, with: nil, level: level)
      compressedBytes = try DictionaryTraining.measure(
        samples, with: PreparedDictionary(dictionary, level: level), level: level)
    } catch { throw Failure(dictionary.description, error) }
    plainRatio = Double(sampleBytes) / Double(max(1, plainBytes))
    ratio = Double(sampleBytes) / Double(max(1, compressedBytes))
    if let training, training.level == level {
      trainedRatio = training.ratio
      var monitor = RatioMonitor(
        baseline: training.ratio, decay: decay, window: max(1, sampleBytes), minimumMessages: 1)
      monitor.record(size: sampleBytes, compressed: compressedBytes)
      needsRetraining = monitor.needsRetraining
    }
  }
}
