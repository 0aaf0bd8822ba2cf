public import MeshPrimitives

/// What leaves for one peer besides the packets of its connection: IP packets and what is relayed for others. Neither is
/// acknowledged or sent again here, and what they carry has a congestion control of its own.
///
/// All flows and the connection share the way out fairly, by bytes (FQ-CoDel, RFC 8290): a flow that has been quiet goes
/// first, so that a ping passes a transfer; each flow's wait is held to 5 ms by marks or drops (``CoDel``). The packets of
/// the connection do not lie here: they are made when its turn comes.
///
/// ```swift
/// queue.append(packet, to: .ip, ecn: ecn, now: now)
/// switch queue.next(connectionWants: true, now: now) {
/// case .connection: queue.chargeConnection(bytes)
/// case let flow?: while let packet = queue.front(of: flow, now: now) { queue.takeFront(of: flow, into: &output) }
/// case nil: break
/// }
/// ```
public final class EgressQueue {
  public enum Flow: Hashable, Sendable {
    case connection
    /// IP packets.
    case ip
    /// Packets that are relayed under this label.
    case relayed(UInt32)
  }

  /// The packet that leaves next.
  public struct Packet: Equatable, Sendable {
    /// Bytes.
    public let size: Int
    /// As it came, or `.ce` when it is to be marked on the way out.
    public let ecn: ECN
  }

  /// One flow's packets, oldest first.
  private final class Line {
    struct Entry {
      let size: Int
      var ecn: ECN
      let since: Instant
      /// It has passed CoDel, which is asked once for each packet.
      var isJudged = false
    }

    let flow: Flow
    var chain = ChunkChain(.sending)
    var start: UInt64 = 0
    var end: UInt64 = 0
    var entries = Ring<Entry>()
    var coDel = CoDel()
    /// Bytes that it may send before others have their turn.
    var deficit = 0
    /// It stands in one of the two lists.
    var isListed = false

    init(_ flow: Flow) { self.flow = flow }

    var bytes: Int { Int(end &- start) }
  }

  /// Bytes that a flow sends in one turn: some packets, so that segmentation offload has something to cut.
  private static let quantum = 16 << 10
  /// The most packets and bytes that wait, of all flows together.
  static let mostPackets = 1_024
  static let mostBytes = 1 << 20
  /// The most flows that are told apart; more share the line of label 0.
  private static let mostLines = 256

  private let pool: ChunkShare
  private let connection = Line(.connection)
  private var lines: [Flow: Line] = [:]
  /// Flows that have just become busy, and the others: RFC 8290 §4.2.
  private var fresh = Ring<Line>()
  private var old = Ring<Line>()
  /// Packets that wait, and their bytes.
  public private(set) var count = 0
  public private(set) var bytes = 0
  /// Packets dropped since there was no room, dropped since they had waited too long, and marked in place of that.
  public private(set) var overflowed: UInt64 = 0
  public private(set) var dropped: UInt64 = 0
  public private(set) var marked: UInt64 = 0

  /// - Parameter pool: where packets wait.
  public init(pool: ChunkPool) { self.pool = ChunkShare(of: pool) }

  deinit { removeAll() }

  public var isEmpty: Bool { count == 0 }

  /// Puts a packet behind those of its flow. When there are too many, the longest flow loses its oldest.
  /// - Returns: whether there was memory for it.
  @discardableResult
  public func append(_ packet: RawSpan, to flow: Flow, ecn: ECN, now: Instant) -> Bool {
    precondition(flow != .connection, "the packets of the connection do not wait here")
    guard packet.byteCount <= Self.mostBytes else { return false }
    let line = line(of: flow)
    while count >= Self.mostPackets || bytes + packet.byteCount > Self.mostBytes, dropFromLongest() {}
    guard line.chain.write(packet, at: line.end, from: pool) else {
      overflowed &+= 1
      return false
    }
    line.end &+= UInt64(packet.byteCount)
    line.entries.append(Line.Entry(size: packet.byteCount, ecn: ecn, since: now))
    count += 1
    bytes += packet.byteCount
    list(line)
    return true
  }

