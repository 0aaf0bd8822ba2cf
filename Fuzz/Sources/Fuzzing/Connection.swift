import MeshPacket
import MeshPrimitives
import MeshReliability

/// What a connection input consists of.
enum ConnectionStep: UInt8, CaseIterable {
  /// A side opens a stream.
  case open
  /// A side writes a pattern to one of its streams.
  case write
  /// A side reads all that it can.
  case read
  /// A side finishes, resets or stops a stream.
  case end
  /// A packet leaves and waits.
  case hold
  /// A packet that waits arrives: it stays, so it may arrive again.
  case deliver
  /// All packets that are due go to the other side.
  case settle
  /// Time passes, in milliseconds.
  case wait
  /// A packet of frames with chosen values arrives: the peer may say what it likes.
  case hostile
  /// The next bytes arrive as a packet.
  case raw
  /// A side opens a stream that only it writes to.
  case openOneWay
  /// A side sends a message, or a datagram.
  case message
  case datagram
  /// A side reads the messages and datagrams that have come, or drops them.
  case receive
  case discard
  /// A side's packets take another path, or have another size from now on.
  case path
  case packetSize
}

extension Fuzzing {
  /// Two connections, and between them a network and at times a peer that breaks the rules.
  public static func connection(_ input: [UInt8]) {
    var choices = Choices(input)
    let network = ConnectionNetwork()
    var steps = 0
    while !choices.isAtEnd, steps < 400 {
      steps += 1
      network.step(&choices)
    }
  }
}

final class ConnectionNetwork {
  private static let capacity = 1200
  private static let overhead = 60
  private static let services = ["fuzz", "other", "x", "y"]
  private static let poolSize = 1 << 20

  private var a: Connection
  private var b: Connection
  private let poolA = ChunkPool(capacity: poolSize)
  private let poolB = ChunkPool(capacity: poolSize)
  private var now = Instant(nanoseconds: 0)
  private var held: [(bytes: [UInt8], isForB: Bool)] = []
  /// Bytes written to and read from each stream, by the side that wrote: they must agree while nobody cheats.
  private var written: [Key: Int] = [:]
  private var readCount: [Key: Int] = [:]
  private var hasCheated = false
  private var streams: [StreamID] = []
  /// Messages and datagrams that were sent and not read, by the number at their beginning.
  private var sent: [UInt32: Sent] = [:]
  private var nextSerial: UInt32 = 1
  /// The ordered message that was read last, by where it came by.
  private var lastOrdered: [Way: UInt32] = [:]
  private var inboxes: [Bool: [(id: InboxID, service: String)]] = [true: [], false: []]
  /// Bytes of the packets of each side.
  private var capacityA = ConnectionNetwork.capacity
  private var capacityB = ConnectionNetwork.capacity

  private struct Key: Hashable {
    let id: StreamID
    let fromA: Bool
  }

  private struct Way: Hashable {
    let service: String
    let fromA: Bool
    let isDatagram: Bool
    let isOrdered: Bool
  }

  private struct Sent {
    let way: Way
    let bytes: [UInt8]
  }

  init() {
    var configuration = Configuration()
    configuration.local = ConnectionLimits(data: 1 << 18, streamData: 1 << 17, streams: 8)
    configuration.peer = configuration.local
    configuration.sendBuffer = 1 << 16
    configuration.packetSize = Self.capacity
    configuration.messageBuffer = 1 << 16
    a = Connection(configuration: configuration, opensOddStreams: true, pool: poolA, now: now)
    b = Connection(configuration: configuration, opensOddStreams: false, pool: poolB, now: now)
  }

