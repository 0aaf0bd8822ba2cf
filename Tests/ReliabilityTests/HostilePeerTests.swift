import MeshPacket
import MeshPrimitives
import MeshSimulation
import Testing

@testable import MeshReliability

@Suite("Hostile peers") struct HostilePeerTests {
  @Test func `ends of streams that come before their bytes count against the connection's window`() throws {
    let victim = Victim()
    let end: UInt64 = 1 << 20
    try victim.stream(1, offset: end, fin: true, service: "x")
    try victim.stream(3, offset: end, fin: true, service: "x")
    #expect(throws: ConnectionError.windowExceeded(stream: nil, limit: 2 << 20)) {
      try victim.stream(5, offset: end, fin: true, service: "x")
    }
  }

  @Test func `the bytes of a stream whose end came first are taken, and given back when nobody reads`() throws {
    let victim = Victim()
    try victim.stream(1, offset: 100_000, fin: true, service: "x")
    for offset in stride(from: 0, to: 50_000, by: 1000) {
      try victim.stream(1, offset: UInt64(offset), [UInt8](repeating: 1, count: 1000))
    }
    try victim.connection.stop(StreamID(rawValue: 1), code: .cancelled)
    #expect(victim.connection.dataConsumed == 100_000)
  }

  @Test func `an acknowledgement that fills a packet leaves the window update to the next one`() throws {
    for capacity in stride(from: 512, through: 1_440, by: 1) {
      let victim = Victim()
      for index in 0..<160 as Range<UInt64> {
        try victim.take(number: 1 + index << 50) { PacketWriter.writePing(to: &$0) }
      }
      try victim.take(number: 1 + 161 << 50) {
        PacketWriter.writeStream(id: 1, offset: 0, fin: false, service: Array("x".utf8).bytes, dataLength: 0, to: &$0)
        PacketWriter.writeResetStream(ResetStream(id: 1, code: .cancelled, finalSize: 1 << 20), to: &$0)
      }
      var packets = 0
      var limits: [UInt64] = []
      while packets < 10 {
        var sent = false
        let message = [UInt8](capacity: capacity) { sent = victim.connection.nextPacket(into: &$0, now: victim.now) }
        guard sent else { break }
        packets += 1
        var reader = PacketReader(message.bytes)
        while let frame = try reader.next() { if case .maxData(let limit) = frame { limits.append(limit) } }
      }
      #expect(packets < 10 && limits.count == 1, "\(capacity)")
    }
  }

  @Test(arguments: [UInt64.max, 1 << 62]) func `a packet number beyond 2^62 - 1 ends the connection`(number: UInt64) {
    let victim = Victim()
    #expect(throws: ConnectionError.packet(.malformed(offset: 1))) {
      try victim.take(number: number) { PacketWriter.writePing(to: &$0) }
    }
    #expect(victim.connection.closeReason == .violation(.packet(.malformed(offset: 1))))
  }

  @Test func `the greatest packet number is acknowledged`() throws {
    let victim = Victim()
    try victim.take(number: 1 << 62 - 1) { PacketWriter.writePing(to: &$0) }
    victim.now = victim.now + .seconds(1)
    #expect(victim.send() != nil)
  }

  @Test func `an acknowledgement of a packet that was never sent ends the connection`() throws {
    let victim = Victim()
    #expect(throws: ConnectionError.acknowledgedUnsent(number: 1)) {
      try victim.take { PacketWriter.writeAck([1...1], delayMicroseconds: 0, to: &$0) }
    }
    #expect(victim.connection.closeReason == .violation(.acknowledgedUnsent(number: 1)))
    #expect(victim.events == [.closed(.violation(.acknowledgedUnsent(number: 1)))])
    #expect(try victim.stream(1, offset: 0, [1]) == .closed)
  }

  @Test func `a peer that acknowledges what is still on its way is found out`() throws {
    var configuration = Configuration()
    configuration.skipSeed = 77
    let victim = Victim(configuration)
    let id = try victim.connection.openStream(service: "x")
    let data = [UInt8](repeating: 7, count: 100_000)
    var acknowledged: UInt64 = 0
    // It acknowledges each number as soon as one above it can have been sent.
    let error = try #require(throws: ConnectionError.self) {
      for _ in 0..<3_000 {
        _ = try victim.connection.write(data.bytes, to: id)
        while victim.send() != nil { acknowledged += 1 }
        victim.now = victim.now + .milliseconds(1)
        try victim.take { PacketWriter.writeAck([1...acknowledged], delayMicroseconds: 0, to: &$0) }
        try victim.take { PacketWriter.writeMaxData(1 << 40, to: &$0) }
        try victim.take { PacketWriter.writeStreamMaxData(StreamMaxData(id: id.rawValue, max: 1 << 40), to: &$0) }
      }
    }
    guard case .acknowledgedUnsent = error else {
      Issue.record("\(error)")
      return
    }
  }

  @Test func `packets of an earlier connection count as known, and numbers go on above them`() throws {
    let victim = Victim()
    victim.connection.ignoreNumbers(below: 500)
    victim.number = 498
    #expect(try victim.stream(1, offset: 0, [1], service: "old") == .duplicate)
    #expect(victim.send() == nil)
    #expect(try victim.stream(1, offset: 0, [2], service: "new") == .accepted(hasForeignFrames: false))
    // Once one has come, nothing moves the floor.
    victim.connection.ignoreNumbers(below: 10_000)
    #expect(try victim.stream(1, offset: 1, [3]) == .accepted(hasForeignFrames: false))
    var configuration = Configuration()
    configuration.firstNumber = 700
    let pair = Pair(StreamTests.path(loss: 0.1), a: configuration, b: Configuration())
    pair.b.ignoreNumbers(below: 700)
    let transfer = Transfer(pair, try pair.open(.a, "x"), from: .a, size: 300_000, salt: 1)
    #expect(pair.run(work: transfer.work, until: { transfer.isComplete }))
    #expect(pair.errors == [])
    #expect(pair.a.nextNumber > 900)
  }

  @Test func `windows that shrink change nothing`() throws {
    let victim = Victim()
    let id = try victim.connection.openStream(service: "x")
    let data = [UInt8](repeating: 7, count: 50_000)
    _ = try victim.connection.write(data.bytes, to: id)
    try victim.take { PacketWriter.writeMaxData(1, to: &$0) }
    try victim.take { PacketWriter.writeStreamMaxData(StreamMaxData(id: id.rawValue, max: 1), to: &$0) }
    try victim.take { PacketWriter.writeMaxStreams(MaxStreams(bidirectional: 1), to: &$0) }
    var sent = 0
    while let message = victim.send() {
      sent += message.count
      victim.now = victim.now + .milliseconds(1)
      if sent > 5_000 { break }
    }
    #expect(sent > 5_000)
    for _ in 0..<10 { _ = try victim.connection.openStream(service: "y") }
  }

  @Test func `a flood of tiny frames costs a capped amount of memory and few answers`() throws {
    let victim = Victim()
    var offset: UInt64 = 0
    var answers = 0
    for round in 0..<2_000 {
      let outcome = try victim.take { output in
        for index in 0..<120 {
          let isFirst = round == 0 && index == 0
          PacketWriter.writeStream(
            id: 1, offset: offset, fin: false, service: (isFirst ? Array("x".utf8) : []).bytes, dataLength: 1,
            to: &output)
          output.append(UInt8(7))
          offset += 1
        }
      }
      #expect(outcome == .accepted(hasForeignFrames: false))
      while victim.send() != nil { answers += 1 }
    }
    #expect(victim.pool.used <= 240_000 / 4_096 + 1)
    // One for ten packets, and a few more at the beginning.
    #expect(answers < 400)
    #expect(victim.events.count == 2)
  }

  @Test func `numbers that are left out do no harm to a peer that is honest`() throws {
    var configuration = Configuration()
    configuration.skipSeed = 77
    let pair = Pair(StreamTests.path(), a: configuration)
    var gaps = 0
    var last: UInt64 = 0
    pair.onPacket = { side, message in
      var reader = PacketReader(message.bytes)
      guard side == .a, case .number(let number)? = try? reader.next() else { return }
      if number != last + 1 { gaps += 1 }
      last = number
    }
    let transfer = Transfer(pair, try pair.open(.a, "x"), from: .a, size: 5_000_000, salt: 1)
    #expect(pair.run(work: transfer.work, until: { transfer.isComplete }))
    #expect(gaps >= 2)
    #expect(pair.errors == [])
    #expect(pair.a.statistics.packetsLost == 0)
  }

  @Test func `an acknowledgement of the last number of all is an error as well`() throws {
    let victim = Victim()
    #expect(throws: ConnectionError.self) {
      try victim.take { PacketWriter.writeAck([1...UInt64.max], delayMicroseconds: .max, to: &$0) }
    }
  }

  @Test func `an absurd delay in an acknowledgement does no harm`() throws {
    let victim = Victim()
    _ = try victim.connection.openStream(service: "x")
    #expect(victim.send() != nil)
    victim.now = victim.now + .milliseconds(50)
    try victim.take { PacketWriter.writeAck([1...1], delayMicroseconds: .max, to: &$0) }
    #expect(victim.connection.statistics.smoothedRTT == .milliseconds(50))
  }

  @Test func `bytes beyond the window of a stream end the connection`() throws {
    var configuration = Configuration()
    configuration.local = ConnectionLimits(data: 10_000, streamData: 1_000)
    let victim = Victim(configuration)
    try victim.stream(1, offset: 0, [UInt8](repeating: 0, count: 1_000))
    #expect(throws: ConnectionError.windowExceeded(stream: StreamID(rawValue: 1), limit: 1_000)) {
      try victim.stream(1, offset: 1_000, [1])
    }
  }

  @Test func `bytes beyond the window of the connection end it`() throws {
    var configuration = Configuration()
    configuration.local = ConnectionLimits(data: 2_500, streamData: 1_000)
    let victim = Victim(configuration)
    for id in [1, 5] as [UInt64] { try victim.stream(id, offset: 0, [UInt8](repeating: 0, count: 1_000)) }
    #expect(throws: ConnectionError.windowExceeded(stream: nil, limit: 2_500)) {
      try victim.stream(9, offset: 500, [UInt8](repeating: 0, count: 500))
    }
    #expect(victim.pool.used == 0)
  }

  @Test func `a reset counts against the windows like the bytes that it stands for`() throws {
    var configuration = Configuration()
    configuration.local = ConnectionLimits(data: 2_500, streamData: 1_000)
    let victim = Victim(configuration)
    #expect(throws: ConnectionError.windowExceeded(stream: StreamID(rawValue: 1), limit: 1_000)) {
      try victim.take {
        PacketWriter.writeResetStream(ResetStream(id: 1, code: .cancelled, finalSize: 1_001), to: &$0)
      }
    }
  }

  @Test(arguments: [(1 << 62 - 2, 1), (1 << 62 - 1, 1), (UInt64.max, 1), (1 << 40, 0)] as [(UInt64, Int)])
  func `offsets out of reach end the connection and cost nothing`(offset: UInt64, length: Int) throws {
    let victim = Victim()
    #expect(throws: ConnectionError.self) {
      try victim.stream(1, offset: offset, [UInt8](repeating: 0, count: length))
    }
    #expect(victim.pool.used == 0)
  }

  @Test func `the end of a stream cannot move`() throws {
    let id = StreamID(rawValue: 1)
    var victim = Victim()
    try victim.stream(1, offset: 0, [1, 2, 3], fin: true)
    #expect(throws: ConnectionError.finalSizeChanged(id, was: 3, now: 4)) { try victim.stream(1, offset: 3, [1]) }
    victim = Victim()
    try victim.stream(1, offset: 0, [1, 2, 3], fin: true)
    #expect(throws: ConnectionError.finalSizeChanged(id, was: 3, now: 2)) {
      try victim.stream(1, offset: 0, [1, 2], fin: true)
    }
    victim = Victim()
    try victim.stream(1, offset: 10, [1, 2, 3])
    #expect(throws: ConnectionError.finalSizeChanged(id, was: 13, now: 5)) {
      try victim.stream(1, offset: 5, [], fin: true)
    }
    victim = Victim()
    try victim.stream(1, offset: 10, [1, 2, 3])
    #expect(throws: ConnectionError.finalSizeChanged(id, was: 13, now: 12)) {
      try victim.take { PacketWriter.writeResetStream(ResetStream(id: 1, code: .cancelled, finalSize: 12), to: &$0) }
    }
    victim = Victim()
    try victim.stream(1, offset: 0, [1, 2, 3], fin: true)
    #expect(try victim.stream(1, offset: 1, [2, 3], fin: true) == .accepted(hasForeignFrames: false))
  }

  @Test func `too many streams end the connection`() throws {
    var configuration = Configuration()
    configuration.local.streams = 10
    configuration.local.oneWayStreams = 2
    let victim = Victim(configuration)
    try victim.stream(9 << 2 | 1, offset: 0, [1])
    #expect(victim.connection.streamCount == 10)
    #expect(throws: ConnectionError.tooManyStreams(StreamID(rawValue: 41), limit: 10)) {
      try victim.stream(10 << 2 | 1, offset: 0, [1])
    }
    let second = Victim(configuration)
    #expect(throws: ConnectionError.self) { try second.stream(.max & ~2, offset: 0, [1]) }
    let third = Victim(configuration)
    try third.stream(1 << 2 | 3, offset: 0, [1])
    #expect(throws: ConnectionError.tooManyStreams(StreamID(rawValue: 11), limit: 2)) {
      try third.stream(2 << 2 | 3, offset: 0, [1])
    }
  }

  @Test func `frames for streams that this side never opened end the connection`() throws {
    let id = StreamID(rawValue: 8)
    let frames: [(inout OutputRawSpan) -> Void] = [
      { PacketWriter.writeStream(id: 8, offset: 0, fin: false, dataLength: 0, to: &$0) },
      { PacketWriter.writeStreamMaxData(StreamMaxData(id: 8, max: 5), to: &$0) },
      { PacketWriter.writeResetStream(ResetStream(id: 8, code: .cancelled, finalSize: 0), to: &$0) },
      { PacketWriter.writeStopSending(StopSending(id: 8, code: .cancelled), to: &$0) },
    ]
    for frame in frames {
      let victim = Victim()
      #expect(throws: ConnectionError.wrongStream(id)) { try victim.take(frame) }
    }
  }

  @Test func `thousands of single bytes with gaps cost a capped amount`() throws {
    var configuration = Configuration()
    configuration.local = ConnectionLimits(data: 8 << 20, streamData: 4 << 20)
    let victim = Victim(configuration)
    var refused = 0
    for index in 0..<20_000 as Range<UInt64> where try victim.stream(1, offset: 1 + index * 200, [7]) == .noRoom {
      refused += 1
    }
    #expect(refused == 20_000 - 4_096)
    #expect(victim.pool.used <= 1 + 4_096 * 200 / 4_096)
    // The hole is filled: all that was stored is readable, and the stream goes on.
    let window = [UInt8](repeating: 1, count: 1_800)
    for index in 0..<600 as Range<UInt64> {
      try victim.stream(1, offset: index * 1_800, window, service: index == 0 ? "x" : "")
    }
    #expect(victim.events.contains(.readable(StreamID(rawValue: 1))))
    let sparse = Victim(configuration)
    for index in 0..<1_024 as Range<UInt64> { try sparse.stream(1, offset: index * 4_096 + 5, [7]) }
    #expect(sparse.pool.used == 1_024)
    #expect(sparse.connection.closeReason == nil)
  }

  @Test func `numbers with gaps cost a capped amount, and old ones count as known`() throws {
    let victim = Victim()
    for index in 1...5_000 as ClosedRange<UInt64> {
      try victim.take(number: index * 2) { PacketWriter.writePing(to: &$0) }
    }
    #expect(try victim.take(number: 1) { PacketWriter.writePing(to: &$0) } == .duplicate)
    #expect(try victim.take(number: 9_999) { PacketWriter.writePing(to: &$0) } == .accepted(hasForeignFrames: false))
    #expect(try victim.take(number: 9_999) { PacketWriter.writePing(to: &$0) } == .duplicate)
    let ack = try #require(victim.send())
    #expect(ack.count < 800)
  }

  @Test func `a peer that never acknowledges gets a window and a few probes`() throws {
    let victim = Victim()
    let id = try victim.connection.openStream(service: "x")
    _ = try victim.connection.write([UInt8](repeating: 0, count: 1 << 20).bytes, to: id)
    var packets = 0
    var bytes = 0
    while victim.connection.closeReason == nil {
      while let message = victim.send() {
        packets += 1
        bytes += message.count
      }
      guard let deadline = victim.connection.deadline else { break }
      victim.now = max(victim.now, deadline)
      victim.connection.handleTimeout(now: victim.now)
    }
    #expect(victim.connection.closeReason == .timedOut)
    #expect(packets < 25 && bytes < 40_000)
    #expect(victim.pool.used == 0)
  }

  @Test func `a peer that sends and never acknowledges is given up as well`() throws {
    let victim = Victim()
    _ = try victim.connection.openStream(service: "x")
    let start = victim.now
    while victim.connection.closeReason == nil, victim.now - start < .seconds(60) {
      _ = try? victim.take { PacketWriter.writePing(to: &$0) }
      while victim.send() != nil {}
      victim.now = victim.now + .milliseconds(20)
      victim.connection.handleTimeout(now: victim.now)
    }
    #expect(victim.connection.closeReason == .timedOut)
  }

  @Test func `a peer that reads packets and acknowledges acknowledgements only does not grow us`() throws {
    let victim = Victim()
    for _ in 0..<20_000 {
      try victim.take { PacketWriter.writePing(to: &$0) }
      while victim.send() != nil {}
      if victim.number.isMultiple(of: 64) { victim.now = victim.now + .milliseconds(1) }
    }
    // It asked for acknowledgements from time to time and got none: that is a peer which vanishes, not one that fills us.
    #expect(victim.connection.statistics.bytesInFlight < 100_000)
  }

  @Test func `limits beyond all bounds do no harm`() throws {
    let victim = Victim()
    let id = try victim.connection.openStream(service: "x")
    try victim.take {
      PacketWriter.writeMaxData(.max, to: &$0)
      PacketWriter.writeStreamMaxData(StreamMaxData(id: id.rawValue, max: .max), to: &$0)
      PacketWriter.writeMaxStreams(MaxStreams(bidirectional: .max, unidirectional: .max), to: &$0)
    }
    #expect(try victim.connection.write([1, 2, 3].bytes, to: id) == 3)
    #expect(victim.send() != nil)
    _ = try victim.connection.openStream(service: "y")
    // Smaller limits later are old news.
    try victim.take {
      PacketWriter.writeMaxData(1, to: &$0)
      PacketWriter.writeStreamMaxData(StreamMaxData(id: id.rawValue, max: 1), to: &$0)
    }
    #expect(victim.connection.closeReason == nil)
  }

  @Test func `an exhausted pool makes packets count as not received`() throws {
    let victim = Victim(pool: 20_480)
    var outcomes: [PacketOutcome] = []
    for index in 0..<20 as Range<UInt64> {
      outcomes.append(
        try victim.stream(1, offset: index * 1_000, [UInt8](repeating: 7, count: 1_000), service: index == 0 ? "s" : "")
      )
    }
    #expect(outcomes.prefix(16).allSatisfy { $0 == .accepted(hasForeignFrames: false) })
    #expect(outcomes.suffix(4).allSatisfy { $0 == .noRoom })
    let read = [UInt8](capacity: 10_000) { _ = try? victim.connection.read(StreamID(rawValue: 1), into: &$0) }
    #expect(read.count == 10_000)
    victim.number = 16
    #expect(
      try victim.stream(1, offset: 16_000, [UInt8](repeating: 7, count: 1_000)) == .accepted(hasForeignFrames: false))
  }

  @Test func `foreign frames are reported and packets without number are left alone`() throws {
    let victim = Victim()
    let outcome = try victim.take { output in
      PacketWriter.writePathProbe(1, to: &output)
    }
    #expect(outcome == .accepted(hasForeignFrames: true))
    let unnumbered = [UInt8](capacity: 100) { PacketWriter.writePing(to: &$0) }
    #expect(try victim.connection.handle(unnumbered.bytes, ecn: .notECT, now: victim.now) == .unnumbered)
    #expect(victim.connection.statistics.packetsReceived == 1)
  }

  @Test func `a packet that is not canonical leaves the connection as it is`() throws {
    let victim = Victim()
    // Field 2 before field 1.
    #expect(throws: ConnectionError.self) {
      try victim.connection.handle([0x08, 0x01, 0x78, 0x01, 0x30, 0x05].bytes, ecn: .notECT, now: victim.now)
    }
    #expect(victim.connection.closeReason == nil)
    #expect(throws: ConnectionError.self) {
      try victim.connection.handle([0x08, 0x01, 0x1A, 0x50].bytes, ecn: .notECT, now: victim.now)
    }
    #expect(victim.connection.closeReason != nil)
  }

  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func `random frames never trap and never hold more memory than the windows`(seed: UInt64) {
    var entropy = SeededEntropy(seed: seed)
    for _ in 0..<300 {
      var configuration = Configuration()
      configuration.local = ConnectionLimits(data: 100_000, streamData: 40_000, streams: 8)
      let victim = Victim(configuration)
      _ = try? victim.connection.openStream(service: "mine")
      for _ in 0..<40 where victim.connection.closeReason == nil {
        _ = try? victim.take { output in
          let id = UInt64(entropy.upTo(20))
          let number = entropy.chance(0.05) ? entropy.next() >> UInt64(entropy.upTo(63)) : UInt64(entropy.upTo(45_000))
          if entropy.chance(0.3) {
            PacketWriter.writeAck([1...1 + UInt64(entropy.upTo(3))], delayMicroseconds: number, to: &output)
          }
          if entropy.chance(0.7) {
            let length = Int(entropy.upTo(1_000))
            PacketWriter.writeStream(id: id, offset: number, fin: entropy.chance(0.1), dataLength: length, to: &output)
            output.append(zeros: length)
          }
          if entropy.chance(0.1) { PacketWriter.writeMaxData(number, to: &output) }
          if entropy.chance(0.1) { PacketWriter.writeStreamMaxData(StreamMaxData(id: id, max: number), to: &output) }
          if entropy.chance(0.1) {
            PacketWriter.writeResetStream(ResetStream(id: id, code: .cancelled, finalSize: number), to: &output)
          }
          if entropy.chance(0.1) { PacketWriter.writeStopSending(StopSending(id: id, code: .cancelled), to: &output) }
        }
        for event in victim.events {
          if case .readable(let id) = event, entropy.chance(0.5) {
            _ = [UInt8](capacity: 3_000) { _ = try? victim.connection.read(id, into: &$0) }
          }
          if case .streamOpened(let id, _) = event {
            _ = try? victim.connection.write([1, 2, 3].bytes, to: id)
            if entropy.chance(0.3) { try? victim.connection.stop(id, code: .cancelled) }
            if entropy.chance(0.3) { try? victim.connection.reset(id, code: .cancelled) }
            if entropy.chance(0.3) { try? victim.connection.finish(id) }
          }
        }
        while victim.send() != nil {}
        victim.now = victim.now + .milliseconds(Int(entropy.upTo(30)))
        victim.connection.handleTimeout(now: victim.now)
        #expect(victim.pool.used <= 100_000 / 4_096 + 2 * 20, "seed \(seed)")
      }
      victim.connection.peerVanished()
      #expect(victim.pool.used == 0, "seed \(seed)")
    }
  }
}
