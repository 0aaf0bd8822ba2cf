import Glibc
import MeshPacket
import MeshPrimitives
import MeshReliability
import MeshSimulation

/// Two connections over two simulated links, moved by hand. `a` opens odd streams, `b` even ones.
final class Pair {
  enum Side: CaseIterable { case a, b }

  var a: Connection
  var b: Connection
  let poolA: ChunkPool
  let poolB: ChunkPool
  var clock = VirtualClock()
  var toA: Link
  var toB: Link
  var capacity = 1_400
  /// Sides whose marked packets get lost.
  var dropsECT: Set<Side> = []
  var eventsA: [ConnectionEvent] = []
  var eventsB: [ConnectionEvent] = []
  /// Errors that ended a connection.
  var errors: [ConnectionError] = []
  /// Streams with something to read, and opened by the peer, by side.
  var openedA: [StreamID] = []
  var openedB: [StreamID] = []
  /// How often each stream was said to have room again.
  var writableA: [StreamID: Int] = [:]
  var writableB: [StreamID: Int] = [:]
  var packets = 0
  /// Called with each message that leaves.
  var onPacket: ((Side, [UInt8]) -> Void)?
  private var scratch: [UInt8]

  init(
    _ conditions: LinkConditions = LinkConditions(), seed: UInt64 = 1,
    a configurationA: Configuration = Configuration(),
    b configurationB: Configuration? = nil, pool: Int = 64 << 20
  ) {
    var seeds = SeededEntropy(seed: seed)
    poolA = ChunkPool(capacity: pool)
    poolB = ChunkPool(capacity: pool)
    toA = Link(conditions, seed: seeds.next())
    toB = Link(conditions, seed: seeds.next())
    let now = clock.now
    a = Connection(configuration: configurationA, opensOddStreams: true, pool: poolA, now: now)
    b = Connection(configuration: configurationB ?? configurationA, opensOddStreams: false, pool: poolB, now: now)
    scratch = []
  }

  var now: Instant { clock.now }

  /// Sends what may be sent and takes what has arrived, at this moment. Returns whether anything moved.
  @discardableResult
  func exchange() -> Bool {
    var moved = false
    while let message = next(.a) {
      if a.outgoingECN == .notECT || !dropsECT.contains(.a) { toB.send(message.bytes, ecn: a.outgoingECN, now: now) }
      moved = true
    }
    while let message = next(.b) {
      if b.outgoingECN == .notECT || !dropsECT.contains(.b) { toA.send(message.bytes, ecn: b.outgoingECN, now: now) }
      moved = true
    }
    while let arrival = toB.nextArrival(now: now) {
      deliver(arrival.bytes, to: .b, ecn: arrival.ecn)
      moved = true
    }
    while let arrival = toA.nextArrival(now: now) {
      deliver(arrival.bytes, to: .a, ecn: arrival.ecn)
      moved = true
    }
    if poolA.takeRelief() { _ = a.offerRoom() }
    if poolB.takeRelief() { _ = b.offerRoom() }
    while let event = a.nextEvent() {
      eventsA.append(event)
      if case .streamOpened(let id, _) = event { openedA.append(id) }
      if case .writable(let id) = event { writableA[id, default: 0] += 1 }
    }
    while let event = b.nextEvent() {
      eventsB.append(event)
      if case .streamOpened(let id, _) = event { openedB.append(id) }
      if case .writable(let id) = event { writableB[id, default: 0] += 1 }
    }
    return moved
  }

  func next(_ side: Side) -> [UInt8]? {
    var sent = false
    let message = [UInt8](capacity: capacity) { output in
      sent = side == .a ? a.nextPacket(into: &output, now: now) : b.nextPacket(into: &output, now: now)
    }
    guard sent else { return nil }
    packets += 1
    onPacket?(side, message)
    return message
  }

  @discardableResult
  func deliver(_ message: [UInt8], to side: Side, ecn: ECN = .notECT) -> PacketOutcome? {
    do {
      return side == .a
        ? try a.handle(message.bytes, ecn: ecn, now: now) : try b.handle(message.bytes, ecn: ecn, now: now)
    } catch {
      errors.append(error)
      return nil
    }
  }

  /// Moves to whatever comes next. Returns `false` when nothing will.
  func step() -> Bool {
    var next = earliest(toA.deadline, toB.deadline)
    next = earliest(next, earliest(a.deadline, b.deadline))
    guard let next else { return false }
    clock.advance(to: next)
    a.handleTimeout(now: now)
    b.handleTimeout(now: now)
    return true
  }