  func step(_ choices: inout Choices) {
    let step = ConnectionStep.allCases[Int(choices.byte()) % ConnectionStep.allCases.count]
    let isA = choices.byte() & 1 == 0
    switch step {
    case .open:
      let id = isA ? try? a.openStream(service: "fuzz") : try? b.openStream(service: "")
      if let id, streams.count < 64 { streams.append(id) }
    case .write:
      guard let id = stream(&choices) else { return }
      let key = Key(id: id, fromA: isA)
      let start = written[key, default: 0]
      let bytes = (start..<start + choices.word() % 8192).map { Self.pattern($0) }
      let count = isA ? try? a.write(bytes.bytes, to: id) : try? b.write(bytes.bytes, to: id)
      if let count { written[key] = start + count }
    case .read: for id in streams { read(id, isA) }
    case .end: end(&choices, isA)
    case .hold:
      if held.count < 32, let packet = next(isA) { held.append((packet, isA)) }
    case .deliver:
      guard !held.isEmpty else { return }
      let packet = held[Int(choices.byte()) % held.count]
      arrive(packet.bytes, atB: packet.isForB)
    case .settle: settle()
    case .wait:
      now = now.advanced(nanoseconds: Int64(choices.word()) * 1_000_000)
      if let deadline = a.deadline, deadline <= now { a.handleTimeout(now: now) }
      if let deadline = b.deadline, deadline <= now { b.handleTimeout(now: now) }
    case .hostile:
      hasCheated = true
      arrive(Self.packet(&choices), atB: isA)
    case .raw:
      hasCheated = true
      arrive(choices.take(choices.word() % Self.capacity), atB: isA)
    case .openOneWay:
      let options = StreamOptions(lane: Lane.allCases[Int(choices.byte()) % Lane.allCases.count], isOneWay: true)
      let id =
        isA ? try? a.openStream(service: "fuzz", options: options) : try? b.openStream(service: "", options: options)
      if let id, streams.count < 64 { streams.append(id) }
    case .message, .datagram: send(&choices, isA, isDatagram: step == .datagram)
    case .receive: receive(isA)
    case .discard:
      let known = inboxes[isA] ?? []
      guard !known.isEmpty else { return }
      let id = known[Int(choices.byte()) % known.count].id
      let datagrams = choices.byte() & 1 == 1
      if isA { a.refuse(id, datagrams: datagrams) } else { b.refuse(id, datagrams: datagrams) }
      let left =
        switch (isA, datagrams) {
        case (true, false): a.nextMessageSize(id)
        case (true, true): a.nextDatagramSize(id)
        case (false, false): b.nextMessageSize(id)
        case (false, true): b.nextDatagramSize(id)
        }
      require(left == nil, "what was dropped must be gone")
    case .path:
      let roundTrip = Duration.milliseconds(choices.word())
      let oldIsDead = choices.byte() & 1 == 0
      if isA {
        a.pathChanged(oldIsDead: oldIsDead, roundTrip: roundTrip, now: now)
      } else {
        b.pathChanged(oldIsDead: oldIsDead, roundTrip: roundTrip, now: now)
      }
    case .packetSize:
      let size = 1024 + choices.word() % 9000
      if isA {
        a.packetSizeChanged(to: size, overhead: Self.overhead)
        capacityA = size - Self.overhead
      } else {
        b.packetSizeChanged(to: size, overhead: Self.overhead)
        capacityB = size - Self.overhead
      }
    }
    while let event = a.nextEvent() { note(event, isA: true) }
    while let event = b.nextEvent() { note(event, isA: false) }
    require(poolA.used <= poolA.capacity && poolB.used <= poolB.capacity, "a pool must keep its cap")
  }

  private func stream(_ choices: inout Choices) -> StreamID? {
    let index = Int(choices.byte())
    return streams.isEmpty ? nil : streams[index % streams.count]
  }

  private static func pattern(_ position: Int) -> UInt8 { UInt8(truncatingIfNeeded: position &* 2_654_435_761 >> 8) }

  private func read(_ id: StreamID, _ isA: Bool) {
    let key = Key(id: id, fromA: !isA)
    while true {
      var result = ReadResult.blocked
      let bytes = try? [UInt8](capacity: 4096) { (output: inout OutputRawSpan) throws(StreamError) in
        result = isA ? try a.read(id, into: &output) : try b.read(id, into: &output)
      }
      guard let bytes, case .bytes(let count) = result else { return }
      require(count == bytes.count, "a read must tell how much it gave")
      let start = readCount[key, default: 0]
      readCount[key] = start + count
      guard !hasCheated else { continue }
      require(start + count <= written[key, default: 0], "nothing may be read that was not written")
      for (index, byte) in bytes.enumerated() {
        require(byte == Self.pattern(start + index), "what is read must be what was written")
      }
    }
  }

