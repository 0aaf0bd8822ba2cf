import Glibc
import MeshCommands
import MeshPrimitives
import Testing

@Suite("File transfer", .timeLimit(.minutes(1))) struct FileTransferTests {
  let source = TemporaryDirectory()
  let target = TemporaryDirectory()

  func make(_ name: String, _ count: Int) throws -> (String, [UInt8]) {
    let path = source.path + "/" + name
    var state: UInt64 = 88
    let bytes = (0..<count).map { _ -> UInt8 in
      state = state &* 6_364_136_223_846_793_005 &+ 1
      return UInt8(truncatingIfNeeded: state >> 40)
    }
    try Self.put(path, bytes)
    return (path, bytes)
  }

  static func put(_ path: String, _ bytes: [UInt8]) throws {
    let file = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0o644)
    try #require(file >= 0)
    #expect(write(file, bytes, bytes.count) == bytes.count)
    close(file)
  }

  func content(_ name: String) throws -> [UInt8] {
    try KeyFile.read(target.path + "/" + name, limit: 10_000_000, isSecret: false).bytes
  }

  func names() -> [String] { TemporaryFolder.names(in: target.path) }

  /// Sends `paths`; gives what the sender and the receiver say.
  func transfer(_ paths: [String], overwriting: Bool = false) async throws -> (
    Result<[TransferredFile], any Error>, Result<[TransferredFile], any Error>
  ) {
    let (left, right) = FakeStream.pair()
    let directory = try ReceiveDirectory(target.path, isOverwriting: overwriting)
    let receiving = Task { () throws -> [TransferredFile] in
      var files: [TransferredFile] = []
      try await directory.receive(right) { files.append($0) }
      return files
    }
    let sending = Task { () throws -> [TransferredFile] in
      var files: [TransferredFile] = []
      try await FileSender(left).send(paths) { files.append($0) }
      return files
    }
    return (await sending.result, await receiving.result)
  }

  @Test func `files arrive whole under their names, and nothing else is left`() async throws {
    let (first, bytes) = try make("one.bin", 700_001)
    let (second, _) = try make("empty", 0)
    let (sent, received) = try await transfer([first, second])
    #expect(try received.get().map(\.name) == ["one.bin", "empty"])
    #expect(try sent.get().map(\.transferred) == [700_001, 0])
    #expect(names() == ["empty", "one.bin"])
    #expect(try content("one.bin") == bytes)
  }

  @Test func `a file that is there already is not sent again, and another one of its name is not replaced`()
    async throws
  {
    let (path, bytes) = try make("data", 5000)
    _ = try await transfer([path])
    let (again, _) = try await transfer([path])
    #expect(try again.get().map(\.transferred) == [0])
    try Self.put(path, [1, 2, 3])
    let (refused, _) = try await transfer([path])
    let failure = #expect(throws: Failure.self) { try refused.get() }
    #expect(failure?.code == .refused)
    #expect(failure?.message.contains("is there already") == true)
    #expect(try content("data") == bytes)
    let (replaced, _) = try await transfer([path], overwriting: true)
    #expect(try replaced.get().count == 1)
    #expect(try content("data") == [1, 2, 3])
  }

  @Test func `a transfer goes on where it stopped`() async throws {
    let (path, bytes) = try make("long", 3_000_000)
    let (left, right) = FakeStream.pair()
    let directory = try ReceiveDirectory(target.path)
    let receiving = Task { try await directory.receive(right) { _ in } }
    let sending = Task {
      let sender = FileSender(left) { progress in
        if progress.phase == .transferring, progress.done >= 2_000_000 { left.reset() }
      }
      try await sender.send([path]) { _ in }
    }
    await #expect(throws: (any Error).self) { try await sending.value }
    await #expect(throws: (any Error).self) { try await receiving.value }
    #expect(names().count == 1 && names()[0].hasPrefix(".long."))
    let (sent, _) = try await transfer([path])
    let file = try #require(try sent.get().first)
    #expect(file.transferred < 2_500_000 && file.transferred > 0)
    #expect(try content("long") == bytes)
    #expect(names() == ["long"])
  }

  @Test func `a part that is not what the file begins with is thrown away`() async throws {
    let (path, _) = try make("odd", 100_000)
    let (first, _) = try await transfer([path])
    let hash = try #require(try first.get().first?.sha256)
    #expect(unlink(target.path + "/odd") == 0)
    try Self.put(target.path + "/.odd.\(hash.prefix(16)).part", [UInt8](repeating: 9, count: 1000))
    let (damaged, _) = try await transfer([path])
    let failure = #expect(throws: Failure.self) { try damaged.get() }
    #expect(failure?.message.contains("arrived damaged") == true)
    #expect(names().isEmpty)
    let (sent, _) = try await transfer([path])
    #expect(try sent.get().first?.transferred == 100_000)
  }

  static let badNames = ["../up", "a/b", ".hidden", "", "..", "tab\tbed", String(repeating: "n", count: 231)]

  @Test(arguments: badNames) func `a name that leads elsewhere is refused`(name: String) async throws {
    let (left, right) = FakeStream.pair()
    let directory = try ReceiveDirectory(target.path)
    let receiving = Task { try await directory.receive(right) { _ in } }
    let escaped = name.replacing("\t", with: "\\t")
    let offer = #"{"name":"\#(escaped)","size":1,"sha256":"\#(String(repeating: "0", count: 64))"}"#
    try await left.write([UInt8(offer.utf8.count & 255), UInt8(offer.utf8.count >> 8), 0, 0] + Array(offer.utf8))
    var answer: [UInt8] = []
    while let bytes = try await left.read(upTo: 1000) { answer += bytes }
    try await left.finish()
    #expect(String(decoding: answer, as: UTF8.self).contains(#""verdict":"refused""#))
    await #expect(throws: Failure.self) { try await receiving.value }
    #expect(names().isEmpty)
  }

  @Test func `messages that make no sense end the stream`() async throws {
    for bytes: [UInt8] in [[255, 255, 255, 255], [3, 0, 0, 0, 1, 2, 3], [9, 0]] {
      let (left, right) = FakeStream.pair()
      let directory = try ReceiveDirectory(target.path)
      let receiving = Task { try await directory.receive(right) { _ in } }
      try await left.write(bytes)
      try await left.finish()
      await #expect(throws: (any Error).self) { try await receiving.value }
    }
    #expect(names().isEmpty)
  }
}
