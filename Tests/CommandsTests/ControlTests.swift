import Glibc
import MeshCommands
import MeshPrimitives
import Testing

@Suite("Control socket", .timeLimit(.minutes(1))) struct ControlTests {
  let directory = TemporaryDirectory()
  var path: String { directory.path + "/node.sock" }

  /// Runs `body` with a client of a node behind its socket.
  func withNode(_ body: @escaping @Sendable (ControlClient, FakeNode) async throws -> Void) async throws {
    let node = FakeNode()
    let task = Task { [path] in try await ControlServer(path, for: node).run() }
    while try !ControlClient(path).isRunning() { await Task.yield() }
    let result = await Task { try await body(ControlClient(path), node) }.result
    task.cancel()
    _ = await task.result
    try result.get()
  }

  @Test func `the socket is for its owner only, and one node holds it`() async throws {
    try await withNode { [path] _, node in
      var facts = stat()
      try #require(stat(path, &facts) == 0)
      #expect(facts.st_mode & 0o777 == 0o600)
      let failure = #expect(throws: Failure.self) { try ControlServer(path, for: node) }
      #expect(failure?.message.contains("listens on \(path) already") == true)
    }
    let isRunning = try ControlClient(path).isRunning()
    #expect(!isRunning && access(path, F_OK) != 0)
  }

  @Test func `a socket that was left behind is taken over`() async throws {
    let left = open(path, O_CREAT | O_WRONLY, 0o600)
    close(left)
    try await withNode { client, _ in
      let isRunning = try client.isRunning()
      #expect(isRunning)
    }
  }

  @Test func `requests reach the node, and its failures come back with their code`() async throws {
    try await withNode { client, node in
      let reply = try await client.ping(FakeNode.key, timeout: .seconds(1))
      #expect(reply == PingReply(milliseconds: 1.5, path: "direct 192.0.2.1:2552"))
      let other = try #require(PublicKey("TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="))
      let failure = await #expect(throws: Failure.self) { try await client.ping(other, timeout: .seconds(1)) }
      #expect(failure?.code == .unreachable)
      try await client.add(PeerArgument(key: other, endpoint: "192.0.2.9:1"))
      try await client.remove(other)
      try await client.stop()
      #expect(node.state.withLock { $0.peers } == [PeerArgument(key: other, endpoint: "192.0.2.9:1")])
      #expect(node.state.withLock { $0.removed } == [other])
      #expect(node.state.withLock { $0.isStopped })
      #expect(try await client.usage()?.cpuSeconds ?? 0 > 0)
    }
  }

  @Test func `without a node the failure says what to do`() async throws {
    let failure = await #expect(throws: Failure.self) { try await ControlClient(path).stop() }
    #expect(failure?.code == .noNode)
    #expect(failure?.message.contains("start one with 'pnet up'") == true)
  }

  @Test func `a service of one command serves streams of another, both ways and with half-close`() async throws {
    try await withNode { client, node in
      let serving = Task {
        try await client.serve("echo", from: .peers) { stream in
          do {
            while let bytes = try await stream.read(upTo: 1000) { try await stream.write(bytes) }
            try await stream.finish()
            try await stream.flushed()
          } catch { stream.reset() }
        }
      }
      while node.state.withLock({ $0.handlers["echo"] == nil }) { await Task.yield() }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<5 {
          group.addTask {
            let stream = try await client.open("echo", at: FakeNode.key, timeout: .seconds(1))
            let sent = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* (number + 3)) }
            async let written: Void = {
              try await stream.write(sent)
              try await stream.finish()
              try await stream.flushed()
            }()
            var received: [UInt8] = []
            while let bytes = try await stream.read(upTo: 65_536) { received += bytes }
            try await written
            #expect(received == sent)
          }
        }
        try await group.waitForAll()
      }
      let failure = await #expect(throws: Failure.self) {
        try await client.serve("echo", from: .peers) { _ in }
      }
      #expect(failure?.message.contains("served already") == true)
      serving.cancel()
      _ = await serving.result
      while node.state.withLock({ $0.handlers["echo"] != nil }) { await Task.yield() }
      let refused = await #expect(throws: Failure.self) {
        _ = try await client.open("echo", at: FakeNode.key, timeout: .seconds(1))
      }
      #expect(refused?.code == .refused)
    }
  }

  @Test func `a stream that breaks is told as broken, not as ended`() async throws {
    try await withNode { client, node in
      let serving = Task {
        try await client.serve("short", from: .peers) { stream in
          try? await stream.write([1, 2, 3])
          stream.reset()
        }
      }
      defer { serving.cancel() }
      while node.state.withLock({ $0.handlers["short"] == nil }) { await Task.yield() }
      let stream = try await client.open("short", at: FakeNode.key, timeout: .seconds(1))
      await #expect(throws: (any Error).self) { while try await stream.read(upTo: 10) != nil {} }
    }
  }

  @Test func `why a stream failed is told to who writes and to who reads`() async throws {
    try await withNode { client, node in
      node.state.withLock { $0.handlers["gone"] = { $0.reset() } }
      let stream = try await client.open("gone", at: FakeNode.key, timeout: .seconds(1))
      var failures: [Failure] = []
      do { while true { try await stream.write([UInt8](repeating: 0, count: 1000)) } } catch {
        failures.append(Failure(describing: error))
      }
      do { try await stream.finish() } catch { failures.append(Failure(describing: error)) }
      do { while try await stream.read(upTo: 10) != nil {} } catch { failures.append(Failure(describing: error)) }
      try #require(failures.count == 3)
      #expect(failures.allSatisfy { $0 == failures[0] && $0.message.contains("Reset") })
    }
  }
}
