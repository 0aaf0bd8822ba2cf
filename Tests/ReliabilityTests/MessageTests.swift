import MeshPacket
import MeshPrimitives
import MeshReliability
import MeshSimulation
import Testing

extension Pair {
  func channel(_ side: Side, _ service: String, _ lane: Lane = .message) throws -> MessageChannel {
    side == .a
      ? try a.messageChannel(for: service, lane: lane) : try b.messageChannel(for: service, lane: lane)
  }

  func send(_ side: Side, _ bytes: [UInt8], on channel: MessageChannel, ordered: Bool = false) throws {
    if side == .a {
      try a.send(bytes.bytes, on: channel, ordered: ordered)
    } else {
      try b.send(bytes.bytes, on: channel, ordered: ordered)
    }
  }

  func sendDatagram(_ bytes: [UInt8], on channel: MessageChannel) throws {
    try a.sendDatagram(bytes.bytes, on: channel)
  }

  /// Where messages for `service` have come to `b`.
  func inbox(_ service: String) -> InboxID? {
    for case .messages(let inbox, service) in eventsB { return inbox }
    return nil
  }

  /// All messages for `service` that `b` has and nobody has read.
  func readMessages(_ service: String) -> [[UInt8]] {
    var result: [[UInt8]] = []
    for case .messages(let inbox, service) in eventsB {
      while true {
        var size: Int?
        let bytes = [UInt8](capacity: b.nextMessageSize(inbox) ?? 0) { size = b.readMessage(inbox, into: &$0) }
        guard size != nil else { break }
        result.append(bytes)
      }
    }
    return result
  }

  func readDatagrams(_ service: String) -> [[UInt8]] {
    var result: [[UInt8]] = []
    for case .datagrams(let inbox, service) in eventsB {
      while true {
        var size: Int?
        let bytes = [UInt8](capacity: b.nextDatagramSize(inbox) ?? 0) { size = b.readDatagram(inbox, into: &$0) }
        guard size != nil else { break }
        result.append(bytes)
      }
    }
    return result
  }
}

@Suite("Messages") struct MessageTests {
  static func path(loss: Double = 0) -> LinkConditions {
    var path = LinkConditions()
    path.delay = .milliseconds(10)
    path.loss = loss
    return path
  }

  @Test(arguments: [0, 1, 200, 1_300, 1_400, 5_000, 1 << 20] as [Int])
  func `a message of any length arrives as it was sent`(size: Int) throws {
    let pair = Pair(Self.path())
    let channel = try pair.channel(.a, "chat")
    let sent = pattern(3, 0..<size)
    try pair.send(.a, sent, on: channel)
    pair.a.notifyWhenDelivered()
    pair.run(for: .seconds(5))
    let received = pair.readMessages("chat")
    #expect(received.count == 1)
    #expect(isSame(received.first ?? [1, 2, 3], sent))
    #expect(pair.eventsA.contains(.messagesDelivered))
    #expect(pair.a.hasDeliveredMessages as Bool)
    #expect(pair.poolA.used == 0 && pair.poolB.used == 0)
  }

  @Test func `the name of a service travels until the peer is known to know it, and a number then`() throws {
    let pair = Pair(Self.path())
    var names = 0
    pair.onPacket = { side, message in
      var reader = PacketReader(message.bytes)
      while side == .a, let frame = try? reader.next() {
        if case .message(let piece) = frame, piece.service != nil { names += 1 }
      }
    }
    let channel = try pair.channel(.a, "telemetry")
    for _ in 0..<3 { try pair.send(.a, [1], on: channel) }
    pair.run(for: .seconds(1))
    #expect(names == 3)
    for _ in 0..<10 { try pair.send(.a, [2], on: channel) }
    pair.run(for: .seconds(1))
    #expect(names == 3)
    #expect(pair.readMessages("telemetry").count == 13)
  }

  @Test func `ever so many small ones share packets that have no more fields than a packet may have`() throws {
    let pair = Pair(Self.path())
    pair.capacity = 60_000
    pair.a.packetSizeChanged(to: 60_000, overhead: 0)
    var most = 0
    pair.onPacket = { _, message in
      most = max(most, (try? PacketReader.validate(message.bytes).frames) ?? .max)
    }
    let chat = try pair.channel(.a, "chat")
    for _ in 0..<2_000 { try pair.send(.a, [], on: chat) }
    for _ in 0..<256 { try pair.sendDatagram([7], on: chat) }
    for _ in 0..<200 { _ = try pair.write(.a, [1], to: try pair.open(.a, "echo")) }
    pair.run(for: .seconds(2))
    #expect(pair.errors.isEmpty)
    // All but number and acknowledgement.
    #expect(most == PacketLimits.fields - 2)
    #expect(pair.readMessages("chat").count == 2_000)
    #expect(pair.readDatagrams("chat").count == 256)
    #expect(pair.openedB.count == 200)
  }

