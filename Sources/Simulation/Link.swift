public import MeshPrimitives

/// One direction of a simulated path: takes packets, and gives those that survive back when their time has come.
///
///     link.send(packet.bytes, ecn: .ect0, now: clock.now)
///     while let arrival = link.nextArrival(now: clock.now) { receiver.handle(arrival.bytes.bytes, …) }
///     if let next = link.deadline { clock.advance(to: next) }
///
/// All chance comes from the seed: the same calls give the same arrivals.
public struct Link: Sendable {
  /// What became of a packet.
  public enum Fate: Sendable, Equatable { case sent, lost, queueFull, tooLong }

  /// A packet at the far end.
  public struct Arrival: Sendable, Equatable {
    public let bytes: [UInt8]
    public let ecn: ECN
    /// What ``Link/send(_:ecn:tag:now:)`` was given.
    public let tag: UInt32

    public init(bytes: [UInt8], ecn: ECN = .notECT, tag: UInt32 = 0) {
      self.bytes = bytes
      self.ecn = ecn
      self.tag = tag
    }
  }

  private struct Flight: Sendable {
    let time: Int64
    let sequence: UInt64
    let arrival: Arrival

    func isBefore(_ other: Flight) -> Bool { (time, sequence) < (other.time, other.sequence) }
  }

  /// Holds from the next packet on.
  public var conditions: LinkConditions
  private var entropy: SeededEntropy
  /// A binary heap: the earliest in front.
  private var flights: [Flight] = []
  private var sequence: UInt64 = 0
  /// When all that was sent has left the queue.
  private var freeAt = Int64.min
  private var lastArrival = Int64.min
  /// How often each fate befell a packet.
  public private(set) var counts: (sent: Int, lost: Int, queueFull: Int, tooLong: Int) = (0, 0, 0, 0)

  public init(_ conditions: LinkConditions = LinkConditions(), seed: UInt64) {
    self.conditions = conditions
    entropy = SeededEntropy(seed: seed)
  }

  /// Packets on the way.
  public var inFlight: Int { flights.count }

  /// When the next packet arrives; `nil` when none is on the way.
  public var deadline: Instant? { flights.first.map { Instant(nanoseconds: $0.time) } }

  /// Takes a packet at `now`.
  ///
  /// - Parameter tag: of the caller's choice, and given back with the packet.
  @discardableResult
  public mutating func send(_ bytes: RawSpan, ecn: ECN = .notECT, tag: UInt32 = 0, now: Instant) -> Fate {
    guard bytes.byteCount <= conditions.mtu else {
      counts.tooLong += 1
      return .tooLong
    }
    var ecn = ecn
    var departure = now.nanoseconds
    if let rate = conditions.rate {
      let start = max(freeAt, departure)
      let waiting = Int(Double(start - departure) * Double(rate) / 8e9)
      guard waiting + bytes.byteCount <= conditions.queue else {
        counts.queueFull += 1
        return .queueFull
      }
      if let threshold = conditions.markingThreshold, waiting >= threshold, ecn != .notECT { ecn = .ce }
      departure = start + Int64(bytes.byteCount) * 8_000_000_000 / rate
      freeAt = departure
    }
    if entropy.chance(conditions.loss) {
      counts.lost += 1
      return .lost
    }
    counts.sent += 1
    let arrival = Arrival(bytes: [UInt8](copying: bytes), ecn: ecn, tag: tag)
    launch(arrival, departure: departure)
    if entropy.chance(conditions.duplication) { launch(arrival, departure: departure) }
    return .sent
  }

  private mutating func launch(_ arrival: Arrival, departure: Int64) {
    var time = departure + conditions.delay.wholeNanoseconds
    time += entropy.upTo(conditions.jitter.wholeNanoseconds)
    if entropy.chance(conditions.reordering) {
      time += conditions.reorderDelay.wholeNanoseconds
    } else if !conditions.jitterReorders {
      time = max(time, lastArrival)
      lastArrival = time
    }
    push(Flight(time: time, sequence: sequence, arrival: arrival))
    sequence += 1
  }

  /// The next packet that has arrived by `now`; `nil` when there is none.
  public mutating func nextArrival(now: Instant) -> Arrival? {
    guard let first = flights.first, first.time <= now.nanoseconds else { return nil }
    return pop().arrival
  }

  /// Loses all that is on the way.
  public mutating func clear() { flights = [] }

  // MARK: Heap

  private mutating func push(_ flight: Flight) {
    flights.append(flight)
    var child = flights.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard flights[child].isBefore(flights[parent]) else { break }
      flights.swapAt(child, parent)
      child = parent
    }
  }

  private mutating func pop() -> Flight {
    flights.swapAt(0, flights.count - 1)
    let first = flights.removeLast()
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2]
      where child < flights.count && flights[child].isBefore(flights[least]) {
        least = child
      }
      guard least != parent else { return first }
      flights.swapAt(least, parent)
      parent = least
    }
  }
}
