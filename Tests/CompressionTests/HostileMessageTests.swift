import MeshCompression
import MeshPrimitives
import MeshSimulation
import Testing

/// What `frame` decompresses to, or why not.
func outcome(
  _ frame: [UInt8], limit: Int = 65_536, hasMagic: Bool = false, with dictionary: ZstdDictionary? = nil
) -> Result<[UInt8], CompressionError> {
  Result { () throws(CompressionError) in
    var decompressor = try MessageDecompressor(limit: limit, hasMagic: hasMagic)
    return try decompressor.decompress(frame.bytes, with: dictionary)
  }
}

@Suite("Hostile messages") struct HostileMessageTests {
  static let message = (0..<40).flatMap { _ in Array("the quick brown fox \n".utf8) }
  static let dictionary = try! PreparedDictionary(Corpus.dictionary)

  static func frame(_ message: [UInt8], _ options: FrameOptions, with dictionary: PreparedDictionary? = nil) -> [UInt8]
  {
    var compressor = try! MessageCompressor(maximumSize: 1 << 24, options: options)
    return try! compressed(message, &compressor, with: dictionary)!
  }

  @Test(arguments: [FrameOptions.compact, .standard]) func `every truncation is told`(options: FrameOptions) {
    let frame = Self.frame(Self.message, options)
    #expect(outcome(frame, hasMagic: options.magic) == .success(Self.message))
    for count in 0..<frame.count {
      #expect(outcome(Array(frame.prefix(count)), hasMagic: options.magic) == .failure(.truncated), "\(count)")
    }
  }

  @Test func `bytes behind the frame are refused`() {
    let frame = Self.frame(Self.message, .compact)
    #expect(outcome(frame + [0]) == .failure(.trailing(count: 1)))
    #expect(outcome(frame + frame) == .failure(.trailing(count: frame.count)))
  }