  /// The first packets of `b` that say so are lost: it says so again.
  @Test(arguments: [0, 2])
  func `a refusal reaches the sender whatever gets lost, and before the delivery is told if nothing is`(lost: Int)
    throws
  {
    let pair = Pair(Self.path())
    let channels = [try pair.channel(.a, "chat"), try pair.channel(.a, "chat", .bulk)]
    try pair.send(.a, [1], on: channels[0])
    try pair.send(.a, [2], on: channels[1])
    try pair.sendDatagram([3], on: channels[0])
    pair.a.notifyWhenDelivered()
    pair.run(for: .milliseconds(10))
    for event in pair.eventsB {
      switch event {
      case .messages(let inbox, _): pair.b.refuse(inbox, datagrams: false)
      case .datagrams(let inbox, _): pair.b.refuse(inbox, datagrams: true)
      default: break
      }
    }
    for _ in 0..<lost {
      while pair.next(.b) != nil {}
      pair.clock.advance(to: pair.b.deadline ?? pair.now)
      pair.b.handleTimeout(now: pair.now)
    }
    pair.run(for: .seconds(3))
    let refusals = pair.eventsA.filter { if case .refused = $0 { true } else { false } }
    let expected: [ConnectionEvent] = [
      .refused(channels[0], datagrams: false, code: .refused), .refused(channels[0], datagrams: true, code: .refused),
      .refused(channels[1], datagrams: false, code: .refused),
    ]
    #expect(expected.allSatisfy(refusals.contains))
    if lost == 0 { #expect(pair.eventsA.last == .messagesDelivered) }
    #expect(pair.poolB.used == 0)
    #expect(pair.errors.isEmpty)
  }

  @Test func `what was refused once can be taken later, and an older peer is told nothing`() throws {
    for understands in [true, false] {
      var configuration = Configuration()
      configuration.peer.refusals = understands
      let pair = Pair(Self.path(), a: configuration)
      let chat = try pair.channel(.a, "chat")
      for number in 0..<3 as Range<UInt8> {
        try pair.send(.a, [number], on: chat, ordered: true)
        pair.run(for: .seconds(1))
        if number < 2, let inbox = pair.inbox("chat") { pair.b.refuse(inbox, datagrams: false) }
        pair.run(for: .seconds(1))
      }
      let refusals = pair.eventsA.filter { $0 == .refused(chat, datagrams: false, code: .refused) }
      #expect(refusals.count == (understands ? 2 : 0))
      #expect(pair.readMessages("chat").last == [2])
    }
  }

  /// RFC 9002 §6.2.4. A peer that has no memory takes nothing new.
  @Test func `a second probe brings the oldest message, whatever there is to send`() throws {
    let pair = Pair(Self.path())
    func numbers(_ packet: [UInt8]) -> [UInt64] {
      var reader = PacketReader(packet.bytes)
      var result: [UInt64] = []
      while let frame = try? reader.next() { if case .message(let piece) = frame { result.append(piece.id) } }
      return result
    }
    let chat = try pair.channel(.a, "chat")
    var packets: [[UInt8]] = []
    for _ in 0..<5 {
      try pair.send(.a, [UInt8](repeating: 1, count: 1_000), on: chat)
      while let packet = pair.next(.a) { packets.append(packet) }
    }
    for packet in packets[1...3] { pair.deliver(packet, to: .b) }
    pair.clock.advance(by: .milliseconds(30))
    pair.b.handleTimeout(now: pair.now)
    while let ack = pair.next(.b) { pair.deliver(ack, to: .a) }
    for _ in 0..<200 { try pair.send(.a, [UInt8](repeating: 2, count: 1_000), on: chat) }
    while pair.next(.a) != nil {}
    var probes: [[UInt64]] = [[], [], []]
    while pair.a.consecutiveProbeTimeouts < 2 {
      pair.clock.advance(to: pair.a.deadline ?? pair.now)
      pair.a.handleTimeout(now: pair.now)
      while let packet = pair.next(.a) { probes[pair.a.consecutiveProbeTimeouts] += numbers(packet) }
    }
    #expect(!probes[1].contains(0), "\(probes)")
    #expect(probes[2].contains(0), "\(probes)")
  }

  /// Loss, duplication and reordering; small and large ones on all lanes, in order and not.
  @Test(arguments: 1...12 * soakFactor)
  func `every message arrives once, and ordered ones in order, whatever the path does`(seed: UInt64) throws {
    var entropy = SeededEntropy(seed: seed)
    var path = Self.path(loss: Double(entropy.upTo(250)) / 1000)
    path.duplication = Double(entropy.upTo(100)) / 1000
    path.reordering = Double(entropy.upTo(200)) / 1000
    path.reorderDelay = .milliseconds(25)
    if entropy.chance(0.5) { path.rate = 2_000_000 }
    var configuration = Configuration()
    configuration.local = ConnectionLimits(data: 60_000 + UInt64(entropy.upTo(200_000)), message: 40_000)
    configuration.peer = configuration.local
    configuration.messageBuffer = 80_000
    let pair = Pair(path, seed: seed, a: configuration)
    pair.capacity = 512 + Int(entropy.upTo(900))
    let channels = try Lane.allCases.map { try pair.channel(.a, "\($0)", $0) }
    // What was sent and what came, per lane: (number, ordered) leads each message.
    var sent: [[[UInt8]]] = [[], [], [], []]
    var received: [[[UInt8]]] = [[], [], [], []]
    var left = 150
    let done = pair.run(
      .seconds(2_000),
      work: {
        var worked = false
        while left > 0 {
          let lane = Int(entropy.upTo(3))
          let ordered = entropy.chance(0.5)
          let size = 4 + Int(entropy.chance(0.2) ? entropy.upTo(30_000) : entropy.upTo(400))
          let number = sent[lane].count
          var message = pattern(UInt64(number), 0..<size)
          message[0] = UInt8(number >> 8)
          message[1] = UInt8(number & 255)
          message[2] = ordered ? 1 : 0
          do { try pair.send(.a, message, on: channels[lane], ordered: ordered) } catch { break }
          sent[lane].append(message)
          left -= 1
          worked = true
        }
        for lane in Lane.allCases {
          let new = pair.readMessages("\(lane)")
          received[Int(lane.rawValue)] += new
          if !new.isEmpty { worked = true }
        }
        return worked
      },
      until: { left == 0 && pair.a.hasDeliveredMessages && received.map(\.count) == sent.map(\.count) })
    #expect(done, "seed \(seed): \(received.map(\.count)) of \(sent.map(\.count))")
    #expect(pair.errors == [], "seed \(seed)")
    for lane in Lane.allCases.indices {
      #expect(
        received[lane].sorted { $0.lexicographicallyPrecedes($1) }
          == sent[lane].sorted { $0.lexicographicallyPrecedes($1) })
      #expect(received[lane].filter { $0[2] == 1 } == sent[lane].filter { $0[2] == 1 }, "seed \(seed)")
    }
    pair.run(for: .seconds(5))
    #expect(pair.poolA.used == 0 && pair.poolB.used == 0, "seed \(seed)")
  }

