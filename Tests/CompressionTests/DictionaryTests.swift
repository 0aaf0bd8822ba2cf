import MeshCompression
import MeshPrimitives
import MeshSimulation
import Testing

/// What `body` throws; `nil` when it does not.
func error<Value>(_ body: () throws(DictionaryError) -> Value) -> DictionaryError? {
  if case .failure(let error) = Result(catching: body) { return error }
  return nil
}

/// What is wrong with `bytes` as a dictionary; `nil` when nothing is.
func problem(_ bytes: [UInt8], verifying hash: DictionaryHash? = nil) -> DictionaryError? {
  error { () throws(DictionaryError) in try ZstdDictionary(bytes, verifying: hash) }
}

@Suite("Dictionaries") struct DictionaryTests {
  let bytes = Corpus.dictionary.bytes

  @Test func `the hash is BLAKE2b-256`() {
    // RFC 7693's function with an output of 32 bytes, as `b2sum -l 256` prints it.
    #expect(
      DictionaryHash(of: Array("abc".utf8).bytes).description
        == "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319")
    #expect(
      DictionaryHash(of: [UInt8]().bytes).description
        == "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8")
  }

  @Test func `a hash survives its text and its bytes`() throws {
    let hash = Corpus.dictionary.hash
    #expect(DictionaryHash(hash.description) == hash)
    #expect(DictionaryHash(hash.description.uppercased()) == hash)
    let bytes = hash.bytes
    let (again, short) = (DictionaryHash(bytes.bytes), Array(bytes.dropLast()))
    let none = DictionaryHash(short.bytes)
    #expect(again == hash && none == nil)
    #expect(DictionaryHash(hash.description.dropLast()) == nil)
    #expect(DictionaryHash("g" + hash.description.dropFirst()) == nil)
    #expect(hash < Corpus.foreign.hash || Corpus.foreign.hash < hash)
  }

  @Test func `a dictionary is its bytes`() throws {
    let again = try ZstdDictionary(bytes, verifying: Corpus.dictionary.hash)
    #expect(again.bytes == bytes)
    #expect(again.id == Corpus.dictionary.id && again.size == bytes.count && again.id != 0)
    #expect(bytes.starts(with: [0x37, 0xA4, 0x30, 0xEC]))
  }

  @Test func `sizes below and above what there is are refused`() {
    #expect(problem([]) == .tooSmall(size: 0, minimum: 256))
    #expect(problem(Array(bytes.prefix(255))) == .tooSmall(size: 255, minimum: 256))
    let large = bytes + Array(repeating: 0, count: 262_145 - bytes.count)
    #expect(problem(large) == .tooLarge(size: 262_145, limit: 262_144))
  }

  @Test func `what has no magic or no id is refused`() {
    #expect(problem(Corpus.noise(1000, seed: 1)) == .notADictionary)
    var changed = bytes
    changed.replaceSubrange(4..<8, with: [0, 0, 0, 0])
    #expect(problem(changed) == .corrupt)
  }

  @Test func `a forged dictionary does not have the hash`() throws {
    var random = SeededEntropy(seed: 5)
    for _ in 0..<200 {
      var forged = bytes
      forged[8 + Int(random.upTo(Int64(bytes.count - 9)))] ^= UInt8(1 + random.upTo(254))
      let found = problem(forged, verifying: Corpus.dictionary.hash)
      #expect(found == .wrongHash(expected: Corpus.dictionary.hash, found: DictionaryHash(of: forged.bytes)))
    }
  }

  func prepared(_ bytes: [UInt8]) -> PreparedDictionary? {
    do { return try PreparedDictionary(ZstdDictionary(bytes)) } catch { return nil }
  }

  @Test func `damaged tables are refused, or serve without harm`() throws {
    var random = SeededEntropy(seed: 6)
    var refused = 0
    var corpus = Corpus(seed: 1)
    var compressor = try MessageCompressor()
    var decompressor = try MessageDecompressor()
    for _ in 0..<400 {
      var damaged = bytes
      // The entropy tables lie in the first hundreds of bytes.
      for _ in 0..<1 + random.upTo(3) { damaged[8 + Int(random.upTo(140))] = UInt8(truncatingIfNeeded: random.next()) }
      guard let prepared = prepared(damaged) else {
        refused += 1
        continue
      }
      let message = corpus.next()
      guard let frame = try compressed(message, &compressor, with: prepared) else { continue }
      let content = try decompressor.decompress(frame.bytes, with: prepared.dictionary)
      #expect(content == message)
    }
    #expect(refused > 100)
  }

  @Test func `truncated dictionaries do not have the hash`() {
    for size in stride(from: 256, to: bytes.count, by: 97) {
      let part = Array(bytes.prefix(size))
      let hash = DictionaryHash(of: part.bytes)
      #expect(
        problem(part, verifying: Corpus.dictionary.hash) == .wrongHash(expected: Corpus.dictionary.hash, found: hash))
    }
  }
}
