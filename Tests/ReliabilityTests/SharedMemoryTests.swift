import MeshPacket
import MeshPrimitives
import Testing

@testable import MeshReliability

/// Connections of one node that want more memory than there is.
@Suite("Shared memory") struct SharedMemoryTests {
  private let now = Instant(nanoseconds: 0)
  private let data = [UInt8](repeating: 1, count: 64_000)

  private func connection(_ pool: ChunkPool) -> Connection {
    var configuration = Configuration()
    configuration.peer.data = 1 << 30
    configuration.peer.streamData = 1 << 30
    return Connection(configuration: configuration, opensOddStreams: true, pool: pool, now: now)
  }

  /// Writes until there is no more room.
  private func fill(_ connection: inout Connection, _ id: StreamID) -> Int {
    var total = 0
    while true {
      let data = data
      let count = (try? connection.write(data.bytes, to: id)) ?? 0
      total += count
      if count < data.count { return total }
    }
  }

  /// What a connection that found no memory is told when there is some.
  private func told(_ connection: inout Connection) -> [ConnectionEvent] {
    guard connection.offerRoom() else { return [] }
    var events: [ConnectionEvent] = []
    while let event = connection.nextEvent() { events.append(event) }
    return events
  }

  @Test func `a stream that found no memory, and has nothing under way, is told when another gives some back`() throws {
    // Chunks for sending: 32.
    let pool = ChunkPool(capacity: 64 * 4_096)
    var first = connection(pool)
    var second = connection(pool)
    var third = connection(pool)
    let id = try first.openStream(service: "s")
    #expect(fill(&first, id) > 0)
    #expect(try fill(&second, second.openStream(service: "s")) > 0)
    let poor = try third.openStream(service: "s")
    _ = fill(&third, poor)
    let poorer = try third.openStream(service: "s")
    #expect(fill(&third, poorer) == 0)
    while third.nextEvent() != nil {}
    #expect(!pool.takeRelief())
    try first.reset(id, code: .cancelled)
    #expect(pool.takeRelief())
    let events = told(&third)
    #expect(events.contains(.writable(poorer)))
    #expect(fill(&third, poorer) > 0)
  }

  @Test func `a heartbeat that found no memory is told when there is some`() throws {
    let pool = ChunkPool(capacity: 64 * 4_096)
    var first = connection(pool)
    var second = connection(pool)
    let id = try first.openStream(service: "s")
    _ = fill(&first, id)
    _ = try fill(&second, second.openStream(service: "s"))
    var third = connection(pool)
    _ = try fill(&third, third.openStream(service: "s"))
    let heartbeat: [UInt8] = [1]
    let channel = try third.messageChannel(for: "beat", lane: .control)
    // Whatever was left is used up.
    while (try? third.send(heartbeat.bytes, on: channel)) != nil {}
    while third.nextEvent() != nil {}
    try first.reset(id, code: .cancelled)
    #expect(pool.takeRelief())
    let events = told(&third)
    #expect(events.contains(.messagesWritable(.control)))
    try third.send(heartbeat.bytes, on: channel)
  }

  @Test func `a message is never longer than the memory for sending`() throws {
    let pool = ChunkPool(capacity: 512 << 10)
    var connection = connection(pool)
    let channel = try connection.messageChannel(for: "s")
    let message = [UInt8](repeating: 1, count: connection.longestMessage)
    #expect(message.count < 256 << 10)
    try connection.send(message.bytes, on: channel)
  }

  @Test func `streams that end while the window of the connection is shut do not pile up`() throws {
    var configuration = Configuration()
    configuration.peer.data = 0
    let victim = Victim(configuration)
    let data = data
    for number in 0..<2_000 as Range<UInt64> {
      let id = StreamID(index: number, odd: true, oneWay: false)
      try victim.stream(id.rawValue, offset: 0, fin: true, service: "s")
      _ = try victim.connection.write(data.bytes, to: id)
      _ = [UInt8](capacity: 1) { _ = try? victim.connection.read(id, into: &$0) }
      while victim.send() != nil {}
      try victim.take { PacketWriter.writeStopSending(StopSending(id: id.rawValue, code: .cancelled), to: &$0) }
      var last: UInt64 = 0
      while victim.send() != nil { last += 1 }
      last = victim.connection.nextNumber - 1
      try victim.take { PacketWriter.writeAck([1...last], delayMicroseconds: 0, to: &$0) }
    }
    #expect(victim.connection.closeReason == nil)
    #expect(victim.connection.streamCount < 10)
    #expect(victim.connection.blockedByConnection.count < 20)
  }

  @Test func `a datagram that does not fit into the small packets of an outage makes none`() throws {
    let victim = Victim()
    victim.connection.packetCapacity = 1_400
    let channel = try victim.connection.messageChannel(for: "s")
    let datagram = [UInt8](repeating: 1, count: 1_300)
    try victim.connection.sendDatagram(datagram.bytes, on: channel)
    var sent = false
    let small = [UInt8](capacity: 1_000) { sent = victim.connection.nextPacket(into: &$0, now: victim.now) }
    #expect(!sent && small.isEmpty)
    #expect(victim.send() != nil)
  }

  @Test func `messages as long as the limit pass through any window`() {
    var configuration = Configuration()
    configuration.local.data = 10_000
    configuration.local.message = 8_000
    configuration.peer = configuration.local
    let pair = Pair(a: configuration)
    let channel = try! pair.a.messageChannel(for: "s")
    let longest = pair.a.longestMessage
    var received = 0
    var sent = 0
    let done = pair.run(
      .seconds(60),
      work: {
        var worked = false
        while sent < 40 {
          let bytes = [UInt8](repeating: 1, count: sent % 2 == 0 ? 700 : longest)
          guard (try? pair.a.send(bytes.bytes, on: channel)) != nil else { break }
          sent += 1
          worked = true
        }
        for case .messages(let inbox, _) in pair.eventsB {
          while let size = pair.b.nextMessageSize(inbox) {
            _ = [UInt8](capacity: size) { _ = pair.b.readMessage(inbox, into: &$0) }
            received += 1
            worked = true
          }
          _ = [UInt8](capacity: 0) { _ = pair.b.readMessage(inbox, into: &$0) }
        }
        return worked
      }, until: { received == 40 })
    #expect(done)
  }

  @Test func `bytes that close a gap find memory though those behind it have used up the share`() throws {
    let victim = Victim(pool: 400 * 4_096)
    let chunk = [UInt8](repeating: 7, count: 1_000)
    // All but the first 20 kB, until there is no room for more.
    var offset: UInt64 = 20_000
    while try victim.stream(1, offset: offset, chunk) != .noRoom { offset += 1_000 }
    for missing in stride(from: UInt64(0), to: 20_000, by: 1_000) {
      #expect(
        try victim.stream(1, offset: missing, chunk, service: missing == 0 ? "s" : "")
          == .accepted(hasForeignFrames: false))
    }
    #expect(try victim.connection.isReadable(StreamID(rawValue: 1)))
  }

  @Test func `memory that receivers give back is offered to those who want to send`() throws {
    let pool = ChunkPool(capacity: 64 * 4_096)
    let (receiver, sender) = (ChunkShare(of: pool), ChunkShare(of: pool))
    var held: [Chunk] = []
    while receiver.room(.receiving, for: .filling) > 0 { held.append(receiver.take(.receiving)!) }
    while sender.room(.sending) > 0 { _ = sender.take(.sending) }
    sender.noteShortage()
    for _ in 0..<8 { receiver.give(held.removeLast(), .receiving) }
    #expect(pool.takeRelief())
  }
}