  /// Whose turn it is; `nil` when nobody has anything to send. What has waited too long is dropped on the way.
  /// - Parameter connectionWants: whether the connection has packets to make.
  public func next(connectionWants: Bool, now: Instant) -> Flow? {
    if connectionWants { list(connection) }
    while let line = fresh.first ?? old.first {
      let isFresh = !fresh.isEmpty
      let isBusy = line === connection ? connectionWants : judgeFront(of: line, now: now)
      if isBusy, line.deficit > 0 { return line.flow }
      if isFresh { _ = fresh.popFirst() } else { _ = old.popFirst() }
      if isBusy {
        line.deficit += Self.quantum
        old.append(line)
      } else if isFresh, !old.isEmpty {
        // So that a flow that comes and goes is not always new.
        old.append(line)
      } else {
        line.isListed = false
      }
    }
    return nil
  }

  /// The packet of `flow` that leaves next, as long as it is the turn of `flow`.
  public func front(of flow: Flow, now: Instant) -> Packet? {
    guard let line = lines[flow], line.deficit > 0, judgeFront(of: line, now: now) else { return nil }
    let entry = line.entries[0]
    return Packet(size: entry.size, ecn: entry.ecn)
  }

  /// Appends the bytes of ``front(of:now:)``, and forgets it.
  public func takeFront(of flow: Flow, into output: inout OutputRawSpan) {
    guard let line = lines[flow], let entry = line.entries.first else { return }
    line.chain.read(entry.size, at: line.start, into: &output)
    line.deficit -= entry.size
    removeFirst(of: line)
  }

  /// Bytes that the connection may send in this turn.
  public var connectionAllowance: Int { max(0, connection.deficit) }

  /// Counts what the connection has sent.
  public func chargeConnection(_ bytes: Int) { connection.deficit -= bytes }

  /// Drops everything.
  public func removeAll() {
    for line in lines.values {
      line.chain.releaseAll(to: pool)
      line.entries.removeAll()
      line.isListed = false
    }
    lines = [:]
    fresh.removeAll()
    old.removeAll()
    connection.isListed = false
    count = 0
    bytes = 0
  }

  // MARK: Inside

  private func line(of flow: Flow) -> Line {
    if let line = lines[flow] { return line }
    if lines.count >= Self.mostLines {
      // Labels come and go.
      lines = lines.filter { $0.value.isListed || $0.key == .ip }
      if lines.count >= Self.mostLines, let line = lines[.relayed(0)] { return line }
    }
    let line = Line(lines.count >= Self.mostLines ? .relayed(0) : flow)
    lines[line.flow] = line
    return line
  }

  private func list(_ line: Line) {
    guard !line.isListed else { return }
    line.isListed = true
    line.deficit = Self.quantum
    fresh.append(line)
  }

  /// Lets CoDel pass, mark or drop the oldest packets. Returns whether one is left.
  private func judgeFront(of line: Line, now: Instant) -> Bool {
    while let entry = line.entries.first {
      if entry.isJudged { return true }
      let wait = max(0, now.nanoseconds(since: entry.since))
      guard line.coDel.acts(wait: wait, backlog: line.bytes, now: now.nanoseconds), entry.ecn != .ce else {
        line.entries[0].isJudged = true
        return true
      }
      if entry.ecn != .notECT {
        line.entries[0].ecn = .ce
        line.entries[0].isJudged = true
        marked &+= 1
        return true
      }
      dropped &+= 1
      removeFirst(of: line)
    }
    return false
  }

  private func dropFromLongest() -> Bool {
    var longest: Line?
    // Among equals the one that is there longer in either list, not one by the order of a dictionary.
    for index in 0..<old.count where old[index].bytes > longest?.bytes ?? 0 { longest = old[index] }
    for index in 0..<fresh.count where fresh[index].bytes > longest?.bytes ?? 0 { longest = fresh[index] }
    guard let longest else { return false }
    overflowed &+= 1
    removeFirst(of: longest)
    return true
  }

  private func removeFirst(of line: Line) {
    guard let entry = line.entries.popFirst() else { return }
    line.start &+= UInt64(entry.size)
    if line.start == line.end {
      line.chain.releaseAll(to: pool)
    } else {
      line.chain.release(below: line.start, to: pool)
    }
    count -= 1
    bytes -= entry.size
  }
}