  private func note(_ event: ConnectionEvent, isA: Bool) {
    switch event {
    case .messages(let id, let service), .datagrams(let id, let service):
      if inboxes[isA]?.contains(where: { $0.id == id }) == false { inboxes[isA]?.append((id, service)) }
    default: break
    }
  }

  private func send(_ choices: inout Choices, _ isA: Bool, isDatagram: Bool) {
    let kind = choices.byte()
    let size = 4 + choices.word() % (isDatagram ? 1 << 14 : 1 << 15)
    let service = Self.services[Int(kind) % Self.services.count]
    // A service has the numbers of one lane only.
    let lane = Lane.allCases[Int(kind) % Lane.allCases.count]
    let isOrdered = !isDatagram && kind & 128 != 0
    let serial = nextSerial
    nextSerial += 1
    var bytes = (0..<size).map { Self.pattern($0 &+ Int(serial)) }
    for index in 0..<4 { bytes[index] = UInt8(truncatingIfNeeded: serial >> (8 * index)) }
    do throws(MessageError) {
      let channel =
        isA ? try a.messageChannel(for: service, lane: lane) : try b.messageChannel(for: service, lane: lane)
      if isDatagram {
        if isA { try a.sendDatagram(bytes.bytes, on: channel) } else { try b.sendDatagram(bytes.bytes, on: channel) }
      } else if isA {
        try a.send(bytes.bytes, on: channel, ordered: isOrdered)
      } else {
        try b.send(bytes.bytes, on: channel, ordered: isOrdered)
      }
      sent[serial] = Sent(
        way: Way(service: service, fromA: isA, isDatagram: isDatagram, isOrdered: isOrdered), bytes: bytes)
    } catch {
      if case .tooLarge(let bytes, let limit) = error { require(bytes > limit, "what is too large exceeds the limit") }
    }
  }

  private func receive(_ isA: Bool) {
    for inbox in inboxes[isA] ?? [] {
      while let size = isA ? a.nextMessageSize(inbox.id) : b.nextMessageSize(inbox.id) {
        let bytes = [UInt8](capacity: size) {
          _ = isA ? a.readMessage(inbox.id, into: &$0) : b.readMessage(inbox.id, into: &$0)
        }
        check(bytes, size, inbox.service, isA, isDatagram: false)
      }
      while let size = isA ? a.nextDatagramSize(inbox.id) : b.nextDatagramSize(inbox.id) {
        let bytes = [UInt8](capacity: size) {
          _ = isA ? a.readDatagram(inbox.id, into: &$0) : b.readDatagram(inbox.id, into: &$0)
        }
        check(bytes, size, inbox.service, isA, isDatagram: true)
      }
      // An empty inbox says so, and tells of what comes next.
      _ = [UInt8](capacity: 1) {
        require((isA ? a.readMessage(inbox.id, into: &$0) : b.readMessage(inbox.id, into: &$0)) == nil, "it is empty")
        require((isA ? a.readDatagram(inbox.id, into: &$0) : b.readDatagram(inbox.id, into: &$0)) == nil, "it is empty")
      }
    }
  }

  /// What was read is what was sent, and was not read before.
  private func check(_ bytes: [UInt8], _ size: Int, _ service: String, _ isA: Bool, isDatagram: Bool) {
    require(bytes.count == size, "all of it must be given")
    guard !hasCheated else { return }
    require(bytes.count >= 4, "nothing shorter was sent")
    let serial = bytes[..<4].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    guard let original = sent.removeValue(forKey: serial) else { fatalError("a message must come once") }
    let way = original.way
    require(
      way.service == service && way.fromA != isA && way.isDatagram == isDatagram, "it must come where it was sent to")
    require(original.bytes == bytes, "it must be what was sent")
    guard way.isOrdered else { return }
    require(lastOrdered[way, default: 0] < serial, "ordered messages must come in order")
    lastOrdered[way] = serial
  }