  /// Runs until `done`, for at most `limit` of virtual time. `work` is called between the exchanges and returns whether it
  /// did anything. Returns whether `done` came true.
  func run(_ limit: Duration = .seconds(120), work: () -> Bool = { false }, until done: () -> Bool) -> Bool {
    let end = now + limit
    while now <= end {
      repeat {} while exchange() || work()
      if done() { return true }
      guard step() else { return done() }
    }
    return done()
  }

  /// Runs for `duration` of virtual time.
  func run(for duration: Duration, work: () -> Bool = { false }) {
    let end = now + duration
    while true {
      repeat {} while exchange() || work()
      var next = earliest(toA.deadline, toB.deadline)
      next = earliest(next, earliest(a.deadline, b.deadline))
      guard let next, next <= end else { break }
      _ = step()
    }
    clock.advance(to: end)
  }

  // MARK: Streams

  func open(_ side: Side, _ service: String) throws -> StreamID {
    side == .a ? try a.openStream(service: service) : try b.openStream(service: service)
  }

  func write(_ side: Side, _ bytes: [UInt8], to id: StreamID) throws -> Int {
    side == .a ? try a.write(bytes.bytes, to: id) : try b.write(bytes.bytes, to: id)
  }

  func finish(_ side: Side, _ id: StreamID) throws {
    if side == .a { try a.finish(id) } else { try b.finish(id) }
  }

  func read(_ side: Side, _ id: StreamID, max: Int = 65_536) throws -> ([UInt8], ReadResult) {
    var result = ReadResult.blocked
    let bytes = try [UInt8](capacity: max) { (output: inout OutputRawSpan) throws(StreamError) in
      result = side == .a ? try a.read(id, into: &output) : try b.read(id, into: &output)
    }
    return (bytes, result)
  }
}

/// Random bytes that patterns are cut from: a prime number of them.
private let noise: [UInt8] = {
  var entropy = SeededEntropy(seed: 99)
  return (0..<65_521).map { _ in UInt8(truncatingIfNeeded: entropy.next()) }
}()

/// Bytes that tell where they belong.
func pattern(_ salt: UInt64, _ range: Range<Int>) -> [UInt8] {
  var bytes: [UInt8] = []
  bytes.reserveCapacity(range.count)
  var position = (range.lowerBound + Int(salt % 1000) * 7919) % noise.count
  while bytes.count < range.count {
    let count = min(range.count - bytes.count, noise.count - position)
    bytes.append(contentsOf: noise[position..<position + count])
    position = 0
  }
  return bytes
}

/// Whether two arrays are equal, as fast in a debug build as in any other.
func isSame(_ left: [UInt8], _ right: [UInt8]) -> Bool {
  left.count == right.count && (left.isEmpty || memcmp(left, right, left.count) == 0)
}

/// One direction of a stream under test: writes a pattern, and checks it at the other end.
final class Transfer {
  let pair: Pair
  let id: StreamID
  let from: Pair.Side
  let salt: UInt64
  let size: Int
  var written = 0
  var read = 0
  var isFinished = false
  var isEnded = false
  var isWrong = false
  var chunk = 16_384

  init(_ pair: Pair, _ id: StreamID, from: Pair.Side, size: Int, salt: UInt64) {
    self.pair = pair
    self.id = id
    self.from = from
    self.size = size
    self.salt = salt
  }

  /// So many events must have told of room before the next write.
  private var awaited = 0
  private var writableEvents: Int { (from == .a ? pair.writableA : pair.writableB)[id] ?? 0 }
  private var mayWrite: Bool { writableEvents >= awaited }

  var to: Pair.Side { from == .a ? .b : .a }

  /// Writes and reads what is possible. Returns whether anything was.
  func work() -> Bool {
    var worked = false
    while written < size, mayWrite {
      let bytes = pattern(salt, written..<min(size, written + chunk))
      let events = writableEvents
      guard let count = try? pair.write(from, bytes, to: id) else { break }
      written += count
      // After less than all, only an event says that there is room again.
      if count < bytes.count { awaited = events + 1 }
      if count > 0 { worked = true }
    }
    if written == size, !isFinished {
      isFinished = true
      try? pair.finish(from, id)
      worked = true
    }
    let known = to == .a ? pair.openedA : pair.openedB
    let local = id.isOdd == (to == .a)
    guard !isEnded, local || known.contains(id) else { return worked }
    reading: while let (bytes, result) = try? pair.read(to, id) {
      switch result {
      case .bytes(let count):
        if !isSame(bytes, pattern(salt, read..<read + count)) { isWrong = true }
        read += count
        worked = true
      case .finished:
        isEnded = true
        worked = true
        break reading
      case .blocked: break reading
      case .reset:
        isEnded = true
        isWrong = true
        break reading
      }
    }
    return worked
  }

  var isComplete: Bool { isEnded && read == size && !isWrong }
}
