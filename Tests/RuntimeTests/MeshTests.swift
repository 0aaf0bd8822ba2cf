import MeshCrypto
import MeshNode
import MeshPacket
import MeshPrimitives
import MeshRuntime
import Testing

/// Whole nodes on loopback, each with its own port and thread.
@Suite("Mesh on loopback") struct MeshTests {
  static func pair(
    acceptance: Mesh.Configuration.Acceptance = .listed, listing: Bool = true
  ) async throws -> (client: Mesh, server: Mesh) {
    let (left, right) = (Identity.generate(), Identity.generate())
    var configuration = Mesh.Configuration()
    configuration.acceptance = acceptance
    let server = try await Mesh(
      identity: right, peers: listing ? [Peer(left.publicKey)] : [], configuration: configuration)
    let client = try await Mesh(
      identity: left, peers: [Peer(right.publicKey, at: "127.0.0.1:\(server.port)")])
    return (client, server)
  }

  /// Sends back all that comes on each stream of the service.
  static func serveEcho(_ mesh: Mesh, _ service: String = "echo", from access: ServiceAccess = .peers) -> Task<
    Void, any Error
  > {
    let streams = mesh.incoming(service, from: access)
    return Task {
      await withTaskGroup { group in
        for await stream in streams {
          group.addTask {
            do {
              for try await chunk in stream { try await stream.write(chunk) }
              try await stream.finish()
              try await stream.flushed()
            } catch {}
          }
        }
      }
    }
  }

  @Test func `a service that is open from the start takes streams before anybody asks for them`() async throws {
    let client = Identity.generate()
    var configuration = Mesh.Configuration()
    configuration.services = ["early": .peers]
    let server = try await Mesh(
      identity: .generate(), peers: [Peer(client.publicKey)], configuration: configuration)
    let mesh = try await Mesh(identity: client, peers: [Peer(server.publicKey, at: "127.0.0.1:\(server.port)")])
    let stream = try await mesh.open("early", at: server.publicKey)
    try await stream.write("knock")
    try await stream.finish()
    try await stream.flushed()
    var received: [UInt8] = []
    for await accepted in server.incoming("early") {
      for try await chunk in accepted { received += chunk }
      break
    }
    #expect(received == Array("knock".utf8))
    await mesh.close()
    await server.close()
  }