  @Test func `a changed byte gives a typed error or other bytes within the limit, never more`() {
    var random = SeededEntropy(seed: 11)
    let source = Array(Self.message.prefix(400))
    for (options, dictionary) in [
      (FrameOptions.compact, nil), (.compact, Self.dictionary), (.standard, Self.dictionary),
    ] {
      let frame = Self.frame(source, options, with: dictionary)
      for index in frame.indices {
        for _ in 0..<4 {
          var damaged = frame
          damaged[index] ^= UInt8(1 + random.upTo(254))
          let result = outcome(damaged, limit: 1000, hasMagic: options.magic, with: dictionary?.dictionary)
          if case .success(let bytes) = result {
            #expect(bytes.count <= 1000)
            // With a checksum, only the reserved bits of a header can change without being noticed.
            if options.checksum { #expect(bytes == source) }
          }
        }
      }
    }
  }

  @Test func `random bytes give typed errors`() {
    for seed in 0..<3000 as Range<UInt64> {
      let bytes = Corpus.noise(Int(seed % 97), seed: seed)
      for dictionary in [nil, Corpus.dictionary] {
        if case .success(let content) = outcome(bytes, limit: 500, with: dictionary) { #expect(content.count <= 500) }
      }
    }
  }

  @Test(arguments: [FrameOptions.compact, .standard]) func `a bomb is refused at the limit`(options: FrameOptions) {
    // 16 MiB of zeros in some hundred bytes.
    let bomb = Self.frame(Array(repeating: 0, count: 1 << 24), options)
    #expect(bomb.count < 2000)
    for limit in [1, 1000, 65_536, 1 << 24 - 1] {
      #expect(outcome(bomb, limit: limit, hasMagic: options.magic) == .failure(.outputTooLarge(limit: UInt64(limit))))
    }
    if case .success(let content) = outcome(bomb, limit: 1 << 24, hasMagic: options.magic) {
      #expect(content.count == 1 << 24)
    } else {
      Issue.record("what is allowed must pass")
    }
  }

  @Test func `a frame that says it is huge allocates nothing`() {
    // Single segment, content size of eight bytes, and a repeating block of one byte.
    let claim: [UInt8] = [0xE0] + Array(repeating: 0xFF, count: 8) + [0x03, 0x00, 0x00, 0x41]
    #expect(outcome(claim) == .failure(.outputTooLarge(limit: 65_536)))
    // A window of 3.75 TiB, and one byte.
    #expect(outcome([0x00, 0xFF, 0x09, 0x00, 0x00, 0x41]) == .failure(.windowTooLarge(limit: 31)))
    // 200 repeating blocks of 128 KiB.
    let block: [UInt8] = [0x02, 0x00, 0x10, 0x00]
    let blocks: [UInt8] =
      [0x00, 0x70] + [[UInt8]](repeating: block, count: 200).flatMap { $0 } + [0x03, 0x00, 0x10, 0x00]
    #expect(outcome(blocks, limit: 1 << 20) == .failure(.outputTooLarge(limit: 1 << 20)))
  }

  @Test func `the limit also counts the room in the output`() throws {
    let frame = Self.frame(Self.message, .compact)
    var decompressor = try MessageDecompressor()
    for room in [0, 1, Self.message.count - 1] {
      #expect(throws: CompressionError.outputTooLarge(limit: UInt64(room))) {
        try [UInt8](capacity: room) { (output: inout OutputRawSpan) throws(CompressionError) in
          try decompressor.decompress(frame.bytes, into: &output)
        }
      }
    }
    #expect(decompressor.statistics(of: nil).failures == 3)
  }

  @Test func `a frame of another dictionary is refused by its id, or by what comes out`() {
    let named = Self.frame(Self.message, .standard, with: Self.dictionary)
    let id = Corpus.dictionary.id
    #expect(outcome(named, hasMagic: true) == .failure(.wrongDictionary(id: id)))
    #expect(outcome(named, hasMagic: true, with: Corpus.foreign) == .failure(.wrongDictionary(id: id)))
    #expect(outcome(named, hasMagic: true, with: Corpus.dictionary) == .success(Self.message))
    // Nothing names it in a compact frame: something comes out, or not, but never more than the limit.
    var corpus = Corpus(seed: 1)
    let message = corpus.next()
    if case .success(let bytes) = outcome(Self.frame(message, .compact, with: Self.dictionary), with: Corpus.foreign) {
      #expect(bytes != message && bytes.count <= 65_536)
    }
  }

  @Test func `a context is as good after a failure as before`() throws {
    var decompressor = try MessageDecompressor(limit: 2000)
    var corpus = Corpus(seed: 1)
    for seed in 0..<200 as Range<UInt64> {
      let message = corpus.next()
      let frame = Self.frame(message, .compact, with: Self.dictionary)
      var damaged = frame
      damaged[Int(seed) % frame.count] ^= 0x55
      _ = try? decompressor.decompress(damaged.bytes, with: Corpus.dictionary)
      _ = try? decompressor.decompress(Corpus.noise(50, seed: seed).bytes)
      let content = try decompressor.decompress(frame.bytes, with: Corpus.dictionary)
      #expect(content == message)
    }
  }

  @Test func `each failure is counted under its name`() throws {
    var decompressor = try MessageDecompressor(limit: 1000)
    let frame = Self.frame(Self.message, .compact)
    let large = Self.frame(Array(repeating: 0, count: 5000), .compact)
    let hostile: [[UInt8]] = [
      Array(frame.dropLast()), frame + [0], large, [0x08], [0x00, 0xFF, 0x09, 0x00, 0x00, 0x41],
      [0x01, 0x00, 0x07, 0x09, 0x00, 0x00, 0x41],
    ]
    for frame in hostile { _ = try? decompressor.decompress(frame.bytes) }
    let counts = decompressor.failures
    let expected: [DecompressionFailure] = [
      .truncated, .trailing, .outputTooLarge, .corrupt, .windowTooLarge, .wrongDictionary,
    ]
    for reason in expected { #expect(counts[reason] == 1, "\(reason)") }
    #expect(counts.total == 6)
  }

  @Test func `what a damaged frame gives does not depend on what came before it`() throws {
    var decompressor = try MessageDecompressor(limit: 2000)
    for seed in 0..<2000 as Range<UInt64> {
      // One compressed block: a literal, and two sequences with the dictionary's tables.
      var frame = [0, 0, 0x5D, 0, 0] + Corpus.noise(11, seed: seed)
      (frame[5], frame[7], frame[8]) = (8, 2, 0xFC)
      let fresh = outcome(frame, limit: 2000, with: Corpus.dictionary)
      for _ in 0..<2 {
        let again = Result { () throws(CompressionError) in
          try decompressor.decompress(frame.bytes, with: Corpus.dictionary)
        }
        #expect(again == fresh)
      }
      _ = try? decompressor.decompress(frame.bytes, with: nil)
    }
  }

  @Test func `frames with zstd's magic and frames without are not taken for each other`() {
    #expect(outcome(Self.frame(Self.message, .standard)) != .success(Self.message))
    #expect(outcome(Self.frame(Self.message, .compact), hasMagic: true) == .failure(.corrupt))
    // A skippable frame is no message.
    #expect(outcome([0x50, 0x2A, 0x4D, 0x18, 1, 0, 0, 0, 9], hasMagic: true) == .failure(.corrupt))
  }
}