  private func end(_ choices: inout Choices, _ isA: Bool) {
    guard let id = stream(&choices) else { return }
    let code = ErrorCode(rawValue: 256)
    switch choices.byte() % 4 {
    case 0, 1: if isA { try? a.finish(id) } else { try? b.finish(id) }
    case 2: if isA { try? a.reset(id, code: code) } else { try? b.reset(id, code: code) }
    default: if isA { try? a.stop(id, code: code) } else { try? b.stop(id, code: code) }
    }
  }

  private func settle() {
    for _ in 0..<256 {
      var isQuiet = true
      if let packet = next(true) {
        isQuiet = false
        arrive(packet, atB: true)
      }
      if let packet = next(false) {
        isQuiet = false
        arrive(packet, atB: false)
      }
      if isQuiet { return }
    }
  }

  private func next(_ isA: Bool) -> [UInt8]? {
    var isSent = false
    let packet = [UInt8](capacity: isA ? capacityA : capacityB) {
      isSent = isA ? a.nextPacket(into: &$0, now: now) : b.nextPacket(into: &$0, now: now)
    }
    if isSent {
      require((try? PacketReader.validate(packet.bytes)) != nil, "a packet that is sent must be valid")
    }
    return isSent ? packet : nil
  }

  private func arrive(_ packet: [UInt8], atB: Bool) {
    do throws(ConnectionError) {
      _ = atB ? try b.handle(packet.bytes, ecn: .ect0, now: now) : try a.handle(packet.bytes, ecn: .ce, now: now)
    } catch {
      require(hasCheated, "who keeps the rules must not be refused: \(error)")
      if case .packet(.notCanonical) = error { return }
      require((atB ? b.closeReason : a.closeReason) != nil, "who breaks the rules ends the connection")
    }
  }

  /// A well-formed packet of frames whose numbers are chosen.
  private static func packet(_ choices: inout Choices) -> [UInt8] {
    func number(_ choices: inout Choices) -> UInt64 {
      let value = UInt64(choices.word())
      switch choices.byte() & 7 {
      case 0: return value
      case 1: return value << 16
      case 2: return 1 << 62 - 1 - value
      case 3: return .max - value
      default: return value & 0xFF
      }
    }
    return [UInt8](capacity: 2 * capacity) { output in
      PacketWriter.writeNumber(max(1, number(&choices)), to: &output)
      let kinds = choices.byte()
      if kinds & 1 != 0 {
        let top = max(1, number(&choices))
        var ranges = [top - min(top - 1, number(&choices) & 0xFF)...top]
        if let bottom = ranges.first?.lowerBound, bottom > 8 { ranges.append(bottom - 7...bottom - 5) }
        PacketWriter.writeAck(
          ranges, delayMicroseconds: number(&choices), ect0: number(&choices), ce: number(&choices), to: &output)
      }
      if kinds & 2 != 0 {
        let data = choices.take(Int(choices.byte()))
        PacketWriter.writeStream(
          id: number(&choices), offset: min(number(&choices), 1 << 62 - 1 - UInt64(data.count)), fin: kinds & 128 != 0,
          dataLength: data.count, to: &output)
        output.append(data.bytes)
      }
      if kinds & 4 != 0 { PacketWriter.writeMaxData(number(&choices), to: &output) }
      if kinds & 8 != 0 {
        PacketWriter.writeStreamMaxData(StreamMaxData(id: number(&choices), max: number(&choices)), to: &output)
      }
      if kinds & 16 != 0 {
        PacketWriter.writeResetStream(
          ResetStream(id: number(&choices), code: .cancelled, finalSize: number(&choices)), to: &output)
      }
      if kinds & 32 != 0 {
        PacketWriter.writeStopSending(StopSending(id: number(&choices), code: .cancelled), to: &output)
      }
      if kinds & 64 != 0 { PacketWriter.writeMaxStreams(MaxStreams(bidirectional: number(&choices)), to: &output) }
    }
  }
}
