import MeshCommands
import MeshCompression
import MeshPrimitives
import Testing

@Suite("Dictionaries at the shell") struct DictionaryCommandTests {
  let folder = TemporaryDirectory()

  /// 3,000 records as lines of a file.
  func log(_ name: String, _ kind: String) throws -> String {
    var state: UInt64 = 5
    func random(_ bound: UInt64) -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1
      return (state >> 33) % bound
    }
    let lines = (0..<3000).map { _ in
      "{\"\(kind)_id\":\(random(99_999)),\"\(kind)_state\":\"\(["on", "off", "idle"][Int(random(3))])\",\"took\":\(random(999))}"
    }
    let path = "\(folder.path)/\(name)"
    try DictionaryShelf.write(Array(lines.joined(separator: "\n").utf8), to: path, isReplacing: true)
    return path
  }

  func train(_ paths: [String], seed: UInt64 = 1) throws -> (dictionary: ZstdDictionary, report: TrainingReport) {
    var options = TrainingOptions()
    options.sizes = [8192, 16_384]
    var steps: [Int] = []
    defer { #expect(steps == [0, 1]) }
    return try DictionaryShelf.train(SampleFiles(split: .lines).read(paths), options, seed: seed) { done, total in
      #expect(total == 2)
      steps.append(done)
    }
  }

  func message(_ body: () throws -> Void) -> String {
    do { try body() } catch { return Failure(describing: error).message }
    return ""
  }

  @Test func `samples are files, lines, paragraphs or blocks`() throws {
    let path = "\(folder.path)/text"
    try DictionaryShelf.write(Array("a\nb\n\nc\n\n\nd\n".utf8), to: path, isReplacing: false)
    func samples(_ split: String) throws -> [String] {
      let files = SampleFiles(split: try #require(SampleFiles.Split(split)))
      return try files.read([folder.path]).map { String(decoding: $0, as: UTF8.self) }
    }
    #expect(try samples("files") == ["a\nb\n\nc\n\n\nd\n"])
    #expect(try samples("lines") == ["a", "b", "c", "d"])
    #expect(try samples("paragraphs") == ["a\nb\n", "c\n", "d\n"])
    #expect(try samples("16") == ["a\nb\n\nc\n\n\nd\n"])
    #expect(SampleFiles.Split("15") == nil && SampleFiles.Split("words") == nil)
  }

  @Test func `a dictionary is found by id, by hash, by name and by path`() throws {
    let (dictionary, report) = try train([log("log", "job")])
    let path = folder.path + "/dictionaries"
    let file = try DictionaryShelf(path).save(dictionary, training: DictionaryFacts.Training(report))
    let shelf = try DictionaryShelf(path)
    for name in ["\(dictionary.id)", dictionary.description, String(dictionary.hash.description.prefix(4)), file] {
      #expect(try shelf.find(name).hash == dictionary.hash, "\(name)")
    }
    let facts = shelf.facts(of: dictionary)
    #expect(facts.file == file && facts.training?.ratio == report.ratio)
    #expect(message { _ = try shelf.find("no") }.contains("pnet dict list"))
    #expect(message { _ = try shelf.find(path + "/none") }.contains("No such file"))
  }

  @Test func `a beginning that fits two dictionaries is refused, with both`() throws {
    let dictionary = try train([log("log", "job")]).dictionary
    // A twin with the same id.
    var bytes = dictionary.bytes
    bytes[bytes.count - 1] ^= 1
    let twin = try ZstdDictionary(bytes)
    let path = folder.path + "/dictionaries"
    for one in [dictionary, twin] { _ = try DictionaryShelf(path).save(one) }
    let shelf = try DictionaryShelf(path)
    let said = message { _ = try shelf.find("\(dictionary.id)") }
    #expect(said.contains(dictionary.description) && said.contains(twin.description))
    #expect(try shelf.find(twin.description).hash == twin.hash)
  }

  @Test func `an evaluation tells when a dictionary no longer fits`() throws {
    let (old, new) = (try log("old", "job"), try log("new", "invoice"))
    let (dictionary, report) = try train([old])
    let training = DictionaryFacts.Training(report)
    func evaluation(_ path: String) throws -> DictionaryEvaluation {
      try DictionaryEvaluation(
        dictionary, on: SampleFiles(split: .lines).read([path]), level: 3, training: training, decay: 0.15)
    }
    #expect(try evaluation(old).needsRetraining == false)
    #expect(try evaluation(new).needsRetraining == true)
    #expect(try evaluation(old).ratio > 1.5 * evaluation(new).ratio)
    let empty = message { _ = try DictionaryEvaluation(dictionary, on: [], level: 3, training: nil, decay: 0.1) }
    #expect(empty == "there are no samples in these files")
  }

  @Test func `a diff is applied to the dictionary that it names`() throws {
    let log = try log("log", "job")
    let (old, new) = (try train([log]).dictionary, try train([log], seed: 2).dictionary)
    let (path, diff) = (folder.path + "/dictionaries", folder.path + "/diff")
    try DictionaryShelf.write(DictionaryShelf.diff(from: old, to: new), to: diff, isReplacing: false)
    #expect(message { _ = try DictionaryShelf(path).apply(diff, to: nil) }.contains("which is not in \(path)"))
    _ = try DictionaryShelf(path).save(old)
    #expect(try DictionaryShelf(path).apply(diff, to: nil).hash == new.hash)
    #expect(message { _ = try DictionaryShelf(path).apply(diff, to: new) }.contains("starts from the dictionary"))
    #expect(message { _ = try DictionaryShelf(path).apply(log, to: nil) }.contains("no diff"))
  }
}
