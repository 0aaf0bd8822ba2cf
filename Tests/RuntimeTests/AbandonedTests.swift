import MeshNode
import MeshPrimitives
import MeshReliability
import MeshRuntime
import Testing

/// What is let go of, at whatever moment, holds nothing of the connection, and leaves nobody waiting.
@Suite("Mesh: what is let go of") struct AbandonedTests {
  /// A server that answers each stream with `size` bytes and does not wait for them to be read.
  private static func serveAnswers(_ mesh: Mesh, size: Int) -> Task<Void, Never> {
    let streams = mesh.incoming("answers")
    return Task {
      for await stream in streams {
        Task {
          try? await stream.write([UInt8](repeating: 7, count: size))
          try? await stream.finish()
          while let _ = try? await stream.read() {}
        }
      }
    }
  }

  @Test(.timeLimit(.minutes(2)))
  func `answers that nobody reads to the end do not use up the window or the streams`() async throws {
    let (client, server) = try await MeshTests.pair()
    let serving = Self.serveAnswers(server, size: 20_000)
    _ = try await server.status()
    // More streams than may be open at once, and more bytes than the window of a connection.
    for _ in 0..<600 {
      let stream = try await client.open("answers", at: server.publicKey)
      try await stream.write("ask")
      try await stream.finish()
      _ = try await stream.read(upTo: 1)
    }
    let stream = try await client.open("answers", at: server.publicKey)
    try await stream.finish()
    var count = 0
    for try await chunk in stream { count += chunk.count }
    #expect(count == 20_000)
    serving.cancel()
    await client.close()
    await server.close()
  }

  @Test(.timeLimit(.minutes(2)))
  func `streams that the peer gives up are gone`() async throws {
    let (client, server) = try await MeshTests.pair()
    let serving = Self.serveAnswers(server, size: 100)
    _ = try await server.status()
    for _ in 0..<600 {
      // The answer is read whole, and the stream dropped without an end of our own: the server sees a reset.
      let stream = try await client.open("answers", at: server.publicKey)
      for try await _ in stream {}
    }
    for _ in 0..<600 {
      let refused = try await client.open("nothing", at: server.publicKey)
      await #expect(throws: MeshError.refused(service: "nothing")) { _ = try await refused.read() }
    }
    let last = try await client.open("answers", at: server.publicKey)
    try await last.finish()
    #expect(try await last.read(upTo: 100)?.count == 100)
    serving.cancel()
    await client.close()
    await server.close()
  }

  @Test(.timeLimit(.minutes(1)))
  func `calls that are made while the mesh closes end`() async throws {
    for _ in 0..<20 {
      let (client, server) = try await MeshTests.pair()
      let messages = client.messages("chat")
      let key = server.publicKey
      await withTaskGroup { group in
        for _ in 0..<8 {
          group.addTask { _ = try? await client.open("echo", at: key) }
          group.addTask { _ = try? await client.ping(key) }
          group.addTask { try? await client.delivered(to: key) }
          group.addTask { for await _ in client.incoming("echo") {} }
          group.addTask { do { for try await _ in client.messages("more") {} } catch {} }
        }
        group.addTask { do { for try await _ in messages {} } catch {} }
        group.addTask { await client.close(grace: .milliseconds(1)) }
        group.addTask { await client.close() }
      }
      await server.close()
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func `everybody who closes with patience goes on when it is over`() async throws {
    let (client, server) = try await MeshTests.pair()
    let incoming = server.incoming("bulk")
    let stream = try await client.open("bulk", at: server.publicKey)
    // Nobody reads it: it is not delivered before the deadline.
    let writing = Task {
      try await stream.write([UInt8](repeating: 1, count: 10_000_000))
      try await stream.finish()
    }
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await client.close(grace: .milliseconds(300)) }
      group.addTask { await client.close(grace: .milliseconds(200)) }
      group.addTask { await client.close(grace: .seconds(30)) }
    }
    _ = await writing.result
    _ = incoming
    await server.close()
  }

  @Test(.timeLimit(.minutes(1)))
  func `who waits for delivery to a peer that is removed is told`() async throws {
    let (client, server) = try await MeshTests.pair()
    let key = server.publicKey
    let inbox = server.messages("chat")
    _ = try await server.status()
    let sender = try await client.sender("chat", to: key)
    // Until the receiver's box and the window are full nobody reads: the last of it cannot be delivered.
    let filling = Task { while true { try await sender.send([UInt8](repeating: 1, count: 100_000)) } }
    let waiting = Task { try await client.delivered(to: key) }
    while try await client.status().peers.first?.messagesSent ?? 0 < 10 { await Task.yield() }
    await client.remove(key)
    await #expect(throws: MeshError.self) { try await filling.value }
    _ = await waiting.result
    _ = inbox
    await client.close()
    await server.close()
  }

