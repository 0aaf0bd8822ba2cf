internal import MeshPrimitives

/// Handshake messages that wait for their turn: at most 256, fair by source prefix.
///
/// A data packet costs a microsecond, a handshake a hundred: so messages of types 1 to 3 wait here and are served after
/// the data of each batch. Prefixes are hashed into lanes that take turns. When the queue is full, the longest lane
/// loses its oldest message. All operations cost O(lanes) at most, whatever a flood sends.
struct HandshakeQueue {
  static let capacity = 256
  private static let laneCount = 64
  private static let none: Int16 = -1

  private struct Lane {
    var first = HandshakeQueue.none
    var last = HandshakeQueue.none
    var count = 0
  }

  private struct Entry {
    var source = SocketAddress(IPAddress(v4: 0), port: 0)
    var size = 0
    var next = HandshakeQueue.none
  }

  private var lanes = [Lane](repeating: Lane(), count: laneCount)
  private var turn = 0
  private(set) var count = 0
  // Both are allocated at the first message: an idle device holds neither.
  private var entries: [Entry] = []
  private var messages: [UInt8] = []
  private var free: [Int16] = []

  /// When the queue was last an eighth full.
  private var lastLoaded: Instant?
  /// Mixed into the hash of a prefix, so that nobody can choose sources that share the lane of another.
  private let seed: UInt64

  init(seed: UInt64) { self.seed = seed }

  var isEmpty: Bool { count == 0 }

  /// Whether handshakes have to prove their source address: the queue was an eighth full within the last second.
  func isUnderLoad(now: Instant) -> Bool {
    guard let lastLoaded else { return false }
    return now.nanoseconds(since: lastLoaded) < 1_000_000_000
  }

  /// What became of a message, or of another one in its favour.
  enum Appended {
    case added
    /// Added in place of the oldest message of the longest lane, which is dropped.
    case displaced
    /// The queue is full, and the lane of the message is the longest.
    case refused
  }

  /// Appends a message.
  mutating func append(_ message: RawSpan, from source: SocketAddress, now: Instant) -> Appended {
    if entries.isEmpty { allocate() }
    let lane = lane(of: source.address.ratePrefix)
    let isFull = free.isEmpty
    if isFull {
      var longest = lane
      for other in 0..<Self.laneCount where lanes[other].count > lanes[longest].count { longest = other }
      guard longest != lane, let dropped = popFirst(ofLane: longest) else { return .refused }
      free.append(dropped)
    }
    let place = free.removeLast()
    entries[Int(place)] = Entry(source: source, size: message.byteCount)
    var bytes = messages.mutableBytes
    bytes.copy(message, at: Int(place) * WireGuard.initiationSize)
    if lanes[lane].last == Self.none {
      lanes[lane].first = place
    } else {
      entries[Int(lanes[lane].last)].next = place
    }
    lanes[lane].last = place
    lanes[lane].count += 1
    count += 1
    if count >= Self.capacity / 8 { lastLoaded = now }
    return isFull ? .displaced : .added
  }

  /// Takes the oldest message of the lane whose turn it is into `message` and returns its source.
  mutating func popFirst(into message: inout [UInt8]) -> SocketAddress? {
    guard count > 0 else { return nil }
    while lanes[turn].count == 0 { turn = (turn + 1) % Self.laneCount }
    guard let place = popFirst(ofLane: turn) else { return nil }
    turn = (turn + 1) % Self.laneCount
    free.append(place)
    let start = Int(place) * WireGuard.initiationSize
    message.removeAll(keepingCapacity: true)
    message.append(contentsOf: messages[start..<start + entries[Int(place)].size])
    return entries[Int(place)].source
  }

  private mutating func popFirst(ofLane lane: Int) -> Int16? {
    let place = lanes[lane].first
    guard place != Self.none else { return nil }
    lanes[lane].first = entries[Int(place)].next
    if lanes[lane].first == Self.none { lanes[lane].last = Self.none }
    lanes[lane].count -= 1
    count -= 1
    return place
  }

  private func lane(of prefix: IPAddress) -> Int {
    var hash = (prefix.high ^ seed) &* 0x9E37_79B9_7F4A_7C15
    hash = (hash ^ (hash >> 32) ^ prefix.low) &* 0xD6E8_FEB8_6659_FD93
    return Int(truncatingIfNeeded: hash >> 32) & (Self.laneCount - 1)
  }

  private mutating func allocate() {
    entries = Array(repeating: Entry(), count: Self.capacity)
    messages = Array(repeating: 0, count: Self.capacity * WireGuard.initiationSize)
    free = Array((0..<Int16(Self.capacity)).reversed())
  }
}
