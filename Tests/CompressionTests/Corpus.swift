import MeshCompression
import MeshPrimitives
import MeshSimulation

/// Small messages of a made-up service: JSON objects of a few kinds, with words of a vocabulary and random numbers.
struct Corpus {
  private var random: SeededEntropy
  private let words: [String]
  private let kinds: [[String]]

  /// - Parameter kinds: The number of kinds of messages; other numbers and seeds give other vocabularies.
  init(seed: UInt64, kinds: Int = 24) {
    var random = SeededEntropy(seed: seed)
    var words: [String] = []
    for _ in 0..<600 {
      words.append(
        String(decoding: (0..<3 + random.upTo(6)).map { _ in UInt8(97 + random.upTo(25)) }, as: UTF8.self))
    }
    self.words = words
    self.kinds = (0..<kinds).map { _ in (0..<6).map { _ in words[Int(random.upTo(599))] + "_id" } }
    self.random = random
  }

  mutating func next() -> [UInt8] {
    let names = kinds[Int(random.upTo(Int64(kinds.count - 1)))]
    let fields = names.map { name in
      random.upTo(1) == 0
        ? "\"\(name)\":\(random.upTo(9999))" : "\"\(name)\":\"\(words[Int(random.upTo(599))])\""
    }
    return Array("{\(fields.joined(separator: ","))}".utf8)
  }

  mutating func messages(_ count: Int) -> [[UInt8]] { (0..<count).map { _ in next() } }

  /// Bytes in which nothing repeats.
  static func noise(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = SeededEntropy(seed: seed)
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }

  /// A dictionary of 16 KiB for the messages of `Corpus(seed: 1)`, trained once.
  static let dictionary: ZstdDictionary = train(seed: 1)

  /// Another one for the same messages.
  static let retrained: ZstdDictionary = train(seed: 1, skipping: 3000)

  /// For other messages.
  static let foreign: ZstdDictionary = train(seed: 99)

  private static func train(seed: UInt64, skipping: Int = 0) -> ZstdDictionary {
    var corpus = Corpus(seed: seed)
    _ = corpus.messages(skipping)
    var options = TrainingOptions()
    options.sizes = [16_384]
    var training = try! DictionaryTraining(samples: corpus.messages(3000), options: options, seed: 7)
    while try! training.step() {}
    return try! training.result().dictionary
  }
}

/// The frame that `message` becomes; `nil` when it does not get smaller.
func compressed(
  _ message: [UInt8], _ compressor: inout MessageCompressor, with dictionary: PreparedDictionary? = nil
) throws -> [UInt8]? {
  var outcome = CompressionOutcome.incompressible
  let frame = try [UInt8](capacity: message.count) { (output: inout OutputRawSpan) throws(CompressionError) in
    outcome = try compressor.compress(message.bytes, with: dictionary, into: &output)
  }
  guard case .compressed(let count) = outcome else { return nil }
  precondition(count == frame.count)
  return frame
}
