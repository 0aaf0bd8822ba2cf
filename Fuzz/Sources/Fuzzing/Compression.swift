import MeshCompression
import MeshPrimitives
import MeshSimulation

/// What the fuzzers of compression share: made once, of messages that repeat from a seed.
enum CompressionSamples {
  static let messages: [[UInt8]] = {
    var random = SeededEntropy(seed: 1)
    return (0..<800).map { _ in
      Array("{\"job\":\(random.upTo(9999)),\"state\":\"\(random.upTo(1) == 0 ? "queued" : "running")\"}".utf8)
    }
  }()

  static let dictionary = train(seed: 1)
  static let retrained = train(seed: 2)
  static let prepared = try! PreparedDictionary(dictionary)

  private static func train(seed: UInt64) -> ZstdDictionary {
    var options = TrainingOptions()
    options.sizes = [8192]
    var training = try! DictionaryTraining(samples: messages, options: options, seed: seed)
    while try! training.step() {}
    // Small, so that a fuzzer may change any part of it.
    return try! training.result().dictionary
  }
}

extension Fuzzing {
  private static let limit = 20_000

  /// The first byte chooses magic and dictionary; the rest is a frame. What comes out is within the limit, is the same each
  /// time, and the context is as good afterwards as before.
  public static func decompress(_ input: [UInt8]) {
    guard let flags = input.first else { return }
    let frame = Array(input.dropFirst())
    let dictionary = flags & 2 != 0 ? CompressionSamples.dictionary : nil
    var decompressor = try! MessageDecompressor(limit: limit, hasMagic: flags & 1 != 0)
    let first = try? decompressor.decompress(frame.bytes, with: dictionary)
    let second = try? decompressor.decompress(frame.bytes, with: dictionary)
    require(first == second, "a frame gives the same each time")
    guard let content = first else { return }
    require(content.count <= limit, "the limit holds")
    // Compressed again and back, it is the same.
    var compressor = try! MessageCompressor(options: flags & 1 != 0 ? .standard : .compact)
    let prepared = flags & 2 != 0 ? CompressionSamples.prepared : nil
    var outcome = CompressionOutcome.bypassed
    let again = [UInt8](capacity: content.count) { output in
      outcome = try! compressor.compress(content.bytes, with: prepared, into: &output)
    }
    guard case .compressed = outcome else { return }
    let back = try? decompressor.decompress(again.bytes, with: dictionary)
    require(back == content, "what is compressed can be decompressed")
  }

  /// The first two bytes choose magic, dictionary, and how the rest is cut; the rest is a stream. Pieces and the whole give
  /// the same, within the limit.
  public static func decompressStream(_ input: [UInt8]) {
    guard input.count >= 2 else { return }
    let whole = run(input, piece: input.count, room: 4096)
    let pieces = run(input, piece: 1 + Int(input[1] & 31), room: 1 + Int(input[1]))
    require(whole.bytes.count <= limit && pieces.bytes.count <= limit, "the limit holds")
    // Of damaged frames libzstd notices less when they come in pieces.
    if !whole.isFailed, !pieces.isFailed { require(whole.bytes == pieces.bytes, "pieces change nothing") }
  }

  private static func run(_ input: [UInt8], piece: Int, room: Int) -> (bytes: [UInt8], isFailed: Bool) {
    var decompressor = try! StreamDecompressor(
      windowLog: 15, dictionary: input[0] & 2 != 0 ? CompressionSamples.dictionary : nil, hasMagic: input[0] & 1 != 0,
      outputLimit: UInt64(limit))
    var bytes: [UInt8] = []
    var rest = Array(input.dropFirst(2))
    var steps = 0
    while true {
      let part = Array(rest.prefix(piece))
      var progress = StreamProgress()
      var isFailed = false
      let output = [UInt8](capacity: room) { output in
        do { progress = try decompressor.read(part.bytes, into: &output) } catch { isFailed = true }
      }
      if isFailed { return (bytes, true) }
      require(progress.produced == output.count && progress.consumed <= part.count, "progress tells what was done")
      bytes += output
      rest.removeFirst(progress.consumed)
      if progress.isComplete || (rest.isEmpty && output.count < room) { return (bytes, false) }
      steps += 1
      require(steps < 100_000, "a stream must go on")
    }
  }

