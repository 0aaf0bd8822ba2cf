import MeshNode
import MeshPrimitives
import MeshReliability
import MeshRuntime
import Testing

@Suite("Messages on loopback") struct MeshMessageTests {
  private func receive(_ count: Int, from messages: Messages) async throws -> [MeshMessage] {
    var received: [MeshMessage] = []
    for try await message in messages {
      received.append(message)
      if received.count == count { break }
    }
    return received
  }

  @Test(.timeLimit(.minutes(1)))
  func `without a connection nobody waits for a delivery`() async throws {
    let (client, server) = try await MeshTests.pair()
    await #expect(throws: MeshError.disconnected(server.publicKey, .notConnected)) {
      try await client.delivered(to: server.publicKey)
    }
    await client.close()
    await server.close()
  }

  @Test func `messages arrive whole, in order, and say from whom`() async throws {
    let (client, server) = try await MeshTests.pair()
    let chat = server.messages("chat")
    let sent = (0..<500).map { number in (0..<number * 7).map { UInt8(truncatingIfNeeded: $0 &+ number) } }
    for message in sent { try await client.send(message, to: server.publicKey, service: "chat") }
    try await client.delivered(to: server.publicKey)
    let received = try await receive(sent.count, from: chat)
    #expect(received.map(\.bytes) == sent)
    #expect(received.allSatisfy { $0.peer == client.publicKey })
    await client.close()
    await server.close()
  }

  @Test func `a message of a mebibyte arrives, and one byte more is an error with the limit`() async throws {
    let (client, server) = try await MeshTests.pair()
    let inbox = server.messages("large")
    let message = [UInt8](repeating: 9, count: 1 << 20)
    try await client.send(message, to: server.publicKey, service: "large")
    #expect(try await receive(1, from: inbox).first?.bytes == message)
    await #expect(throws: MeshError.tooLarge(bytes: 1 << 20 + 1, limit: 1 << 20)) {
      try await client.send(message + [1], to: server.publicKey, service: "large")
    }
    await client.close()
    await server.close()
  }

  @Test func `who does not read stops who sends, and loses nothing`() async throws {
    let (client, server) = try await MeshTests.pair()
    let inbox = server.messages("slow")
    let key = server.publicKey
    let message = [UInt8](repeating: 1, count: 50_000)
    let sending = Task {
      for _ in 0..<400 { try await client.send(message, to: key, service: "slow") }
      try await client.delivered(to: key)
    }
    // 20 MB do not fit into windows and queues: the task waits until they are read.
    var count = 0
    for try await received in inbox {
      #expect(received.bytes.count == message.count)
      count += 1
      if count == 400 { break }
    }
    try await sending.value
    await client.close()
    await server.close()
  }

  @Test func `a datagram arrives, and one that fits into no packet is an error with the limit`() async throws {
    let (client, server) = try await MeshTests.pair()
    let voice = server.datagrams("voice")
    let sender = try await client.sender("voice", to: server.publicKey)
    for number in 0..<20 { try await sender.sendDatagram([UInt8(number)]) }
    #expect(try await receive(20, from: voice).map(\.bytes) == (0..<20).map { [UInt8($0)] })
    let limit = sender.longestDatagram
    #expect(limit > 900 && limit < 65_536)
    // The path may have turned out to be wider meanwhile.
    let tooLong = [UInt8](repeating: 0, count: 65_600)
    await #expect(throws: MeshError.self) { try await sender.sendDatagram(tooLong) }
    await client.close()
    await server.close()
  }

  @Test func `messages for a service that nobody reads are dropped and counted, and the sender is told once`()
    async throws
  {
    let (client, server) = try await MeshTests.pair()
    let key = server.publicKey
    let refused = MeshError.refused(service: "nobody")
    try await client.send([1, 2, 3], to: key, service: "nobody")
    await #expect(throws: refused) { try await client.delivered(to: key) }
    #expect(try await server.status().drops["node.serviceRefused"] == 1)
    // Who never asks is told by one of the next.
    await #expect(throws: refused) {
      for _ in 0..<100_000 { try await client.send([4], to: key, service: "nobody") }
    }
    // Once somebody takes them, they arrive. What was sent before may have been refused a last time.
    let inbox = server.messages("nobody")
    _ = try await server.status()
    for _ in 0..<10 {
      do {
        try await client.send([5], to: key, service: "nobody")
        try await client.delivered(to: key)
        break
      } catch MeshError.refused {}
    }
    var messages = inbox.makeAsyncIterator()
    while let message = try await messages.next(), message.bytes != [5] {}
    await client.close()
    await server.close()
  }

  @Test func `datagrams for a service that takes messages only are refused, and the messages go on`() async throws {
    let (client, server) = try await MeshTests.pair()
    let inbox = server.messages("chat")
    let sender = try await client.sender("chat", to: server.publicKey)
    await #expect(throws: MeshError.refused(service: "chat")) {
      for _ in 0..<100_000 { try await sender.sendDatagram([]) }
    }
    try await sender.send([2])
    try await client.delivered(to: server.publicKey)
    #expect(try await receive(1, from: inbox).map(\.bytes) == [[2]])
    await client.close()
    await server.close()
  }

  @Test func `a peer that goes ends senders and those who wait`() async throws {
    let (client, server) = try await MeshTests.pair()
    let inbox = server.messages("chat")
    let sender = try await client.sender("chat", to: server.publicKey)
    try await sender.send([1])
    _ = try await receive(1, from: inbox)
    await server.close()
    // The end has been told; whoever writes on learns of it.
    await #expect(throws: MeshError.self) {
      for _ in 0..<100_000 { try await sender.send([2]) }
    }
    var rest = inbox.makeAsyncIterator()
    #expect(try await rest.next() == nil)
    await client.close()
  }

  @Test func `a cancelled receiver ends at once and loses no message`() async throws {
    let (client, server) = try await MeshTests.pair()
    let inbox = server.messages("chat")
    let waiting = Task { () -> MeshMessage? in
      var iterator = inbox.makeAsyncIterator()
      return try await iterator.next()
    }
    waiting.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    try await client.send([5], to: server.publicKey, service: "chat")
    #expect(try await receive(1, from: inbox).map(\.bytes) == [[5]])
    await client.close()
    await server.close()
  }

  @Test func `several tasks share what comes`() async throws {
    let (client, server) = try await MeshTests.pair()
    let inbox = server.messages("work")
    let key = server.publicKey
    let counts = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<4 {
        group.addTask {
          var count = 0
          for try await message in inbox {
            if message.bytes == [0] { return count }
            count += 1
          }
          return count
        }
      }
      for _ in 0..<1_000 { try await client.send([1], to: key, service: "work") }
      for _ in 0..<4 { try await client.send([0], to: key, service: "work") }
      return try await group.reduce(into: 0) { $0 += $1 }
    }
    #expect(counts == 1_000)
    await client.close()
    await server.close()
  }

  @Test func `a one-way stream goes from who opened it`() async throws {
    let (client, server) = try await MeshTests.pair()
    let streams = server.incoming("log")
    let stream = try await client.open(
      "log", at: server.publicKey, options: StreamOptions(lane: .message, isOneWay: true))
    try await stream.write("a line")
    try await stream.finish()
    await #expect(throws: MeshError.notReadable) { try await stream.read() }
    var iterator = streams.makeAsyncIterator()
    let accepted = try #require(await iterator.next())
    await #expect(throws: MeshError.notWritable) { try await accepted.write("no") }
    var received: [UInt8] = []
    for try await chunk in accepted { received += chunk }
    #expect(received == Array("a line".utf8))
    try await stream.flushed()
    await client.close()
    await server.close()
  }

  @Test func `closing with grace delivers what was sent before`() async throws {
    let (client, server) = try await MeshTests.pair()
    let inbox = server.messages("last words")
    let streams = server.incoming("bulk")
    let stream = try await client.open("bulk", at: server.publicKey)
    let data = [UInt8](repeating: 3, count: 400_000)
    try await stream.write(data)
    try await stream.finish()
    for _ in 0..<200 {
      try await client.send([UInt8](repeating: 4, count: 2_000), to: server.publicKey, service: "last words")
    }
    await client.close(grace: .seconds(10))
    #expect(try await receive(200, from: inbox).count == 200)
    var received: [UInt8] = []
    for await accepted in streams {
      for try await chunk in accepted { received += chunk }
      break
    }
    #expect(received == data)
    await server.close()
  }

  @Test(.timeLimit(.minutes(1)))
  func `a datagram does not wait behind messages, and its limit follows the path`() async throws {
    let (client, server) = try await MeshTests.pair()
    let messages = server.messages("chat")
    let datagrams = server.datagrams("chat")
    _ = try await server.status()
    let sender = try await client.sender("chat", to: server.publicKey)
    // The loopback carries far more than what a connection begins with.
    while sender.longestDatagram < 10_000 { try await Task.sleep(for: .milliseconds(5)) }
    // Nobody reads the messages: the sender's box is full in the end.
    let flood = Task { while true { try await sender.send([UInt8](repeating: 1, count: 500_000)) } }
    while try await client.status().peers.first?.messagesSent ?? 0 < 4 { await Task.yield() }
    try await Task.sleep(for: .milliseconds(50))
    try await sender.sendDatagram([7])
    var iterator = datagrams.makeAsyncIterator()
    #expect(try await iterator.next()?.bytes == [7])
    flood.cancel()
    _ = messages
    await client.close()
    await server.close()
  }
}
