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

  private struct Key: Hashable {
    let id: StreamID
    let fromA: Bool
  }

  init() {
    var configuration = Configuration()
    configuration.local = ConnectionLimits(data: 1 << 18, streamData: 1 << 17, streams: 8)
    configuration.peer = configuration.local
    configuration.sendBuffer = 1 << 16
    configuration.packetSize = Self.capacity
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
      if held.count < 32, let packet = isA ? Self.next(&a, now) : Self.next(&b, now) { held.append((packet, isA)) }
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
    }
    while a.nextEvent() != nil {}
    while b.nextEvent() != nil {}
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
      if let packet = Self.next(&a, now) {
        isQuiet = false
        arrive(packet, atB: true)
      }
      if let packet = Self.next(&b, now) {
        isQuiet = false
        arrive(packet, atB: false)
      }
      if isQuiet { return }
    }
  }

  private static func next(_ connection: inout Connection, _ now: Instant) -> [UInt8]? {
    var isSent = false
    let packet = [UInt8](capacity: capacity) { isSent = connection.nextPacket(into: &$0, now: now) }
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
