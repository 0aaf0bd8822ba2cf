import Glibc
import MeshCompression
import MeshDictionaryFiles
import MeshPrimitives
import MeshSimulation
import Testing

/// A directory that goes with the value.
final class Folder: Sendable {
  let path: String

  init() {
    var template = Array("/tmp/pnet-dictionaries-XXXXXX".utf8CString)
    path = mkdtemp(&template).map { String(cString: $0) } ?? "/nonexistent"
  }

  deinit { system("rm -rf '\(path)'") }
}

/// Small JSON messages of one kind.
func messages(_ count: Int, seed: UInt64) -> [[UInt8]] {
  var random = SeededEntropy(seed: seed)
  let words = ["started", "stopped", "failed", "restarted", "queued", "running", "cancelled", "unknown"]
  return (0..<count).map { _ in
    let (state, job) = (words[Int(random.upTo(7))], random.upTo(99_999))
    return Array(
      "{\"job\":\(job),\"state\":\"\(state)\",\"queue\":\"default-\(random.upTo(30))\",\"attempt\":\(random.upTo(5))}"
        .utf8)
  }
}

func trained(seed: UInt64) -> ZstdDictionary {
  var options = TrainingOptions()
  options.sizes = [8192]
  var training = try! DictionaryTraining(samples: messages(2000, seed: seed), options: options, seed: seed)
  while try! training.step() {}
  return try! training.result().dictionary
}

@Suite("Dictionary directory") struct DictionaryDirectoryTests {
  static let first = trained(seed: 1)
  static let second = trained(seed: 2)
  let folder = Folder()
  var directory: DictionaryDirectory { DictionaryDirectory(folder.path + "/a/b") }

  @Test func `what is saved is loaded, versions side by side`() throws {
    #expect(try directory.load().store.dictionaries.isEmpty)
    let file = try directory.save(Self.first, note: Array("{}".utf8))
    try directory.save(Self.second)
    try directory.save(Self.first)
    #expect(file.hasSuffix("/\(Self.first.id)-\(Self.first.hash.prefix).dict"))
    let (store, refused) = try directory.load()
    #expect(Set(store.dictionaries.map(\.hash)) == [Self.first.hash, Self.second.hash])
    #expect(refused.isEmpty)
    #expect(try SmallFile.read(directory.note(of: Self.first), limit: 10) == Array("{}".utf8))
  }

  @Test func `files and directories are for their owner only`() throws {
    var facts = stat()
    let file = try directory.save(Self.first)
    var modes: [mode_t] = []
    for path in [file, directory.path] { modes.append(stat(path, &facts) == 0 ? facts.st_mode & 0o777 : 0) }
    #expect(modes == [0o600, 0o700])
  }

  @Test func `damaged, renamed and foreign files are left out by name`() throws {
    try directory.save(Self.first)
    var forged = Self.second.bytes
    forged[forged.count - 1] ^= 1
    try SmallFile.write(forged, to: directory.file(of: Self.second))
    try SmallFile.write(Self.second.bytes, to: "\(directory.path)/1-0123456789abcdef.dict")
    try SmallFile.write([1, 2, 3], to: "\(directory.path)/short.dict")
    try SmallFile.write(Array(repeating: 0, count: 300_000), to: "\(directory.path)/large.dict")
    #expect(symlink("/dev/zero", "\(directory.path)/device.dict") == 0)
    try SmallFile.write([1, 2, 3], to: "\(directory.path)/other.txt")
    let (store, refused) = try directory.load()
    #expect(store.dictionaries.map(\.hash) == [Self.first.hash])
    var reasons: [String: DictionaryFileError] = [:]
    for file in refused { reasons[file.name] = file.reason }
    #expect(reasons["short.dict"] == .dictionary(.tooSmall(size: 3, minimum: 256)))
    #expect(reasons["large.dict"] == .tooLarge(limit: 262_144))
    #expect(reasons["device.dict"] == .notARegularFile)
    #expect(reasons["1-0123456789abcdef.dict"] == .misnamed)
    #expect(reasons[DictionaryDirectory.name(of: Self.second)] == .misnamed)
    #expect(refused.count == 5)
    // Saving the true one repairs it.
    try directory.save(Self.second)
    #expect(try directory.load().store[Self.second.hash] != nil)
  }

  @Test func `a file is written whole or not at all, and replaces nothing unasked`() throws {
    let path = folder.path + "/x"
    try SmallFile.write([1], to: path)
    #expect(throws: DictionaryFileError.system(code: EEXIST)) { try SmallFile.write([2], to: path) }
    try SmallFile.write([3], to: path, isReplacing: true)
    #expect(try SmallFile.read(path, limit: 1) == [3])
    #expect(system("test $(ls '\(folder.path)' | wc -l) -eq 1") == 0)
  }
}

