import MeshCompression
import MeshPrimitives
import MeshSimulation
import Testing

/// Why the encoded diff does not give a dictionary from `old`; `nil` when it does.
func problem(diff encoded: [UInt8], from old: ZstdDictionary) -> DictionaryError? {
  do throws(DictionaryError) {
    return problem(try DictionaryDiff(parsing: encoded.bytes), from: old)
  } catch { return error }
}

/// Why the diff does not give a dictionary from `old`; `nil` when it does.
func problem(_ diff: DictionaryDiff, from old: ZstdDictionary) -> DictionaryError? {
  error { () throws(DictionaryError) in try diff.apply(to: old) }
}

@Suite("Dictionary diffs") struct DictionaryDiffTests {
  let old = Corpus.dictionary
  let new = Corpus.retrained

  @Test func `a diff turns the old dictionary into the new one, and is much smaller`() throws {
    let diff = try DictionaryDiff(from: old, to: new)
    let received = try DictionaryDiff(parsing: diff.encoded.bytes)
    #expect(received == diff)
    #expect(received.reference == old.hash && received.target == new.hash && received.targetSize == new.size)
    let applied = try received.apply(to: old)
    #expect(applied.bytes == new.bytes && applied.hash == new.hash)
    #expect(diff.encoded.count < new.size / 2)
  }

  @Test func `a diff applies to its reference only`() throws {
    let diff = try DictionaryDiff(from: old, to: new)
    #expect(problem(diff, from: Corpus.foreign) == .wrongReference(expected: old.hash, found: Corpus.foreign.hash))
  }

  @Test func `a forged diff gives no dictionary`() throws {
    let diff = try DictionaryDiff(from: old, to: new)
    let foreign = try DictionaryDiff(from: old, to: Corpus.foreign)
    let forged = DictionaryDiff(
      reference: old.hash, target: new.hash, targetSize: Corpus.foreign.size, body: foreign.body)
    #expect(problem(forged, from: old) == .wrongHash(expected: new.hash, found: Corpus.foreign.hash))
    func resized(_ size: Int) -> DictionaryError? {
      problem(
        DictionaryDiff(reference: old.hash, target: new.hash, targetSize: size, body: diff.body), from: old)
    }
    for size in [256, new.size - 1, new.size + 1, 262_144] { #expect(resized(size) == .corruptDiff) }
    #expect(resized(-1) == .tooSmall(size: -1, minimum: 256))
    #expect(resized(255) == .tooSmall(size: 255, minimum: 256))
    #expect(resized(1 << 30) == .tooLarge(size: 1 << 30, limit: 262_144))
  }

  @Test func `each damaged byte is noticed`() throws {
    let encoded = try DictionaryDiff(from: old, to: new).encoded
    var random = SeededEntropy(seed: 2)
    let places = Array(0..<100) + (0..<200).map { _ in Int(random.upTo(Int64(encoded.count - 1))) }
    for index in places {
      var damaged = encoded
      damaged[index] ^= UInt8(1 + random.upTo(254))
      #expect(problem(diff: damaged, from: old) != nil, "byte \(index)")
    }
  }

  @Test func `truncated, empty and oversized diffs are refused`() throws {
    let encoded = try DictionaryDiff(from: old, to: new).encoded
    for count in Array(0..<80) + [encoded.count - 1] {
      #expect(problem(diff: Array(encoded.prefix(count)), from: old) == .corruptDiff)
    }
    let large = [UInt8](repeating: 0, count: 400_000)
    #expect(problem(diff: large, from: old) == .tooLarge(size: 400_000, limit: DictionaryDiff.maximumSize))
  }
}
