import MeshCompression
import MeshPrimitives
import MeshSimulation
import Testing

/// Compresses all of `bytes`, in outputs of `chunk` bytes.
func write(
  _ bytes: [UInt8], _ directive: StreamCompressor.Directive, _ compressor: inout StreamCompressor, chunk: Int = 4096
) throws(CompressionError) -> [UInt8] {
  var result: [UInt8] = []
  var rest = bytes
  while true {
    var progress = StreamProgress()
    let piece = try [UInt8](capacity: chunk) { (output: inout OutputRawSpan) throws(CompressionError) in
      progress = try compressor.write(rest.bytes, directive, into: &output)
    }
    precondition(progress.produced == piece.count)
    result += piece
    rest.removeFirst(progress.consumed)
    if progress.isComplete { return result }
  }
}

/// Decompresses what there is of `bytes`, in outputs of `chunk` bytes.
func read(
  _ bytes: [UInt8], _ decompressor: inout StreamDecompressor, chunk: Int = 4096
) throws(CompressionError) -> [UInt8] {
  var result: [UInt8] = []
  var rest = bytes
  while true {
    var progress = StreamProgress()
    let piece = try [UInt8](capacity: chunk) { (output: inout OutputRawSpan) throws(CompressionError) in
      progress = try decompressor.read(rest.bytes, into: &output)
    }
    precondition(progress.produced == piece.count)
    result += piece
    rest.removeFirst(progress.consumed)
    if piece.count < chunk, rest.isEmpty || progress.isComplete { return result }
  }
}

@Suite("Streams") struct StreamTests {
  @Test(arguments: [FrameOptions.compact, .standard], [false, true])
  func `after each flush all that was written can be read`(options: FrameOptions, hasDictionary: Bool) throws {
    let prepared = hasDictionary ? try PreparedDictionary(Corpus.dictionary) : nil
    var compressor = try StreamCompressor(dictionary: prepared, options: options)
    var decompressor = try StreamDecompressor(dictionary: prepared?.dictionary, hasMagic: options.magic)
    var corpus = Corpus(seed: 1)
    for index in 0..<300 {
      let message = corpus.next()
      let bytes = try write(message, .flush, &compressor, chunk: 1 + index % 100)
      let content = try read(bytes, &decompressor, chunk: 1 + index * 7 % 300)
      #expect(content == message)
      let isFinished = decompressor.isFinished
      #expect(!isFinished)
    }
    #expect(throws: CompressionError.truncated) { try decompressor.checkEnd() }
    let end = try write([1, 2, 3], .finish, &compressor)
    let last = try read(end, &decompressor)
    let isFinished = decompressor.isFinished
    #expect(last == [1, 2, 3])
    #expect(isFinished)
    try decompressor.checkEnd()
    let read = (decompressor.contentBytes, decompressor.compressedBytes)
    let written = (compressor.contentBytes, compressor.compressedBytes)
    #expect(read == written)
    #expect(2 * written.1 < written.0)
  }

  @Test func `a stream learns from what it has seen: later messages get smaller without a dictionary, too`() throws {
    var compressor = try StreamCompressor()
    var corpus = Corpus(seed: 1)
    var sizes: [Int] = []
    for _ in 0..<400 {
      let message = corpus.next()
      sizes.append(try write(message, .flush, &compressor).count)
    }
    let (first, last) = (sizes.prefix(20).reduce(0, +), sizes.suffix(20).reduce(0, +))
    #expect(3 * last < 2 * first)
  }

  @Test(arguments: [1, 3, 5, 9, 12, 16, 19], [10, 15, 17, 20])
  func `the memory is enough for every level and window`(level: Int, windowLog: Int) throws {
    var corpus = Corpus(seed: 1)
    let text = (0..<3000).flatMap { _ in corpus.next() }
    for prepared in [nil, try PreparedDictionary(Corpus.dictionary, level: level)] {
      var compressor = try StreamCompressor(level: level, windowLog: windowLog, dictionary: prepared)
      var decompressor = try StreamDecompressor(windowLog: windowLog, dictionary: prepared?.dictionary)
      var content: [UInt8] = []
      for part in [0..<5000, 5000..<200_000, 200_000..<text.count] {
        content += try read(write(Array(text[part]), .flush, &compressor), &decompressor)
      }
      #expect(content == text)
    }
  }

