internal import Glibc
internal import MeshCrypto
internal import MeshPrimitives
internal import MeshRuntime

/// The first minute: two nodes, each a process of its own with a fresh key, find each other by key, and a file moves.
public struct Demo: Sendable {
  /// What it showed.
  public struct Report: Codable, Sendable {
    public var path: String
    public var roundTripMilliseconds: Double
    public var bytes: UInt64
    public var seconds: Double
    public var megabitsPerSecond: Double
    public var cpuSecondsPerGB: Double
    public var sha256: String
  }

  private let program: String
  private let file: String?
  private let megabytes: Int
  private let say: @Sendable (String) -> Void

  /// - Parameters:
  ///   - file: What to move; made when `nil`.
  ///   - megabytes: How large to make it.
  public init(file: String?, megabytes: Int, say: @escaping @Sendable (String) -> Void) throws(Failure) {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = unsafe readlink("/proc/self/exe", &buffer, buffer.count)
    guard length > 0 else { throw Failure("cannot find the own program: \(systemMessage(errno))") }
    program = String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    self.file = file
    self.megabytes = megabytes
    self.say = say
  }

  public func run() async throws -> Report {
    let directory = try TemporaryFolder()
    defer { directory.remove() }
    var children: [ChildProcess] = []
    do {
      let report = try await run(directory.path, &children)
      for child in children { _ = await child.stop() }
      return report
    } catch {
      for child in children { _ = await child.stop() }
      throw error
    }
  }

  private func run(_ directory: String, _ children: inout [ChildProcess]) async throws -> Report {
    let (keyA, fileA) = try makeKey(directory, "a")
    let (keyB, fileB) = try makeKey(directory, "b")
    let inbox = directory + "/inbox"
    guard unsafe mkdir(inbox, 0o700) == 0 else { throw Failure("cannot make \(inbox): \(systemMessage(errno))") }
    let socket = directory + "/a.sock"
    let nodeA = try ChildProcess(
      [
        program, "up", "--quiet", "--while-input", "--key", fileA, "--listen", "0", "--peer", keyB, "--control", socket,
        "--receive", inbox, "--state", directory,
      ], pipes: [.input, .output])
    children.append(nodeA)
    let control = ControlClient(socket)
    try await start(nodeA, control)
    let port = try await control.status().port
    say("node A  \(keyA)  a process that listens on UDP port \(port)")
    say("node B  \(keyB)  a process that knows A's key and that port")
    let path = try file ?? makeFile(directory)
    let name = path.split(separator: "/").last.map(String.init) ?? path
    let use = ["--key", fileB, "--peer", "\(keyA)@127.0.0.1:\(port)", "--state", directory]

    let replies = try await call(
      ["ping", keyA, "--count", "5", "--interval", "0.1", "--json"] + use, PingReply.self, &children)
    guard let best = replies.0.min(by: { $0.milliseconds < $1.milliseconds }) else {
      throw Failure("node B got no answer from node A", .unreachable)
    }
    say("B pings A: \(best.path), \(decimal(best.milliseconds, digits: 2)) ms")
    say("B sends '\(name)' to A …")
    let before = try await control.usage()?.cpuSeconds ?? 0
    let (files, senderSeconds) = try await call(["send", keyA, path, "--json"] + use, TransferredFile.self, &children)
    let after = try await control.usage()?.cpuSeconds ?? 0
    guard let sent = files.first else { throw Failure("node B sent nothing", .broken) }

    let received = try FileAccess.reading("\(inbox)/\(name)")
    let hash = SHA256()
    _ = try received.hash(into: hash, upTo: received.size)
    guard received.size == sent.size, hexadecimal(hash.digest().rawBytes) == sent.sha256 else {
      throw Failure("what A received is not what B sent", .broken)
    }
    try await control.stop()
    _ = await nodeA.exit()
    let gigabytes = Double(sent.size) / 1e9
    return Report(
      path: best.path, roundTripMilliseconds: best.milliseconds, bytes: sent.size, seconds: sent.seconds,
      megabitsPerSecond: Double(sent.size) * 8 / sent.seconds / 1e6,
      cpuSecondsPerGB: gigabytes > 0 ? (senderSeconds + after - before) / gigabytes : 0, sha256: sent.sha256)
  }

  private func makeKey(_ directory: String, _ name: String) throws -> (public: String, file: String) {
    let key = try KeyFile.generate()
    try KeyFile.create("\(directory)/\(name).key", key)
    return (try KeyFile.publicKey(of: key), "\(directory)/\(name).key")
  }

  /// Waits until the node answers on its control socket.
  private func start(_ child: ChildProcess, _ control: ControlClient) async throws {
    for _ in 0..<500 {
      if try control.isRunning() { return }
      if let exit = child.exitIfEnded { throw Failure("node A did not start (exit code \(exit.code))") }
      try await Task.sleep(for: .milliseconds(20))
    }
    throw Failure("node A did not start within 10 seconds")
  }

  /// Runs another `pnet` and reads its output, a line of JSON per result. - Returns: them, and its CPU seconds.
  private func call<Value: Decodable>(
    _ arguments: [String], _ type: Value.Type, _ children: inout [ChildProcess]
  ) async throws -> ([Value], Double) {
    let child = try ChildProcess([program] + arguments, pipes: .output)
    children.append(child)
    var text: [UInt8] = []
    while let bytes = try await child.output?.read() { text += bytes }
    let exit = await child.exit()
    guard exit.code == 0 else {
      throw Failure(
        "'pnet \(arguments[0])' failed with exit code \(exit.code)", Failure.Code(rawValue: exit.code) ?? .failed)
    }
    return (try text.split(separator: 0x0A).map { try JSON.parse(type, Array($0)) }, exit.cpuSeconds)
  }

  /// Half random, half text.
  private func makeFile(_ directory: String) throws -> String {
    let path = directory + "/demo.dat"
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Failure("cannot create \(path): \(systemMessage(errno))") }
    let file = FileAccess(descriptor)
    let words = ["mesh", "key", "path", "relay", "stream", "packet", "punch", "through", "the", "night", "and", "dial"]
    var entropy = SystemEntropy()
    var offset: UInt64 = 0
    do throws(DescriptorError) {
      for block in 0..<max(1, megabytes) {
        var bytes = [UInt8](repeating: 0, count: 1_000_000)
        var span = bytes.mutableBytes
        entropy.fill(&span)
        if block % 2 == 1 {
          var text: [UInt8] = []
          var index = 0
          while text.count < bytes.count {
            text += Array(words[Int(bytes[index % bytes.count]) % words.count].utf8) + [index % 12 == 11 ? 0x0A : 0x20]
            index += 1
          }
          bytes = Array(text.prefix(bytes.count))
        }
        try file.write(bytes, at: offset)
        offset += UInt64(bytes.count)
      }
    } catch {
      throw Failure(
        "cannot make the \(megabytes) MB to be moved in \(directory): \(error); set TMPDIR to a roomier place")
    }
    return path
  }
}
