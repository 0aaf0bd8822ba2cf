import MeshPacket
import MeshPrimitives
import MeshReliability
import MeshSimulation
import Testing

@Suite("Streams") struct StreamTests {
  static func path(loss: Double = 0) -> LinkConditions {
    var path = LinkConditions()
    path.delay = .milliseconds(5)
    path.loss = loss
    return path
  }

  @Test func `a stream is announced with its service before anything is written`() throws {
    let pair = Pair(Self.path())
    let id = try pair.open(.a, "echo")
    pair.run(for: .seconds(1))
    #expect(pair.eventsB == [.streamOpened(id, service: "echo")])
    #expect(try pair.read(.b, id).1 == .blocked)
  }

  @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
  func `a stream is announced once, with its service, however much is lost`(seed: UInt64) throws {
    var configuration = Configuration()
    configuration.initialRTT = .milliseconds(50)
    let pair = Pair(Self.path(loss: 0.4), seed: seed, a: configuration)
    let empty = try pair.open(.a, "empty")
    let short = try pair.open(.a, "short")
    _ = try pair.write(.a, [1, 2, 3], to: short)
    try pair.finish(.a, short)
    try pair.finish(.a, empty)
    pair.run(for: .seconds(30))
    #expect(pair.eventsB.filter { $0 == .streamOpened(empty, service: "empty") }.count == 1, "seed \(seed)")
    #expect(pair.eventsB.filter { $0 == .streamOpened(short, service: "short") }.count == 1, "seed \(seed)")
    #expect(try pair.read(.b, empty).1 == .finished)
    #expect(try pair.read(.b, short).0 == [1, 2, 3])
    #expect(try pair.read(.b, short).1 == .finished)
    #expect(
      pair.eventsA.contains(.streamFinished(empty)) && pair.eventsA.contains(.streamFinished(short)),
      "\(pair.eventsA) \(pair.a.statistics)")
  }

  @Test func `one direction ends and the other goes on`() throws {
    let pair = Pair(Self.path(loss: 0.05))
    let id = try pair.open(.a, "half")
    _ = try pair.write(.a, [1], to: id)
    try pair.finish(.a, id)
    pair.run(for: .seconds(2))
    #expect(try pair.read(.b, id).0 == [1])
    #expect(try pair.read(.b, id).1 == .finished)
    #expect(throws: StreamError.notWritable) { try pair.write(.a, [2], to: id) }
    let back = Transfer(pair, id, from: .b, size: 100_000, salt: 9)
    #expect(pair.run(work: back.work, until: { back.isComplete && pair.b.streamCount == 0 }))
    #expect(pair.a.streamCount == 0)
    #expect(throws: StreamError.unknownStream) { try pair.read(.b, id) }
  }

  @Test(arguments: [0, 0.2]) func `a reset ends one direction with its code and drops what was buffered`(loss: Double)
    throws
  {
    let pair = Pair(Self.path(loss: loss), seed: 4)
    let id = try pair.open(.a, "reset")
    _ = try pair.write(.a, pattern(1, 0..<500_000), to: id)
    pair.run(for: .milliseconds(30))
    try pair.a.reset(id, code: ErrorCode(rawValue: 300))
    #expect(pair.poolA.used == 0)
    pair.run(for: .seconds(5))
    #expect(pair.eventsB.contains(.reset(id, code: ErrorCode(rawValue: 300))))
    #expect(pair.poolB.used == 0)
    #expect(try pair.read(.b, id).1 == .reset(code: ErrorCode(rawValue: 300)))
    try pair.finish(.b, id)
    pair.run(for: .seconds(5))
    #expect(try pair.read(.a, id).1 == .finished)
    #expect(pair.a.streamCount == 0 && pair.b.streamCount == 0)
    // What was received and dropped does not stay on the account of the connection: as much again passes.
    let next = Transfer(pair, try pair.open(.a, "next"), from: .a, size: 3_000_000, salt: 2)
    #expect(pair.run(work: next.work, until: { next.isComplete }))
  }

  @Test(arguments: [0, 0.2]) func `stopping makes the peer reset and frees both`(loss: Double) throws {
    let pair = Pair(Self.path(loss: loss), seed: 11)
    let id = try pair.open(.a, "stop")
    _ = try pair.write(.a, pattern(1, 0..<1_000_000), to: id)
    pair.run(for: .milliseconds(40))
    try pair.b.stop(id, code: ErrorCode(rawValue: 301))
    #expect(pair.poolB.used == 0)
    #expect(throws: StreamError.notReadable) { try pair.read(.b, id) }
    pair.run(for: .seconds(5))
    #expect(pair.eventsA.contains(.stopped(id, code: ErrorCode(rawValue: 301))))
    #expect(throws: StreamError.stopped(code: ErrorCode(rawValue: 301))) { try pair.write(.a, [1], to: id) }
    try pair.finish(.b, id)
    pair.run(for: .seconds(5))
    #expect(try pair.read(.a, id).1 == .finished)
    #expect(pair.a.streamCount == 0 && pair.b.streamCount == 0)
    #expect(pair.poolA.used == 0 && pair.poolB.used == 0)
    let next = Transfer(pair, try pair.open(.a, "next"), from: .a, size: 3_000_000, salt: 2)
    #expect(pair.run(work: next.work, until: { next.isComplete }))
  }

  @Test func `a reader that does not read stops the writer, and reading lets it go on`() throws {
    var configuration = Configuration()
    configuration.local = ConnectionLimits(data: 300_000, streamData: 100_000)
    configuration.peer = configuration.local
    configuration.sendBuffer = 50_000
    let pair = Pair(Self.path(), a: configuration)
    let id = try pair.open(.a, "slow")
    var written = 0
    pair.run(for: .seconds(3)) {
      let count = (try? pair.write(.a, pattern(5, written..<written + 10_000), to: id)) ?? 0
      written += count
      return count > 0
    }
    #expect(written == 150_000)
    #expect(pair.poolB.used <= 26)
    #expect(pair.a.statistics.bytesSent == 100_000)
    let rest = Transfer(pair, id, from: .a, size: 500_000, salt: 5)
    rest.written = written
    #expect(pair.run(work: rest.work, until: { rest.isComplete }))
    #expect(pair.eventsA.contains(.writable(id)))
  }

  @Test func `the window of the connection holds all streams together`() throws {
    var configuration = Configuration()
    configuration.local = ConnectionLimits(data: 100_000, streamData: 80_000)
    configuration.peer = configuration.local
    let pair = Pair(Self.path(), a: configuration)
    let ids = try (0..<4).map { try pair.open(.a, "s\($0)") }
    for id in ids { _ = try pair.write(.a, pattern(id.rawValue, 0..<80_000), to: id) }
    pair.run(for: .seconds(3))
    // An eighth of the window is the control lane's.
    #expect(pair.a.statistics.bytesSent == 87_500)
    let transfers = ids.map { id in
      let transfer = Transfer(pair, id, from: .a, size: 80_000, salt: id.rawValue)
      transfer.written = 80_000
      return transfer
    }
    let done = pair.run(
      work: { transfers.reduce(false) { $1.work() || $0 } }, until: { transfers.allSatisfy(\.isComplete) })
    #expect(done)
  }

  @Test func `more streams than allowed are refused until others end`() throws {
    var configuration = Configuration()
    configuration.local.streams = 4
    configuration.peer.streams = 4
    let pair = Pair(Self.path(), a: configuration)
    let ids = try (0..<4).map { try pair.open(.a, "s\($0)") }
    #expect(throws: StreamError.tooManyStreams(limit: 4)) { try pair.open(.a, "more") }
    pair.run(for: .seconds(1))
    for side in Pair.Side.allCases { try pair.finish(side, ids[0]) }
    pair.run(for: .seconds(1))
    #expect(try pair.read(.b, ids[0]).1 == .finished)
    #expect(try pair.read(.a, ids[0]).1 == .finished)
    pair.run(for: .seconds(1))
    #expect(pair.eventsA.contains(.streamsAvailable))
    let fifth = try pair.open(.a, "more")
    pair.run(for: .seconds(1))
    #expect(pair.eventsB.contains(.streamOpened(fifth, service: "more")))
  }

  @Test func `closing ends every stream with its reason`() throws {
    let pair = Pair(Self.path())
    let id = try pair.open(.a, "x")
    _ = try pair.write(.a, pattern(1, 0..<100_000), to: id)
    pair.run(for: .milliseconds(20))
    pair.a.close(code: .goingAway, reason: "bye")
    pair.b.peerClosed(code: .goingAway, reason: "bye")
    #expect(pair.poolA.used == 0)
    #expect(throws: StreamError.closed(.closedLocally(code: .goingAway, reason: "bye"))) {
      try pair.write(.a, [1], to: id)
    }
    // What had come in order is the reader's, and nothing beyond it.
    #expect((pair.b.hasUnread) as Bool)
    let (bytes, result) = try pair.read(.b, id)
    #expect(result == .bytes(bytes.count) && bytes.count > 0)
    #expect((bytes == pattern(1, 0..<bytes.count)) as Bool)
    #expect(throws: StreamError.closed(.closedByPeer(code: .goingAway, reason: "bye"))) { try pair.read(.b, id) }
    #expect((pair.b.hasUnread) as Bool == false)
    #expect(pair.poolB.used == 0)
    #expect(pair.next(.a) == nil && pair.a.deadline == nil)
    pair.exchange()
    #expect(pair.eventsA.last == .closed(.closedLocally(code: .goingAway, reason: "bye")))
  }

  @Test func `a peer that falls silent is noticed within seconds and ends each stream`() throws {
    let pair = Pair(Self.path())
    let id = try pair.open(.a, "x")
    pair.run(for: .seconds(1))
    pair.toB.conditions.loss = 1
    pair.toA.conditions.loss = 1
    _ = try pair.write(.a, [1], to: id)
    let start = pair.now
    #expect(pair.run(.seconds(30), until: { pair.eventsA.contains(.closed(.timedOut)) }))
    #expect(pair.now - start <= .seconds(16))
    #expect(throws: StreamError.closed(.timedOut)) { try pair.read(.a, id) }
  }

  @Test func `an idle connection sends nothing and waits for nothing`() throws {
    let pair = Pair(Self.path())
    let id = try pair.open(.a, "x")
    let transfer = Transfer(pair, id, from: .a, size: 300_000, salt: 1)
    #expect(pair.run(work: transfer.work, until: { transfer.isComplete }))
    pair.run(for: .seconds(10))
    let packets = pair.packets
    pair.run(for: .seconds(100))
    #expect(pair.packets == packets)
    #expect(pair.a.deadline == nil && pair.b.deadline == nil)
  }

  @Test func `an outage in the middle is survived`() throws {
    let pair = Pair(Self.path(), seed: 3)
    let id = try pair.open(.a, "x")
    let transfer = Transfer(pair, id, from: .a, size: 2_000_000, salt: 1)
    _ = pair.run(work: transfer.work, until: { transfer.read > 500_000 })
    pair.toB.conditions.loss = 1
    pair.toA.conditions.loss = 1
    pair.run(for: .seconds(6), work: transfer.work)
    pair.toB.conditions.loss = 0
    pair.toA.conditions.loss = 0
    let back = pair.now
    #expect(pair.run(work: transfer.work, until: { transfer.isComplete }))
    #expect(pair.now - back < .seconds(6))
  }

  @Test func `an idle connection ends when nothing is open, and is kept alive while something is`() throws {
    var configuration = Configuration()
    configuration.idleTimeout = .seconds(10)
    let pair = Pair(Self.path(), a: configuration)
    let id = try pair.open(.a, "x")
    pair.run(for: .seconds(120))
    #expect(pair.a.closeReason == nil && pair.b.closeReason == nil)
    // A question and an answer each five seconds, by either side, and not more.
    #expect(pair.packets < 120)
    try pair.finish(.a, id)
    pair.run(for: .seconds(1))
    #expect(try pair.read(.b, id).1 == .finished)
    try pair.finish(.b, id)
    pair.run(for: .seconds(1))
    #expect(try pair.read(.a, id).1 == .finished)
    pair.run(for: .seconds(12))
    #expect(pair.a.closeReason == .timedOut && pair.b.closeReason == .timedOut)
  }
}