  @Test func `a heartbeat passes a saturating transfer within a round trip`() throws {
    var path = Self.path()
    path.rate = 20_000_000
    path.queue = 40_000
    let pair = Pair(path)
    let transfer = Transfer(pair, try pair.open(.a, "bulk"), from: .a, size: 20_000_000, salt: 1)
    let control = try pair.channel(.a, "heartbeat", .control)
    pair.run(for: .seconds(2), work: transfer.work)
    var worst = Duration.zero
    for _ in 0..<20 {
      let sentAt = pair.now
      try pair.send(.a, [7], on: control)
      #expect(pair.run(.seconds(2), work: transfer.work, until: { !pair.readMessages("heartbeat").isEmpty }))
      worst = max(worst, pair.now - sentAt)
      pair.run(for: .milliseconds(37), work: transfer.work)
    }
    #expect(transfer.read > 2_000_000 && transfer.read < 20_000_000)
    // 10 ms each way and 16 ms of queue are a round trip.
    #expect(worst < .milliseconds(36), "\(worst)")
  }

  @Test func `a heartbeat passes streams that nobody reads`() throws {
    let pair = Pair(Self.path())
    for index in 0..<6 {
      let id = try pair.open(.a, "s\(index)")
      _ = try pair.write(.a, pattern(1, 0..<512 << 10), to: id)
    }
    pair.run(for: .seconds(5))
    let control = try pair.channel(.a, "heartbeat", .control)
    for _ in 0..<10 { try pair.send(.a, [7], on: control) }
    pair.run(for: .seconds(1))
    #expect(pair.readMessages("heartbeat").count == 10)
  }

