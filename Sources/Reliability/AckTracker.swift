internal import MeshPrimitives

/// The receiving half of acknowledgements: which numbers have come, what to report, and when (RFC 9000 §13.2).
///
/// Acknowledgements are made for receive batches: while packets come in order, one per `every` of them or after the maximum
/// delay; at once when a packet is missing, late, or marked CE; and every second packet for a while after that, so that the
/// sender finds its losses soon.
struct AckTracker {
  /// The most ranges remembered, and the most reported.
  static let mostRanges = 256
  /// The most ranges remembered that the peer knows of, for the sake of what comes late: numbers that a sender leaves out make
  /// one each for ever.
  private static let mostOldRanges = 16

  /// Every number that came, as far as remembered.
  private(set) var received = RangeSet()
  /// Numbers below this count as received: they came, or are too old to tell.
  private var floor: UInt64 = 1
  /// Numbers below this are not reported: the peer knows (RFC 9000 §13.2.4).
  private(set) var reportFloor: UInt64 = 1
  /// Numbers that came late, perhaps after those above them were reported: the least of them, and the number of our packet
  /// that was the next one then. Packets below that did not tell of them.
  private struct Late {
    var least = UInt64.max
    var since: UInt64 = 0

    mutating func add(_ number: UInt64, ownNext: UInt64) {
      least = min(least, number)
      since = ownNext
    }
  }
  /// Those that a packet under way tells of, and those that came since: under lasting reordering no packet tells of all.
  private var late = Late()
  private var later = Late()
  private(set) var largest: UInt64 = 0
  private var largestArrived = Instant(nanoseconds: 0)
  private(set) var ect0: UInt64 = 0
  private(set) var ect1: UInt64 = 0
  private(set) var ce: UInt64 = 0

  /// Packets that ask for an acknowledgement and have come since the last one was sent.
  private(set) var pending = 0
  /// An acknowledgement must leave now.
  private(set) var isDue = false
  private(set) var deadline: Instant?
  /// Packets left to be acknowledged in pairs.
  private var eager = 32

  private let every: Int
  private let maximumDelay: Int64
  /// How long an acknowledgement waits for more packets.
  private var patience: Int64

  init(every: Int, maximumDelay: Int64) {
    self.every = every
    self.maximumDelay = maximumDelay
    patience = maximumDelay
  }

  /// Whether there is anything to report.
  var hasReport: Bool { largest >= reportFloor && largest > 0 }

  /// Numbers below `first` belong to somebody else: they count as known, and are not reported. Only before a packet has come.
  mutating func ignore(below first: UInt64) {
    guard received.isEmpty, first > 1 else { return }
    floor = max(floor, first)
    reportFloor = max(reportFloor, first)
    largest = max(largest, first &- 1)
  }

  func isDuplicate(_ number: UInt64) -> Bool {
    if number > largest { return false }
    return number < floor || received.contains(number)
  }

  /// Counts a new packet. `number` must not be a duplicate.
  /// - Parameter ownNext: the number of our next packet.
  mutating func record(_ number: UInt64, asksForAck: Bool, ecn: ECN, ownNext: UInt64, now: Instant) {
    let inOrder = number == largest &+ 1
    if received.isEmpty { received.reserveCapacity(2 * Self.mostOldRanges) }
    received.insert(number..<number &+ 1)
    if number > largest {
      largest = number
      largestArrived = now
    } else {
      if late.least == .max || late.since == ownNext {
        late.add(number, ownNext: ownNext)
      } else {
        later.add(number, ownNext: ownNext)
      }
    }
    if number < reportFloor { reportFloor = number }
    if received.count > Self.mostRanges {
      received.removeFirst()
      floor = max(floor, received.first?.lowerBound ?? floor)
      reportFloor = max(reportFloor, floor)
    }
    switch ecn {
    case .notECT: break
    case .ect0: ect0 &+= 1
    case .ect1: ect1 &+= 1
    case .ce: ce &+= 1
    }
    guard asksForAck else { return }
    pending &+= 1
    if !inOrder || ecn == .ce {
      isDue = true
      eager = 32
    } else if eager > 0 {
      eager &-= 1
      if pending >= min(2, every) { isDue = true }
    } else if pending >= every {
      isDue = true
    }
    if deadline == nil { deadline = now.advanced(nanoseconds: patience) }
  }

  /// Lets acknowledgements come at least eight times per round trip, so that a sender with a small window is not stopped by
  /// the wait for a batch; half a millisecond is the shortest wait, and the agreed maximum the longest.
  mutating func adapt(toRoundTrip nanoseconds: Int64) {
    patience = min(max(nanoseconds / 8, 500_000), maximumDelay)
  }

  /// Nanoseconds that the newest packet has waited for its acknowledgement.
  func delay(now: Instant) -> Int64 { max(0, now.nanoseconds(since: largestArrived)) }

  /// An acknowledgement was written.
  mutating func reported() {
    pending = 0
    isDue = false
    deadline = nil
  }

  /// The peer has our packet `own`, which reported all up to `number` that had come until then.
  mutating func confirmed(through number: UInt64, by own: UInt64) {
    while late.least < .max, own >= late.since { (late, later) = (later, Late()) }
    reportFloor = max(reportFloor, min(min(number, largest) &+ 1, min(late.least, later.least)))
    while received.count > Self.mostOldRanges, received[Self.mostOldRanges].upperBound <= reportFloor {
      received.removeFirst()
      floor = max(floor, received.first?.lowerBound ?? floor)
    }
  }

  mutating func handleTimeout(now: Instant) {
    if let deadline, deadline <= now { isDue = true }
  }
}