  /// A dictionary: refused, or of use both ways. An input that begins with `0xFF` is written over the tables of a sound one.
  public static func dictionary(_ input: [UInt8]) {
    var bytes = input
    if input.first == 0xFF {
      bytes = CompressionSamples.dictionary.bytes
      let change = input.dropFirst().prefix(bytes.count - 8)
      bytes.replaceSubrange(8..<8 + change.count, with: change)
    }
    guard let dictionary = try? ZstdDictionary(bytes) else { return }
    require(dictionary.bytes == bytes && dictionary.id != 0, "a dictionary is its bytes")
    guard let prepared = try? PreparedDictionary(dictionary) else { return }
    var compressor = try! MessageCompressor()
    var decompressor = try! MessageDecompressor()
    for message in CompressionSamples.messages.prefix(4) {
      var outcome = CompressionOutcome.bypassed
      let frame = [UInt8](capacity: message.count) { output in
        outcome = try! compressor.compress(message.bytes, with: prepared, into: &output)
      }
      guard case .compressed = outcome else { continue }
      let back = try? decompressor.decompress(frame.bytes, with: dictionary)
      require(back == message, "a dictionary that is taken must work")
    }
  }

  /// A diff: refused, or it gives exactly what it names.
  public static func dictionaryDiff(_ input: [UInt8]) {
    guard let diff = try? DictionaryDiff(parsing: input.bytes) else { return }
    require(diff.encoded == input, "a diff is written as it was read")
    // So that a fuzzer that cannot forge hashes gets past them.
    let open = DictionaryDiff(
      reference: CompressionSamples.dictionary.hash, target: CompressionSamples.retrained.hash,
      targetSize: diff.targetSize, body: diff.body)
    for diff in [diff, open] {
      guard let applied = try? diff.apply(to: CompressionSamples.dictionary) else { continue }
      require(applied.hash == diff.target, "the hash is verified")
    }
  }
}

extension Seeds {
  static var compression: [(target: String, name: String, bytes: [UInt8])] {
    let message = CompressionSamples.messages[0]
    func frame(_ message: [UInt8], _ options: FrameOptions, _ dictionary: PreparedDictionary?) -> [UInt8] {
      var compressor = try! MessageCompressor(options: options)
      return [UInt8](capacity: message.count) { output in
        _ = try! compressor.compress(message.bytes, with: dictionary, into: &output)
      }
    }
    func stream(_ parts: [[UInt8]], _ options: FrameOptions, _ dictionary: PreparedDictionary?) -> [UInt8] {
      var compressor = try! StreamCompressor(windowLog: 15, dictionary: dictionary, options: options)
      return [UInt8](capacity: 65_536) { output in
        for part in parts { _ = try! compressor.write(part.bytes, .flush, into: &output) }
        let end = CompressionSamples.messages[9]
        _ = try! compressor.write(end.bytes, .finish, into: &output)
      }
    }
    let text = Array(CompressionSamples.messages.prefix(20).joined())
    let zeros = [UInt8](repeating: 0, count: 30_000)
    let prepared = CompressionSamples.prepared
    let parts = Array(CompressionSamples.messages.prefix(4))
    let diff = try! DictionaryDiff(from: CompressionSamples.dictionary, to: CompressionSamples.retrained)
    return [
      ("decompress", "text", [0] + frame(text, .compact, nil)),
      ("decompress", "standard", [1] + frame(text, .standard, nil)),
      ("decompress", "dictionary", [2] + frame(message, .compact, prepared)),
      ("decompress", "standard-dictionary", [3] + frame(text, .standard, prepared)),
      ("decompress", "bomb", [0] + frame(zeros, .compact, nil)),
      ("decompress", "repeating-block", [0, 0x00, 0x38, 0x43, 0x06, 0x00, 0x41]),
      ("decompress", "huge-claim", [0, 0xE0] + [UInt8](repeating: 0xFF, count: 8) + [0x03, 0, 0, 0x41]),
      ("decompress-stream", "flushed", [0, 7] + stream(parts, .compact, nil)),
      ("decompress-stream", "standard", [1, 200] + stream(parts, .standard, nil)),
      ("decompress-stream", "dictionary", [2, 33] + stream(parts, .compact, prepared)),
      ("decompress-stream", "bomb", [0, 255] + stream([zeros], .compact, nil)),
      ("dictionary", "sound", Array(CompressionSamples.dictionary.bytes.prefix(2048))),
      ("dictionary", "tables", [0xFF] + CompressionSamples.dictionary.bytes[8..<200]),
      ("dictionary-diff", "sound", diff.encoded),
      ("dictionary-diff", "header", Array(diff.encoded.prefix(90))),
    ]
  }
}
