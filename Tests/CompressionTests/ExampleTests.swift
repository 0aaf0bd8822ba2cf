import MeshCompression
import MeshPrimitives
import Testing

@Suite("Example") struct ExampleTests {
  @Test func `the example of docs/layers.md compiles and works`() throws {
    var corpus = Corpus(seed: 1)
    let samples = corpus.messages(2000)
    let message = corpus.next()

    var training = try DictionaryTraining(samples: samples, seed: 1)
    while try training.step() {}
    let (dictionary, report) = try training.result()
    #expect(report.ratio > report.plainRatio && dictionary.size > 0)

    var compressor = try MessageCompressor()
    var decompressor = try MessageDecompressor(limit: 65_536)
    let prepared = try PreparedDictionary(dictionary, level: 3)
    var bypass = AdaptiveBypass()

    var outcome = CompressionOutcome.bypassed
    let frame = try [UInt8](capacity: message.count) { (output: inout OutputRawSpan) throws(CompressionError) in
      outcome = try compressor.compress(message.bytes, with: prepared, bypass: &bypass, into: &output)
    }
    #expect(outcome == .compressed(frame.count))
    let same = try decompressor.decompress(frame.bytes, with: dictionary)
    #expect(same == message)
  }
}