@Suite("The zstd tool") struct ZstdToolTests {
  let folder = Folder()

  /// Runs a command in the folder. - Returns: whether it succeeded.
  func shell(_ command: String) -> Bool { system("cd '\(folder.path)' && \(command)") == 0 }

  func write(_ name: String, _ bytes: [UInt8]) throws { try SmallFile.write(bytes, to: "\(folder.path)/\(name)") }

  func read(_ name: String) throws -> [UInt8] { try SmallFile.read("\(folder.path)/\(name)", limit: 1 << 20) }

  @Test func `zstd reads what we write with our dictionary, and we what it writes`() throws {
    let dictionary = DictionaryDirectoryTests.first
    let prepared = try PreparedDictionary(dictionary)
    try write("dictionary", dictionary.bytes)
    var compressor = try MessageCompressor(options: .standard)
    var decompressor = try MessageDecompressor(hasMagic: true)
    for (index, message) in messages(8, seed: 5).enumerated() {
      let frame = try [UInt8](capacity: message.count) { (output: inout OutputRawSpan) throws(CompressionError) in
        _ = try compressor.compress(message.bytes, with: prepared, into: &output)
      }
      try write("ours\(index).zst", frame)
      #expect(shell("zstd -q -d -D dictionary ours\(index).zst"))
      #expect(try read("ours\(index)") == message)
      try write("theirs\(index)", message)
      #expect(shell("zstd -q -\(3 + index) -D dictionary theirs\(index)"))
      let theirs = try read("theirs\(index).zst")
      let content = try decompressor.decompress(theirs.bytes, with: dictionary)
      #expect(content == message)
    }
  }

  @Test func `we use a dictionary that zstd trained, and zstd reads what we make with it`() throws {
    #expect(shell("mkdir samples"))
    for (index, message) in messages(1000, seed: 6).enumerated() { try write("samples/\(index)", message) }
    #expect(shell("zstd -q --train samples/* --maxdict=8192 -o trained 2>log"))
    let dictionary = try DictionaryDirectory.read("\(folder.path)/trained")
    let prepared = try PreparedDictionary(dictionary)
    let fresh = messages(200, seed: 7)
    let (with, without) = (
      try DictionaryTraining.measure(fresh, with: prepared), try DictionaryTraining.measure(fresh, with: nil)
    )
    #expect(2 * with < without)
    var compressor = try MessageCompressor(options: .standard)
    let message = fresh[0]
    let frame = try [UInt8](capacity: 200) { (output: inout OutputRawSpan) throws(CompressionError) in
      _ = try compressor.compress(message.bytes, with: prepared, into: &output)
    }
    try write("ours.zst", frame)
    #expect(shell("zstd -q -d -D trained ours.zst"))
    #expect(try read("ours") == fresh[0])
  }

  @Test func `streams pass in both directions`() throws {
    let text = messages(3000, seed: 8).flatMap { $0 }
    var compressor = try StreamCompressor(options: .standard)
    var frame: [UInt8] = []
    for part in [0..<1000, 1000..<50_000, 50_000..<text.count] {
      var rest = Array(text[part])
      let directive = part.upperBound == text.count ? StreamCompressor.Directive.finish : .flush
      var progress = StreamProgress()
      while !progress.isComplete {
        frame += try [UInt8](capacity: 1000) { (output: inout OutputRawSpan) throws(CompressionError) in
          progress = try compressor.write(rest.bytes, directive, into: &output)
        }
        rest.removeFirst(progress.consumed)
      }
    }
    try write("ours.zst", frame)
    #expect(shell("zstd -q -d ours.zst"))
    #expect(try read("ours") == text)
    try write("theirs", text)
    #expect(shell("zstd -q -3 --zstd=wlog=17 theirs"))
    var decompressor = try StreamDecompressor(hasMagic: true)
    var rest = try read("theirs.zst")
    var content: [UInt8] = []
    var progress = StreamProgress()
    while !progress.isComplete {
      content += try [UInt8](capacity: 5000) { (output: inout OutputRawSpan) throws(CompressionError) in
        progress = try decompressor.read(rest.bytes, into: &output)
      }
      rest.removeFirst(progress.consumed)
    }
    #expect(content == text)
  }

  @Test func `zstd applies the frame of our diffs`() throws {
    let (old, new) = (DictionaryDirectoryTests.first, DictionaryDirectoryTests.second)
    try write("old", old.bytes)
    try write("diff.zst", try DictionaryDiff(from: old, to: new).body)
    #expect(shell("zstd -q -d --patch-from=old diff.zst -o new"))
    #expect(try read("new") == new.bytes)
  }
}
