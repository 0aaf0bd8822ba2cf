import MeshCompression
import MeshPrimitives
import MeshSimulation
import Testing

@Suite("Messages") struct MessageTests {
  @Test(arguments: [FrameOptions.compact, .standard], [false, true])
  func `what is decompressed is what was compressed`(options: FrameOptions, hasDictionary: Bool) throws {
    var corpus = Corpus(seed: 1)
    let dictionary = hasDictionary ? Corpus.dictionary : nil
    let prepared = try dictionary.map { try PreparedDictionary($0) }
    var compressor = try MessageCompressor(options: options)
    var decompressor = try MessageDecompressor(hasMagic: options.magic)
    for _ in 0..<500 {
      let message = corpus.next()
      guard let frame = try compressed(message, &compressor, with: prepared) else { continue }
      #expect(frame.count < message.count)
      #expect(try decompressor.decompress(frame.bytes, with: dictionary) == message)
    }
    #expect(compressor.statistics(of: dictionary?.hash).messages > (hasDictionary ? 450 : 100))
    #expect(
      compressor.statistics(of: dictionary?.hash).messages == decompressor.statistics(of: dictionary?.hash).messages)
  }

  @Test func `a dictionary makes small messages several times smaller than no dictionary does`() throws {
    var corpus = Corpus(seed: 1)
    _ = corpus.messages(5000)
    let fresh = corpus.messages(1000)
    let with = try DictionaryTraining.measure(fresh, with: PreparedDictionary(Corpus.dictionary))
    let without = try DictionaryTraining.measure(fresh, with: nil)
    #expect(2 * with < without)
  }

  @Test(arguments: [1, 3, 4, 6, 9, 12, 15, 17, 19])
  func `a compressor's memory is enough for every size and dictionary`(level: Int) throws {
    let limit = 300_000
    var compressor = try MessageCompressor(level: level, maximumSize: limit)
    var decompressor = try MessageDecompressor(limit: limit)
    var corpus = Corpus(seed: 1)
    let text = (0..<3500).flatMap { _ in corpus.next() }
    for prepared in [nil, try PreparedDictionary(Corpus.dictionary, level: level)] {
      for size in [1, 100, 400, 513, 4000, 8192, 9000, 16_385, 33_000, 70_000, 131_072, 140_000, 262_145, 299_999] {
        let message = Array(text[0..<size])
        guard let frame = try compressed(message, &compressor, with: prepared) else {
          #expect(size < 513)
          continue
        }
        #expect(try decompressor.decompress(frame.bytes, with: prepared?.dictionary) == message, "\(size)")
      }
    }
  }

  @Test func `noise and what is too short stay as they are`() throws {
    var compressor = try MessageCompressor()
    for size in [0, 1, 2, 5, 10, 300, 5000] {
      #expect(try compressed(Corpus.noise(size, seed: 3), &compressor) == nil)
    }
    #expect(compressor.statistics(of: nil).incompressible == 7)
    #expect(compressor.statistics(of: nil).ratio == 1)
  }

  @Test func `a message that is too large is the caller's error, not the library's`() throws {
    var compressor = try MessageCompressor(maximumSize: 1000)
    #expect(throws: CompressionError.messageTooLarge(size: 1001, limit: 1000)) {
      try compressed(Array(repeating: 0, count: 1001), &compressor)
    }
  }

  @Test func `the output is never written beyond its capacity`() throws {
    var compressor = try MessageCompressor()
    var corpus = Corpus(seed: 4)
    let message = (0..<20).flatMap { _ in corpus.next() }
    let frame = try #require(try compressed(message, &compressor))
    for capacity in [0, 1, frame.count / 2, frame.count - 1, message.count] {
      var outcome = CompressionOutcome.bypassed
      let written = try [UInt8](capacity: capacity) { (output: inout OutputRawSpan) throws(CompressionError) in
        outcome = try compressor.compress(message.bytes, into: &output)
      }
      #expect(written == (capacity == message.count ? frame : []))
      #expect(outcome == (capacity == message.count ? .compressed(frame.count) : .incompressible))
    }
  }

  @Test func `frames are appended behind what is in the output`() throws {
    var compressor = try MessageCompressor()
    var decompressor = try MessageDecompressor()
    let message = Array(repeating: UInt8(7), count: 500)
    let frame = try #require(try compressed(message, &compressor))
    let output = try [UInt8](capacity: 600) { (output: inout OutputRawSpan) throws(CompressionError) in
      output.append(1)
      _ = try compressor.compress(message.bytes, into: &output)
      output.append(2)
    }
    #expect(output == [1] + frame + [2])
    let content = try [UInt8](capacity: 502) { (output: inout OutputRawSpan) throws(CompressionError) in
      output.append(1)
      try decompressor.decompress(frame.bytes, into: &output)
      output.append(2)
    }
    #expect(content == [1] + message + [2])
  }

  @Test func `a compact frame carries nothing that the receiver knows`() throws {
    var compact = try MessageCompressor()
    var standard = try MessageCompressor(options: .standard)
    let message = Array(repeating: UInt8(ascii: "a"), count: 300)
    let prepared = try PreparedDictionary(Corpus.dictionary)
    let small = try #require(try compressed(message, &compact, with: prepared))
    let large = try #require(try compressed(message, &standard, with: prepared))
    // Magic 4, content size 2 in place of a window byte, dictionary id 4, checksum 4.
    #expect(large.count == small.count + 4 + 1 + 4 + 4)
    #expect(large.starts(with: [0x28, 0xB5, 0x2F, 0xFD]))
  }

  @Test func `statistics are kept per dictionary`() throws {
    var corpus = Corpus(seed: 1)
    var compressor = try MessageCompressor()
    let first = try PreparedDictionary(Corpus.dictionary)
    let second = try PreparedDictionary(Corpus.foreign)
    for dictionary in [first, second, first, nil, first] {
      _ = try compressed(corpus.next(), &compressor, with: dictionary)
    }
    let counts = compressor.statistics.map { $0.statistics.messages + $0.statistics.incompressible }
    #expect(compressor.statistics.map(\.dictionary) == [nil, first.dictionary.hash, second.dictionary.hash])
    #expect(counts == [1, 3, 1])
    #expect(compressor.statistics(of: first.dictionary.hash).ratio > compressor.statistics(of: nil).ratio)
  }
}