  @Test(.timeLimit(.minutes(1)))
  func `a peer that is removed learns of it at once`() async throws {
    let (client, server) = try await MeshTests.pair()
    let streams = server.incoming("echo")
    let stream = try await client.open("echo", at: server.publicKey)
    try await stream.write("hello")
    var iterator = streams.makeAsyncIterator()
    let accepted = try #require(await iterator.next())
    #expect(try await accepted.read() == Array("hello".utf8))
    await client.remove(server.publicKey)
    let reason = DisconnectReason.closed(.closedByPeer(code: .peerRemoved, reason: ""))
    await #expect(throws: MeshError.disconnected(client.publicKey, reason)) { _ = try await accepted.read() }
    await client.close()
    await server.close()
  }

  @Test(.timeLimit(.minutes(1)))
  func `a sequence that takes over from a full one gets what waits`() async throws {
    let (client, server) = try await MeshTests.pair()
    let first = server.messages("chat")
    _ = try await server.status()
    let sender = try await client.sender("chat", to: server.publicKey)
    let sending = Task {
      for number in 0..<60 { try await sender.send([UInt8](repeating: UInt8(number), count: 50_000)) }
    }
    // The first one's box is full: the rest waits in the connection.
    while try await server.status().peers.first?.messagesReceived ?? 0 < 25 { await Task.yield() }
    let second = server.messages("chat")
    var numbers: [UInt8] = []
    for try await message in first { numbers.append(message.bytes[0]) }
    for try await message in second {
      numbers.append(message.bytes[0])
      if message.bytes[0] == 59 { break }
    }
    #expect(numbers == Array(0..<60))
    try await sending.value
    await client.close()
    await server.close()
  }

  @Test(.timeLimit(.minutes(1)))
  func `a service whose messages nobody takes any more is closed, and holds no window`() async throws {
    let (client, server) = try await MeshTests.pair()
    var abandoned: Messages? = server.messages("chat")
    _ = try await server.status()
    let sender = try await client.sender("chat", to: server.publicKey)
    // More than the window of a connection.
    let sending = Task { for _ in 0..<200 { try await sender.send([UInt8](repeating: 1, count: 100_000)) } }
    while try await client.status().peers.first?.messagesSent ?? 0 < 5 { await Task.yield() }
    _ = abandoned
    abandoned = nil
    await #expect(throws: MeshError.refused(service: "chat")) {
      try await sending.value
      try await client.delivered(to: server.publicKey)
    }
    #expect(try await server.status().drops["node.serviceRefused"] ?? 0 > 0)
    // As much again, and more than the window, goes to somebody who takes it.
    let other = server.messages("other")
    let key = server.publicKey
    let more = Task {
      for _ in 0..<50 { try await client.send([UInt8](repeating: 2, count: 100_000), to: key, service: "other") }
    }
    var received = 0
    for try await _ in other {
      received += 1
      if received == 50 { break }
    }
    try await more.value
    await client.close()
    await server.close()
  }

  @Test(.timeLimit(.minutes(1)))
  func `what was finished and let go of is read to its end, however slowly`() async throws {
    let (client, server) = try await MeshTests.pair()
    let streams = server.incoming("bulk")
    _ = try await server.status()
    let data = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 13 ^ $0 >> 8) }
    var stream: MeshStream? = try await client.open("bulk", at: server.publicKey)
    try await stream?.write(data)
    try await stream?.finish()
    stream = nil
    var iterator = streams.makeAsyncIterator()
    let accepted = try #require(await iterator.next())
    // Whatever the client has to say of the stream has come.
    for _ in 0..<20 { _ = try await server.ping(client.publicKey) }
    // It takes no answer; what it wrote is read.
    try? await accepted.write("answer")
    var received: [UInt8] = []
    while let chunk = try await accepted.read(upTo: 10_000) { received += chunk }
    #expect(received == data)
    await client.close()
    await server.close()
  }

  @Test func `a mistake in the first list of peers is explained`() async throws {
    let identity = Identity.generate()
    await #expect {
      _ = try await Mesh(identity: identity, peers: [Peer(identity.publicKey)])
    } throws: { error in
      guard case .invalidPeer(let text)? = error as? MeshError else { return false }
      return text.contains("own key")
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func `bytes that wait for a first read take little memory`() async throws {
    let (client, server) = try await MeshTests.pair()
    let streams = server.incoming("bulk")
    _ = try await server.status()
    let stream = try await client.open("bulk", at: server.publicKey)
    let data = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 11 ^ $0 >> 7) }
    let writing = Task {
      try await stream.write(data)
      try await stream.finish()
    }
    var iterator = streams.makeAsyncIterator()
    let accepted = try #require(await iterator.next())
    while try await server.status().peers.first?.receivedBytes ?? 0 < 500_000 { await Task.yield() }
    var received: [UInt8] = []
    for try await chunk in accepted {
      if received.isEmpty { #expect(chunk.count <= 16_384) }
      received += chunk
    }
    #expect(received == data)
    try await writing.value
    await client.close()
    await server.close()
  }
}