  @Test func `a lane behind a busy one is not starved`() throws {
    var path = Self.path()
    path.rate = 10_000_000
    let pair = Pair(path)
    let busy = try pair.channel(.a, "busy", .control)
    let bulk = Transfer(pair, try pair.open(.a, "bulk"), from: .a, size: 100_000, salt: 1)
    let message = pattern(1, 0..<1_000)
    var (queued, control) = (0, 0)
    pair.run(for: .seconds(3)) {
      var worked = bulk.work()
      while control + 200 > queued, (try? pair.send(.a, message, on: busy)) != nil {
        queued += 1
        worked = true
      }
      let new = pair.readMessages("busy").count
      control += new
      return worked || new > 0
    }
    #expect(control > 2_400)
    #expect(bulk.isComplete)
  }

  @Test func `streams of one lane share it by their weights`() throws {
    var path = Self.path()
    path.rate = 20_000_000
    let pair = Pair(path)
    let heavy = Transfer(
      pair, try pair.a.openStream(service: "x", options: StreamOptions(weight: 4)), from: .a, size: 40_000_000, salt: 1)
    let light = Transfer(
      pair, try pair.a.openStream(service: "y", options: StreamOptions(weight: 1)), from: .a, size: 40_000_000, salt: 2)
    pair.run(for: .seconds(4), work: { [heavy, light].reduce(false) { $1.work() || $0 } })
    let ratio = Double(heavy.read) / Double(light.read)
    #expect(ratio > 3 && ratio < 5, "\(ratio)")
  }

  @Test func `the side that accepts a stream answers on the lane that the other chose`() throws {
    var path = Self.path()
    path.rate = 20_000_000
    path.queue = 12_000
    let pair = Pair(path)
    let bulk = Transfer(pair, try pair.open(.b, "bulk"), from: .b, size: 20_000_000, salt: 1)
    pair.run(for: .seconds(2), work: bulk.work)
    let id = try pair.a.openStream(service: "rpc", options: StreamOptions(lane: .control))
    _ = try pair.write(.a, [1], to: id)
    #expect(pair.run(.seconds(1), work: bulk.work, until: { pair.openedB.contains(id) }))
    let sentAt = pair.now
    _ = try pair.write(.b, [2], to: id)
    #expect(pair.run(.seconds(1), work: bulk.work, until: { pair.a.isReadable(id) }))
    #expect(pair.now - sentAt < .milliseconds(25))
  }

  // MARK: Limits