@Suite("Adaptive bypass") struct AdaptiveBypassTests {
  @Test func `noise is soon sent as it is, with probes further and further apart`() throws {
    var compressor = try MessageCompressor()
    var bypass = AdaptiveBypass(patience: 4, firstPause: 8, longestPause: 32)
    var tried: [Int] = []
    for index in 0..<200 {
      let message = Corpus.noise(300, seed: UInt64(index))
      _ = try [UInt8](capacity: 300) { (output: inout OutputRawSpan) throws(CompressionError) in
        if try compressor.compress(message.bytes, bypass: &bypass, into: &output) != .bypassed { tried.append(index) }
      }
    }
    #expect(tried == [0, 1, 2, 3, 12, 29, 62, 95, 128, 161, 194])
    #expect(compressor.statistics(of: nil).bypassed == 200 - 11)
    #expect(compressor.statistics(of: nil).bypassedBytes == 300 * (200 - 11))
  }

  @Test func `a probe that succeeds ends it`() {
    var bypass = AdaptiveBypass(patience: 2, firstPause: 4, longestPause: 8)
    for _ in 0..<2 {
      let isTried = bypass.shouldTry()
      #expect(isTried)
      bypass.record(size: 100, compressed: 99)
    }
    #expect((0..<4).map { _ in bypass.shouldTry() } == [false, false, false, false])
    let isProbed = bypass.shouldTry()
    #expect(isProbed)
    bypass.record(size: 100, compressed: 50)
    for _ in 0..<20 {
      let isTried = bypass.shouldTry()
      #expect(isTried)
      bypass.record(size: 100, compressed: 50)
    }
    #expect(bypass == AdaptiveBypass(patience: 2, firstPause: 4, longestPause: 8))
  }

  @Test func `a few bad messages among good ones change nothing`() {
    var bypass = AdaptiveBypass(patience: 3)
    for index in 0..<100 {
      let isTried = bypass.shouldTry()
      #expect(isTried)
      bypass.record(size: 100, compressed: index % 3 == 0 ? 40 : 100)
    }
  }
}
