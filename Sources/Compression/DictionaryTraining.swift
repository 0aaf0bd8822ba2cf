internal import CMeshZstd
internal import MeshPrimitives

/// Trains a dictionary from samples: shuffles them, keeps some apart, trains one dictionary per size, and chooses among
/// them by what they do to the samples that were kept apart.
///
/// It takes seconds for megabytes of samples, so it goes in steps, between which its caller may show progress or give up.
/// The same samples, options and seed give the same dictionary, byte by byte, with the same version of libzstd.
///
/// ```swift
/// import MeshCompression
///
/// var training = try DictionaryTraining(samples: samples, seed: 1)
/// while try training.step() {}
/// let (dictionary, report) = try training.result()
/// ```
public struct DictionaryTraining: Sendable {
  /// Samples that a training needs at least.
  public static let minimumSamples = 32
  /// Bytes of samples that are used at most: others are left out, after shuffling.
  public static let maximumBytes = 32 << 20
  /// A sample is cut to so many bytes: a message of that size needs no dictionary.
  public static let maximumSample = 131_072

  public let options: TrainingOptions
  /// Sizes to try, and how many are done.
  public var total: Int { sizes.count }
  public private(set) var done = 0
  private let sizes: [Int]
  private let training: [UInt8]
  private let lengths: [Int]
  private let holdOut: [[UInt8]]
  private var report = TrainingReport()
  private var dictionaries: [ZstdDictionary] = []

  /// - Parameter seed: Decides the order of samples and which are kept apart.
  /// - Throws: `.tooFewSamples`, `.tooFewSampleBytes`.
  public init(
    samples: [[UInt8]], options: TrainingOptions = TrainingOptions(), seed: UInt64
  ) throws(DictionaryError) {
    precondition(Zstd.levels.contains(options.level), "a level is one of \(Zstd.levels)")
    precondition(
      !options.sizes.isEmpty && options.sizes == options.sizes.sorted()
        && options.sizes.allSatisfy { (8192...ZstdDictionary.maximumSize).contains($0) },
      "dictionaries have 8 to 256 KiB, in ascending order")
    precondition((0.02...0.5).contains(options.holdOut), "the share to keep apart is from 0.02 to 0.5")
    self.options = options

    var chosen = samples.filter { $0.count >= 8 }
    guard chosen.count >= Self.minimumSamples else {
      throw .tooFewSamples(count: chosen.count, minimum: Self.minimumSamples)
    }
    // The trainer learns most from the head of the list, and new kinds of messages are often at its end.
    var random = SplitMix(seed: seed)
    random.shuffle(&chosen)
    let kept = max(8, Int(Double(chosen.count) * options.holdOut))
    holdOut = chosen.prefix(kept).map { Array($0.prefix(Self.maximumSample)) }

    var training: [UInt8] = []
    var lengths: [Int] = []
    for sample in chosen.dropFirst(kept) {
      let length = min(sample.count, Self.maximumSample)
      guard training.count + length <= Self.maximumBytes else { break }
      training += sample.prefix(length)
      lengths.append(length)
    }
    // A dictionary as large as the samples would just be the samples.
    let fitting = options.sizes.filter { 2 * $0 <= training.count }
    guard !fitting.isEmpty else {
      throw .tooFewSampleBytes(count: training.count, minimum: 2 * options.sizes[0])
    }
    sizes = fitting
    self.training = training
    self.lengths = lengths
    report.samples = lengths.count + holdOut.count
    report.holdOutSamples = holdOut.count
    report.holdOutBytes = holdOut.reduce(0) { $0 + $1.count }
    report.sampleBytes = training.count + report.holdOutBytes
    report.level = options.level
  }

  /// Trains and measures the next size.
  ///
  /// - Returns: whether there are more.
  /// - Throws: `.outOfMemory`. A size for which no dictionary comes out is left out.
  public mutating func step() throws(DictionaryError) -> Bool {
    guard done < sizes.count else { return false }
    if done == 0 { report.plainBytes = try Self.measure(holdOut, with: nil, level: options.level) }
    let size = sizes[done]
    done += 1
    if let dictionary = train(size), !dictionaries.contains(where: { $0.hash == dictionary.hash }) {
      let bytes = try Self.measure(
        holdOut, with: try PreparedDictionary(dictionary, level: options.level), level: options.level)
      dictionaries.append(dictionary)
      report.candidates.append(.init(target: size, size: dictionary.size, compressedBytes: bytes))
    }
    return done < sizes.count
  }

  /// The dictionary that was chosen, and why.
  ///
  /// - Throws: `.trainingFailed` when none came out.
  /// - Precondition: ``step()`` has said that there are no more sizes.
  public func result() throws(DictionaryError) -> (dictionary: ZstdDictionary, report: TrainingReport) {
    precondition(done == sizes.count, "all steps come before the result")
    guard let best = report.candidates.map(\.compressedBytes).min() else { throw .trainingFailed }
    let acceptable = Double(best) * (1 + options.tolerance)
    var report = report
    report.chosen = report.candidates.firstIndex { Double($0.compressedBytes) <= acceptable } ?? 0
    return (dictionaries[report.chosen], report)
  }

  private func train(_ size: Int) -> ZstdDictionary? {
    var parameters = ZDICT_fastCover_params_t()
    // As ZDICT_trainFromBuffer does it, for the level and id that are wanted. One thread: the result repeats.
    parameters.d = 8
    parameters.steps = 4
    parameters.zParams.compressionLevel = Int32(options.level)
    parameters.zParams.dictID = options.id
    var bytes = [UInt8](repeating: 0, count: size)
    let made = unsafe training.withUnsafeBytes { samples in
      unsafe ZDICT_optimizeTrainFromBuffer_fastCover(
        &bytes, size, samples.baseAddress, lengths, UInt32(lengths.count), &parameters)
    }
    guard ZDICT_isError(made) == 0, made <= size else { return nil }
    return try? ZstdDictionary(Array(bytes.prefix(made)).bytes)
  }

  /// Bytes that `messages` become, each compressed alone; one that does not get smaller counts as it is.
  ///
  /// - Throws: `.outOfMemory`.
  public static func measure(
    _ messages: [[UInt8]], with dictionary: PreparedDictionary?, level: Int = 3
  ) throws(DictionaryError) -> Int {
    let largest = max(1, messages.map(\.count).max() ?? 1)
    precondition(largest <= MessageCompressor.largestMessage, "no message is larger than a compressor takes")
    do throws(CompressionError) {
      var compressor = try MessageCompressor(
        level: level, maximumSize: largest, highestLevel: max(level, dictionary?.level ?? level))
      var total = 0
      let target = UnsafeMutableRawBufferPointer.allocate(byteCount: largest, alignment: 16)
      defer { unsafe target.deallocate() }
      for message in messages {
        var output = unsafe OutputRawSpan(buffer: target, initializedCount: 0)
        let outcome = try compressor.compress(message.bytes, with: dictionary, into: &output)
        if case .compressed(let size) = outcome { total += size } else { total += message.count }
      }
      return total
    } catch { throw .outOfMemory }
  }
}
