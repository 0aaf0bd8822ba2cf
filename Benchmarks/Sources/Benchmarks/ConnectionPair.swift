import MeshPrimitives
import MeshReliability

/// Two connections whose packets go from one to the other in bursts, without loss, under a clock that is moved by hand.
final class ConnectionPair {
  private static let burst = 64
  private static let packetSize = 1400
  private static let delay: Int64 = 50_000

  var left: Connection
  var right: Connection
  private var now = Instant(nanoseconds: 0)
  private let packets = memory(burst * packetSize)
  private let lengths = memory(burst * MemoryLayout<Int>.stride).bindMemory(to: Int.self)
  private let source = [UInt8](repeating: 0xA5, count: 65_536)
  private let target = memory(65_536)
  private let leftStream: StreamID
  private var rightStream: StreamID?
  private let isBothWays: Bool
  /// What the left side sends in place of the stream's bytes, and where the right side reads it.
  enum Letters { case none, messages, datagrams }
  private let letters: Letters
  private let letter: [UInt8]
  private var channel: MessageChannel?
  private var inbox: InboxID?
  private var lettersRead = 0

  /// - Parameters:
  ///   - isBothWays: whether the right side sends as much.
  ///   - congestion: of both sides.
  ///   - lane: of the streams.
  ///   - letters: of 200 bytes, instead of the left side's stream.
  init(
    bothWays isBothWays: Bool = false, congestion: CongestionAlgorithm = .cubic, lane: Lane = .bulk,
    letters: Letters = .none
  ) {
    self.isBothWays = isBothWays
    self.letters = letters
    letter = [UInt8](repeating: 0xA5, count: 200)
    var configuration = Configuration()
    configuration.congestion = congestion
    left = Connection(
      configuration: configuration, opensOddStreams: true, pool: ChunkPool(), now: Instant(nanoseconds: 0))
    right = Connection(
      configuration: configuration, opensOddStreams: false, pool: ChunkPool(), now: Instant(nanoseconds: 0))
    leftStream = try! left.openStream(service: "bench", options: StreamOptions(lane: lane))
    guard letters == .none else {
      channel = try! left.messageChannel(for: "bench")
      return
    }
    while rightStream == nil { _ = step() }
  }

  /// Runs until `count` letters have been read.
  func deliver(_ count: Int) {
    let end = lettersRead + count
    while lettersRead < end { _ = step() }
  }

  /// As many as a burst of packets carries.
  private func write() {
    guard let channel else { return }
    let letter = letter
    for _ in 0..<64 {
      do {
        if letters == .messages {
          try left.send(letter.bytes, on: channel)
        } else {
          try left.sendDatagram(letter.bytes, on: channel)
        }
      } catch { return }
    }
  }

  private func readLetters() {
    guard let inbox else { return }
    while true {
      var output = OutputRawSpan(buffer: target, initializedCount: 0)
      let size =
        letters == .messages ? right.readMessage(inbox, into: &output) : right.readDatagram(inbox, into: &output)
      guard size != nil else { return }
      lettersRead += 1
    }
  }

  /// Runs until `count` full packets have moved.
  func move(_ count: Int) {
    var moved = 0
    var idle = 0
    while moved < count {
      let now = step()
      moved += now
      idle = now == 0 ? idle + 1 : 0
      precondition(idle < 10_000, "packets must move")
    }
  }

  /// One burst each way. Returns how many full packets moved.
  private func step() -> Int {
    if letters == .none { Self.fill(&left, leftStream, source) } else { write() }
    if isBothWays, let rightStream { Self.fill(&right, rightStream, source) }
    var moved = carry(fromLeft: true)
    now = now.advanced(nanoseconds: Self.delay)
    moved += carry(fromLeft: false)
    now = now.advanced(nanoseconds: Self.delay)
    while let event = right.nextEvent() {
      switch event {
      case .streamOpened(let id, _): if letters == .none { rightStream = id }
      case .messages(let id, _), .datagrams(let id, _): inbox = id
      default: break
      }
    }
    if letters != .none { readLetters() }
    while left.nextEvent() != nil {}
    if let rightStream {
      Self.drain(&right, rightStream, target)
      if isBothWays { Self.drain(&left, leftStream, target) }
    }
    if let deadline = left.deadline, deadline <= now { left.handleTimeout(now: now) }
    if let deadline = right.deadline, deadline <= now { right.handleTimeout(now: now) }
    return moved
  }

  private static func fill(_ connection: inout Connection, _ stream: StreamID, _ source: [UInt8]) {
    do {
      while try connection.write(source.bytes, to: stream) == source.count {}
    } catch { fatalError("the stream must take bytes") }
  }

  private static func drain(_ connection: inout Connection, _ stream: StreamID, _ target: UnsafeMutableRawBufferPointer)
  {
    while true {
      var output = OutputRawSpan(buffer: target, initializedCount: 0)
      guard case .bytes? = try? connection.read(stream, into: &output) else { return }
    }
  }

  private func carry(fromLeft: Bool) -> Int {
    let count =
      fromLeft ? Self.collect(&left, packets, lengths, now) : Self.collect(&right, packets, lengths, now)
    return fromLeft
      ? Self.deliver(count, to: &right, packets, lengths, now) : Self.deliver(count, to: &left, packets, lengths, now)
  }

  private static func collect(
    _ connection: inout Connection, _ packets: UnsafeMutableRawBufferPointer,
    _ lengths: UnsafeMutableBufferPointer<Int>,
    _ now: Instant
  ) -> Int {
    for index in 0..<burst {
      let place = UnsafeMutableRawBufferPointer(rebasing: packets[index * packetSize..<(index + 1) * packetSize])
      var output = OutputRawSpan(buffer: place, initializedCount: 0)
      guard connection.nextPacket(into: &output, now: now) else { return index }
      lengths[index] = output.byteCount
    }
    return burst
  }

  private static func deliver(
    _ count: Int, to connection: inout Connection, _ packets: UnsafeMutableRawBufferPointer,
    _ lengths: UnsafeMutableBufferPointer<Int>, _ now: Instant
  ) -> Int {
    var full = 0
    for index in 0..<count {
      let start = index * packetSize
      let message = RawSpan(
        _unsafeBytes: UnsafeRawBufferPointer(rebasing: packets[start..<start + lengths[index]]))
      guard case .accepted? = try? connection.handle(message, ecn: .notECT, now: now) else {
        fatalError("the packet must be accepted")
      }
      if lengths[index] > 1000 { full += 1 }
    }
    return full
  }
}