  @Test func `who writes, waits until all has arrived, and closes, loses nothing`() async throws {
    let (client, server) = try await Self.pair()
    let streams = server.incoming("bulk")
    _ = try await server.status()
    let data = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 9) }
    let stream = try await client.open("bulk", at: server.publicKey)
    try await stream.write(data)
    try await stream.finish()
    try await stream.flushed()
    await client.close()
    // Only now the other side begins to read.
    var received: [UInt8] = []
    for await accepted in streams {
      for try await chunk in accepted { received += chunk }
      break
    }
    #expect(received == data)
    await server.close()
  }

  @Test func `bytes go to a key and come back`() async throws {
    let (client, server) = try await Self.pair()
    let serving = Self.serveEcho(server)
    let data = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 9) }
    let stream = try await client.open("echo", at: server.publicKey)
    async let sent: Void = {
      try await stream.write(data)
      try await stream.finish()
    }()
    var answer: [UInt8] = []
    for try await chunk in stream { answer += chunk }
    try await sent
    try await stream.flushed()
    #expect(answer == data)
    await client.close()
    await server.close()
    try await serving.value
  }

  @Test func `a hundred streams at once`() async throws {
    let (client, server) = try await Self.pair()
    let serving = Self.serveEcho(server)
    let key = server.publicKey
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for number in 0..<100 {
        group.addTask {
          let stream = try await client.open("echo", at: key)
          let data = [UInt8](repeating: UInt8(number), count: 10_000 + number)
          try await stream.write(data)
          try await stream.finish()
          var answer: [UInt8] = []
          for try await chunk in stream { answer += chunk }
          return answer == data
        }
      }
      for try await isRight in group { #expect(isRight) }
    }
    await client.close()
    await server.close()
    try await serving.value
  }

  @Test func `who opens more streams than the peer allows waits for one, or gets a typed error in time`() async throws {
    let (client, server) = try await Self.pair()
    let key = server.publicKey
    let held = server.incoming("held")
    let serving = Self.serveEcho(server)
    var open: [MeshStream] = []
    for _ in 0..<256 {
      let stream = try await client.open("held", at: key)
      try await stream.write([1])
      open.append(stream)
    }
    await #expect(throws: MeshError.tooManyStreams(limit: 256)) {
      try await client.open("echo", at: key, timeout: .milliseconds(100))
    }
    let waiting = (0..<50 as Range<UInt8>).map { number in
      Task {
        let stream = try await client.open("echo", at: key)
        try await stream.write([number])
        try await stream.finish()
        return try await stream.read()
      }
    }
    let cancelled = Task { try await client.open("echo", at: key) }
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { try await cancelled.value }
    // As these end here and there, those that wait get theirs.
    for stream in open { stream.reset() }
    var count = 0
    for await stream in held {
      stream.reset()
      count += 1
      if count == 256 { break }
    }
    for (number, task) in waiting.enumerated() { #expect(try await task.value == [UInt8(number)]) }
    await client.close()
    await server.close()
    _ = await serving.result
  }

  /// The kernel would choose 127.0.0.1.
  @Test func `answers come from the address that was asked`() async throws {
    let (left, right) = (Identity.generate(), Identity.generate())
    let server = try await Mesh(identity: right, peers: [Peer(left.publicKey)])
    let client = try await Mesh(
      identity: left, peers: [Peer(right.publicKey, at: "127.0.0.2:\(server.port)")])
    let serving = Self.serveEcho(server)
    let stream = try await client.open("echo", at: right.publicKey)
    try await stream.write([1, 2, 3])
    #expect(try await stream.read() == [1, 2, 3])
    let asked = SocketAddress(IPAddress("127.0.0.2")!, port: server.port)
    #expect(try await client.ping(right.publicKey).path == .direct(asked))
    let peer = try #require(try await client.status().peers.first)
    #expect(peer.endpoint == asked.description && peer.paths == [asked.description])
    await client.close()
    await server.close()
    _ = await serving.result
  }

  @Test func `a ping tells the path`() async throws {
    let (client, server) = try await Self.pair()
    let pong = try await client.ping(server.publicKey)
    #expect(pong.path == .direct(SocketAddress("127.0.0.1:\(server.port)")!))
    #expect(pong.roundTrip > .zero)
    let status = try await client.status()
    #expect(status.peers.first?.kind == "mesh" && status.peers.first?.isConnected == true)
    #expect(status.peers.first?.handshakes == 1 && status.peers.first?.droppedPackets == 0)
    await client.close()
    await server.close()
  }

  @Test func `a service that nobody serves is refused`() async throws {
    let (client, server) = try await Self.pair()
    let stream = try await client.open("nothing", at: server.publicKey)
    await #expect(throws: MeshError.refused(service: "nothing")) { _ = try await stream.read() }
    await client.close()
    await server.close()
  }

  @Test func `a stranger gets only what everybody gets`() async throws {
    let (client, server) = try await Self.pair(acceptance: .any, listing: false)
    let all = Self.serveEcho(server, "public", from: .any)
    let some = Self.serveEcho(server, "private")
    let refused = try await client.open("private", at: server.publicKey)
    await #expect(throws: MeshError.refused(service: "private")) { _ = try await refused.read() }
    let stream = try await client.open("public", at: server.publicKey)
    try await stream.write("hi")
    #expect(try await stream.read() == Array("hi".utf8))
    await client.close()
    await server.close()
    try await all.value
    try await some.value
  }

  @Test func `a predicate lets in strangers by their key`() async throws {
    let (friend, other) = (Identity.generate(), Identity.generate())
    var configuration = Mesh.Configuration()
    let key = friend.publicKey
    configuration.acceptance = .predicate { $0 == key }
    let server = try await Mesh(identity: .generate(), configuration: configuration)
    let serving = Self.serveEcho(server, from: .any)
    for identity in [friend, other] {
      let client = try await Mesh(
        identity: identity, peers: [Peer(server.publicKey, at: "127.0.0.1:\(server.port)")])
      let stream = try? await client.open("echo", at: server.publicKey, timeout: .milliseconds(500))
      #expect((stream != nil) == (identity.publicKey == key))
      await client.close()
    }
    #expect(try await server.status().drops["session.unknownPeer"]! > 0)
    await server.close()
    try await serving.value
  }

  @Test func `a peer that is not listed, or not there, is a typed error`() async throws {
    let (client, server) = try await Self.pair(listing: false)
    let unknown = Identity.generate().publicKey
    await #expect(throws: MeshError.unknownPeer(unknown)) { _ = try await client.open("echo", at: unknown) }
    await #expect(throws: MeshError.unreachable(server.publicKey)) {
      _ = try await client.open("echo", at: server.publicKey, timeout: .milliseconds(200))
    }
    await client.close()
    await #expect(throws: MeshError.closed) { _ = try await client.open("echo", at: server.publicKey) }
    await server.close()
  }

  @Test func `a port that is in use is a typed error`() async throws {
    let first = try await Mesh(identity: .generate())
    await #expect(throws: MeshError.portInUse(first.port)) {
      _ = try await Mesh(identity: .generate(), listening: first.port)
    }
    await first.close()
  }

  @Test func `a cancelled open and a cancelled read end at once`() async throws {
    let (client, server) = try await Self.pair(listing: false)
    let opening = Task { try await client.open("echo", at: server.publicKey, timeout: .seconds(60)) }
    opening.cancel()
    await #expect(throws: CancellationError.self) { _ = try await opening.value }
    await client.close()
    await server.close()

    let (left, right) = try await Self.pair()
    let serving = Self.serveEcho(right)
    let stream = try await left.open("echo", at: right.publicKey)
    let reading = Task { try await stream.read() }
    reading.cancel()
    await #expect(throws: CancellationError.self) { _ = try await reading.value }
    try await stream.write("still there")
    #expect(try await stream.read() == Array("still there".utf8))
    await left.close()
    await right.close()
    try await serving.value
  }

  @Test func `a writer waits for a reader that does not read`() async throws {
    let (client, server) = try await Self.pair()
    let streams = server.incoming("slow")
    let stream = try await client.open("slow", at: server.publicKey)
    let total = 32 << 20
    let writing = Task {
      try await stream.write([UInt8](repeating: 1, count: total))
      try await stream.finish()
    }
    var incoming = streams.makeAsyncIterator()
    let accepted = try #require(await incoming.next())
    var count = 0
    while let chunk = try await accepted.read() { count += chunk.count }
    #expect(count == total)
    try await writing.value
    await client.close()
    await server.close()
  }

  @Test func `closing one side ends the streams of the other with a reason`() async throws {
    let (client, server) = try await Self.pair()
    let serving = Self.serveEcho(server)
    let stream = try await client.open("echo", at: server.publicKey)
    try await stream.write("x")
    _ = try await stream.read()
    await server.close()
    await #expect(throws: MeshError.self) { while try await stream.read() != nil {} }
    await client.close()
    try await serving.value
  }

  @Test func `peers are added and removed while the node runs`() async throws {
    let server = try await Mesh(identity: .generate())
    let client = try await Mesh(identity: .generate())
    try await server.add(Peer(client.publicKey))
    try await client.add(Peer(server.publicKey, at: "[::1]:\(server.port)"))
    let serving = Self.serveEcho(server)
    let stream = try await client.open("echo", at: server.publicKey)
    try await stream.write("x")
    _ = try await stream.read()
    await client.remove(server.publicKey)
    await #expect(throws: MeshError.disconnected(server.publicKey, .peerRemoved)) { _ = try await stream.read() }
    await client.close()
    await server.close()
    try await serving.value
  }
}