  @Test func `gathered bytes go out with the next flush`() throws {
    var compressor = try StreamCompressor()
    var decompressor = try StreamDecompressor()
    let gathered = try write(Array("hello ".utf8), .gather, &compressor)
    let flushed = try write(Array("world".utf8), .flush, &compressor)
    let content = try read(gathered + flushed, &decompressor)
    #expect(content == Array("hello world".utf8))
  }

  @Test func `a finished compressor takes nothing more`() throws {
    var compressor = try StreamCompressor()
    _ = try write([], .finish, &compressor)
    #expect(throws: CompressionError.ended) { try write([1], .flush, &compressor) }
  }
}

@Suite("Hostile streams") struct HostileStreamTests {
  static func stream(_ bytes: [UInt8], windowLog: Int = 17, _ options: FrameOptions = .compact) -> [UInt8] {
    var compressor = try! StreamCompressor(windowLog: windowLog, options: options)
    return try! write(bytes, .finish, &compressor)
  }

  @Test func `a frame with a larger window than agreed is refused before its memory is there`() throws {
    let bytes = Self.stream(Corpus.noise(3_000_000, seed: 5), windowLog: 20)
    var decompressor = try StreamDecompressor(windowLog: 19)
    #expect(throws: CompressionError.windowTooLarge(limit: 19)) { try read(bytes, &decompressor) }
    #expect(throws: CompressionError.windowTooLarge(limit: 19)) { try read([], &decompressor) }
    #expect(throws: CompressionError.windowTooLarge(limit: 19)) { try decompressor.checkEnd() }
    let memory = decompressor.memoryUse
    #expect(memory < 1 << 20)
  }

  @Test(arguments: [0, 1, 1000, 999_999]) func `a bomb is refused at the limit`(limit: UInt64) throws {
    let bomb = Self.stream(Array(repeating: 0, count: 1_000_000))
    #expect(bomb.count < 300)
    var decompressor = try StreamDecompressor(outputLimit: limit)
    #expect(throws: CompressionError.outputTooLarge(limit: limit)) { try read(bomb, &decompressor) }
    let count = decompressor.contentBytes
    #expect(count <= limit)
  }

  @Test func `a stream that is as large as the limit passes`() throws {
    let bytes = Self.stream(Array(repeating: 0, count: 1_000_000))
    var decompressor = try StreamDecompressor(outputLimit: 1_000_000)
    #expect(try read(bytes, &decompressor).count == 1_000_000)
    try decompressor.checkEnd()
  }

  @Test func `the output bounds what a bomb can do in one call`() throws {
    let bomb = Self.stream(Array(repeating: 0, count: 1_000_000))
    var decompressor = try StreamDecompressor()
    let piece = try [UInt8](capacity: 100) { (output: inout OutputRawSpan) throws(CompressionError) in
      _ = try decompressor.read(bomb.bytes, into: &output)
    }
    #expect(piece.count == 100)
  }

  @Test func `bytes behind the end are refused, and what stops early is truncated`() throws {
    let bytes = Self.stream(Array("hello".utf8))
    for count in 0..<bytes.count {
      var decompressor = try StreamDecompressor()
      _ = try read(Array(bytes.prefix(count)), &decompressor)
      #expect(throws: CompressionError.truncated) { try decompressor.checkEnd() }
    }
    var decompressor = try StreamDecompressor()
    #expect(try read(bytes, &decompressor) == Array("hello".utf8))
    #expect(throws: CompressionError.trailing(count: 2)) { try read([1, 2], &decompressor) }
  }

  @Test func `damage and noise end a stream with a typed error`() throws {
    var corpus = Corpus(seed: 3)
    let text = (0..<100).flatMap { _ in corpus.next() }
    let bytes = Self.stream(text, .standard)
    var failures = 0
    for seed in 0..<300 as Range<UInt64> {
      var damaged = bytes
      damaged[Int(seed &* 7919) % bytes.count] ^= UInt8(1 + seed % 255)
      var decompressor = try StreamDecompressor(hasMagic: true, outputLimit: 1 << 20)
      do throws(CompressionError) {
        let content = try read(damaged, &decompressor)
        try decompressor.checkEnd()
        #expect(content == text)
      } catch {
        failures += 1
        let again = #expect(throws: CompressionError.self) { try decompressor.checkEnd() }
        #expect(again == error)
      }
    }
    #expect(failures > 290)
  }
}