  @Test func `what is too long is refused with the limit, and nothing is sent`() throws {
    var configuration = Configuration()
    configuration.peer.message = 5_000
    let pair = Pair(Self.path(), a: configuration)
    let channel = try pair.channel(.a, "x")
    #expect(throws: MessageError.tooLarge(bytes: 5_001, limit: 5_000)) {
      try pair.send(.a, pattern(1, 0..<5_001), on: channel)
    }
    let limit = pair.a.longestDatagram(on: channel)
    #expect(limit > 1_200 && limit < 1_400)
    #expect(throws: MessageError.tooLarge(bytes: limit + 1, limit: limit)) {
      try pair.sendDatagram(pattern(1, 0..<limit + 1), on: channel)
    }
    #expect(pair.next(.a) == nil)
  }

  @Test func `names of services are checked, and counted`() throws {
    let pair = Pair()
    #expect(throws: MessageError.badServiceName(bytes: 0)) { try pair.channel(.a, "") }
    #expect(throws: MessageError.badServiceName(bytes: 256)) {
      try pair.channel(.a, String(repeating: "x", count: 256))
    }
    for index in 0..<255 { _ = try pair.channel(.a, "s\(index)") }
    #expect(try pair.channel(.a, "s7") == pair.channel(.a, "s7"))
    #expect(throws: MessageError.tooManyServices(limit: 255)) { try pair.channel(.a, "one more") }
  }

  @Test func `a full buffer says so, and says when there is room again`() throws {
    let pair = Pair(Self.path())
    let channel = try pair.channel(.a, "x")
    let message = pattern(1, 0..<100_000)
    var sent = 0
    while (try? pair.send(.a, message, on: channel)) != nil { sent += 1 }
    #expect(sent == 41)
    #expect(throws: MessageError.full) { try pair.send(.a, message, on: channel) }
    var received = 0
    pair.run(for: .seconds(5)) {
      let new = pair.readMessages("x").count
      received += new
      return new > 0
    }
    #expect(received == sent)
    #expect(pair.eventsA.contains(.messagesWritable(.message)))
  }

  @Test func `a reader that does not read stops the sender, and then all comes`() throws {
    var configuration = Configuration()
    configuration.local = ConnectionLimits(data: 100_000, message: 10_000)
    configuration.peer = configuration.local
    let pair = Pair(Self.path(), a: configuration)
    let channel = try pair.channel(.a, "x")
    for _ in 0..<50 { try pair.send(.a, pattern(1, 0..<10_000), on: channel) }
    pair.run(for: .seconds(5))
    // Of 87,500 bytes: the rest is the control lane's.
    #expect(pair.b.statistics.messagesReceived == 8)
    var received = 0
    pair.run(for: .seconds(5)) {
      let new = pair.readMessages("x").count
      received += new
      return new > 0
    }
    #expect(received == 50)
  }

  @Test func `what has come can be read after the peer has gone`() throws {
    let pair = Pair(Self.path())
    let channel = try pair.channel(.a, "x")
    try pair.send(.a, [1, 2, 3], on: channel)
    pair.run(for: .seconds(1))
    pair.b.peerClosed(code: .goingAway, reason: "")
    #expect(pair.b.hasUnread as Bool)
    #expect(pair.readMessages("x") == [[1, 2, 3]])
    #expect(!pair.b.hasUnread as Bool)
    pair.a.peerVanished()
    #expect(throws: MessageError.closed(.peerVanished)) { try pair.send(.a, [1], on: channel) }
  }

  // MARK: Windows

  @Test func `a window grows while the path carries more, and stays while it does not`() throws {
    var path = LinkConditions()
    path.delay = .milliseconds(50)
    let pair = Pair(path)
    let transfer = Transfer(pair, try pair.open(.a, "fast"), from: .a, size: 30_000_000, salt: 1)
    #expect(pair.run(.seconds(60), work: transfer.work, until: { transfer.isComplete }))
    // A mebibyte per 100 ms would take three seconds.
    #expect(pair.now - VirtualClock().now < .seconds(3))
    path.rate = 8_000_000
    let slow = Pair(path)
    let other = Transfer(slow, try slow.open(.a, "slow"), from: .a, size: 3_000_000, salt: 1)
    #expect(slow.run(.seconds(60), work: other.work, until: { other.isComplete }))
    #expect(slow.poolB.highWater < 600)
  }
}

@Suite("Datagrams") struct DatagramTests {
  @Test func `datagrams arrive as they were sent`() throws {
    let pair = Pair(MessageTests.path())
    let channel = try pair.channel(.a, "voice")
    let sent = (0..<20).map { pattern(UInt64($0), 0..<$0 * 60) }
    for datagram in sent { try pair.sendDatagram(datagram, on: channel) }
    pair.run(for: .seconds(1))
    #expect(pair.readDatagrams("voice") == sent)
    #expect(pair.poolA.used == 0 && pair.poolB.used == 0)
  }

  @Test func `a datagram that is lost is not sent again`() throws {
    let pair = Pair(MessageTests.path(loss: 0.3), seed: 5)
    let channel = try pair.channel(.a, "voice")
    for number in 0..<200 {
      try pair.sendDatagram([UInt8(number)], on: channel)
      pair.run(for: .milliseconds(20))
    }
    pair.run(for: .seconds(5))
    let received = pair.readDatagrams("voice").map { $0[0] }
    #expect(received.count > 110 && received.count < 170)
    #expect(Set(received).count == received.count)
    #expect(pair.a.statistics.datagramsSent == 200)
  }

  @Test func `when too many wait, the oldest go`() throws {
    var path = MessageTests.path()
    path.rate = 100_000
    let pair = Pair(path)
    let channel = try pair.channel(.a, "voice")
    for number in 0..<1_000 { try pair.sendDatagram([UInt8(number >> 8), UInt8(number & 255)], on: channel) }
    pair.run(for: .seconds(30))
    let received = pair.readDatagrams("voice").map { Int($0[0]) << 8 | Int($0[1]) }
    #expect(received == Array(1_000 - 256..<1_000))
    #expect(pair.a.statistics.datagramsDropped == 744)
  }

  @Test func `one that no longer fits the path is dropped, and the rest goes on`() throws {
    let pair = Pair(MessageTests.path())
    let channel = try pair.channel(.a, "voice")
    try pair.sendDatagram(pattern(1, 0..<1_200), on: channel)
    try pair.sendDatagram(pattern(1, 0..<100), on: channel)
    pair.capacity = 1_000
    pair.a.packetCapacity = 1_000
    pair.run(for: .seconds(1))
    #expect(pair.readDatagrams("voice").map(\.count) == [100])
    #expect(pair.a.statistics.datagramsDropped == 1)
  }

  @Test func `datagrams share packets with messages and streams`() throws {
    let pair = Pair(MessageTests.path())
    let channel = try pair.channel(.a, "mixed")
    let transfer = Transfer(pair, try pair.open(.a, "bulk"), from: .a, size: 300_000, salt: 1)
    for number in 0..<50 {
      try pair.sendDatagram([UInt8(number)], on: channel)
      try pair.send(.a, pattern(9, 0..<number * 30), on: channel, ordered: true)
    }
    #expect(pair.run(.seconds(20), work: transfer.work, until: { transfer.isComplete }))
    #expect(pair.readDatagrams("mixed").count == 50)
    #expect(pair.readMessages("mixed").map(\.count) == (0..<50).map { $0 * 30 })
  }

  @Test func `a reader that does not read costs a capped amount`() throws {
    let pair = Pair(MessageTests.path())
    let channel = try pair.channel(.a, "voice")
    for _ in 0..<50 {
      for _ in 0..<100 { try pair.sendDatagram(pattern(1, 0..<1_000), on: channel) }
      pair.run(for: .milliseconds(200))
    }
    #expect(pair.b.statistics.datagramsReceived == 1_024)
    #expect(pair.b.statistics.datagramsDropped == 5_000 - 1_024)
    #expect(pair.poolB.used <= 1_024 * 1_000 / 4_096 + 1)
  }
}

@Suite("One-way streams") struct OneWayStreamTests {
  @Test func `only the side that opened it sends, and it ends with what was sent`() throws {
    let pair = Pair(MessageTests.path())
    let id = try pair.a.openStream(service: "log", options: StreamOptions(isOneWay: true))
    #expect(id.isOneWay)
    let transfer = Transfer(pair, id, from: .a, size: 100_000, salt: 1)
    #expect(throws: StreamError.notReadable) { try pair.read(.a, id) }
    pair.run(for: .milliseconds(15), work: { transfer.written == 0 && transfer.work() })
    #expect(throws: StreamError.notWritable) { try pair.write(.b, [1], to: id) }
    #expect(throws: StreamError.notWritable) { try pair.finish(.b, id) }
    #expect(pair.run(work: transfer.work, until: { transfer.isComplete }))
    pair.run(for: .seconds(1))
    #expect(pair.a.streamCount == 0 && pair.b.streamCount == 0)
  }

  @Test func `they have a limit of their own, which grows as they end`() throws {
    var configuration = Configuration()
    configuration.local.oneWayStreams = 4
    configuration.peer.oneWayStreams = 4
    let pair = Pair(MessageTests.path(), a: configuration)
    let options = StreamOptions(isOneWay: true)
    var ids = try (0..<4).map { _ in try pair.a.openStream(service: "x", options: options) }
    #expect(throws: StreamError.tooManyStreams(limit: 4)) { try pair.a.openStream(service: "x", options: options) }
    _ = try pair.open(.a, "both ways")
    for id in ids { try pair.finish(.a, id) }
    pair.run(for: .seconds(1))
    for id in ids { #expect(try pair.read(.b, id).1 == .finished) }
    pair.run(for: .seconds(1))
    #expect(pair.eventsA.contains(.streamsAvailable))
    ids = try (0..<4).map { _ in try pair.a.openStream(service: "x", options: options) }
    #expect(pair.a.streamCount == 5)
  }
}
