public import MeshPrimitives

/// One direction of a simulated path: takes packets, and gives those that survive back when their time has come.
///
///     link.send(packet.bytes, ecn: .ect0, now: clock.now)
///     while let arrival = link.nextArrival(now: clock.now) { receiver.handle(arrival.bytes.bytes, …) }
///     if let next = link.deadline { clock.advance(to: next) }
///
/// All chance comes from the seed: the same calls give the same arrivals.
public struct Link: Sendable {
  /// What became of a packet, as far as it is known when it is sent: a managed queue drops later, and counts it.
  public enum Fate: Sendable, Equatable {
    case sent
    case lost
    case queueFull
    /// - limit: bytes of the longest packet that passes, if the path tells.
    case tooLong(limit: Int?)
  }

  /// How often each fate befell a packet.
  public struct Counts: Sendable, Equatable {
    public var sent = 0
    /// By ``LinkConditions/loss`` or ``LinkConditions/burstLoss``.
    public var lost = 0
    public var queueFull = 0
    public var tooLong = 0
    /// By the queue discipline, after having been counted as sent.
    public var dropped = 0
    /// Marked CE by the queue.
    public var marked = 0

    public init() {}
  }

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

  /// How many flights an empty link has memory for.
  private static let keptFlights = 256

  /// Holds from the next packet on.
  public var conditions: LinkConditions
  private var entropy: SeededEntropy
  /// A binary heap: the earliest in front.
  private var flights: [Flight] = []
  private var sequence: UInt64 = 0
  /// When all that was sent has left the queue; with a managed queue, when the packet that is leaving has left.
  private var freeAt = Int64.min
  private var lastArrival = Int64.min
  /// Whether ``LinkConditions/burstLoss`` is in its bad state.
  private var isBad = false
  /// A managed queue, or none: an array, so that a link without one is small.
  private var managed: [ActiveQueue] = []
  public private(set) var counts = Counts()

  public init(_ conditions: LinkConditions = LinkConditions(), seed: UInt64) {
    self.conditions = conditions
    entropy = SeededEntropy(seed: seed)
  }

  /// Packets on the way, not counting those that wait in a managed queue.
  public var inFlight: Int { flights.count }

  /// When to ask for the next arrival; `nil` when none is on the way.
  public var deadline: Instant? {
    let flight = flights.first.map { Instant(nanoseconds: $0.time) }
    guard let front = managed.first?.front else { return flight }
    let departure = conditions.departure(of: front.bytes, from: max(freeAt, front.since), base: conditions.rate ?? .max)
    return earliest(flight, Instant(nanoseconds: departure) + conditions.delay)
  }

  /// Bytes that wait at `now`, which is not before the last call's.
  public mutating func queuedBytes(now: Instant) -> Int {
    serve(until: now.nanoseconds)
    guard let rate = conditions.rate else { return 0 }
    return (managed.first?.bytes ?? 0) + conditions.bytesLeaving(from: now.nanoseconds, to: freeAt, base: rate)
  }

  /// Takes a packet at `now`, which is not before the last call's.
  ///
  /// - Parameter tag: of the caller's choice, and given back with the packet.
  @discardableResult
  public mutating func send(_ bytes: RawSpan, ecn: ECN = .notECT, tag: UInt32 = 0, now: Instant) -> Fate {
    guard bytes.byteCount <= conditions.mtu else {
      counts.tooLong += 1
      return .tooLong(limit: conditions.reportsTooLong ? conditions.mtu : nil)
    }
    serve(until: now.nanoseconds)
    var ecn = ecn
    var departure = now.nanoseconds
    var isManaged = false
    if let rate = conditions.rate {
      isManaged = manage()
      let start = max(freeAt, departure)
      let waiting =
        isManaged ? managed[0].bytes : conditions.bytesLeaving(from: departure, to: start, base: rate)
      guard waiting + bytes.byteCount <= conditions.queue else {
        counts.queueFull += 1
        return .queueFull
      }
      if !isManaged {
        if let threshold = conditions.markingThreshold, waiting >= threshold, ecn != .notECT {
          ecn = .ce
          counts.marked += 1
        }
        departure = conditions.departure(of: bytes.byteCount, from: start, base: rate)
        freeAt = departure
      }
    }
    let isLost = isLostHere()
    if isLost { counts.lost += 1 } else { counts.sent += 1 }
    if isManaged {
      managed[0].append(
        QueuedPacket(
          bytes: [UInt8](copying: bytes), ecn: ecn, tag: tag, isDoomed: isLost, since: now.nanoseconds))
    } else if !isLost {
      leave([UInt8](copying: bytes), ecn: ecn, tag: tag, departure: departure)
    }
    return isLost ? .lost : .sent
  }

  private mutating func isLostHere() -> Bool {
    var isLost = entropy.chance(conditions.loss)
    if let burst = conditions.burstLoss {
      if entropy.chance(isBad ? burst.toGood : burst.toBad) { isBad.toggle() }
      if entropy.chance(isBad ? burst.lossInBad : burst.lossInGood) { isLost = true }
    }
    return isLost
  }

  // MARK: Managed queues

  /// Whether packets wait in a managed queue, which is made when the first needs it.
  private mutating func manage() -> Bool {
    if let queue = managed.first {
      if queue.discipline == conditions.discipline || !queue.isEmpty { return true }
      managed = []
    }
    guard let queue = ActiveQueue(conditions.discipline) else { return false }
    managed = [queue]
    return true
  }

  /// Lets all leave whose turn has come by `now`.
  private mutating func serve(until now: Int64) {
    guard !managed.isEmpty else { return }
    while let front = managed[0].front {
      let time = max(freeAt, front.since)
      guard time <= now else { return }
      guard let packet = managed[0].next(at: time, entropy: &entropy, counts: &counts) else { continue }
      freeAt = conditions.departure(of: packet.bytes.count, from: time, base: conditions.rate ?? .max)
      if !packet.isDoomed { leave(packet.bytes, ecn: packet.ecn, tag: packet.tag, departure: freeAt) }
    }
  }

  // MARK: Flight

  private mutating func leave(_ bytes: [UInt8], ecn: ECN, tag: UInt32, departure: Int64) {
    let arrival = Arrival(bytes: bytes, ecn: conditions.bleaching.apply(ecn), tag: tag)
    launch(arrival, departure: departure)
    if entropy.chance(conditions.duplication) { launch(arrival, departure: departure) }
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
    serve(until: now.nanoseconds)
    guard let first = flights.first, first.time <= now.nanoseconds else { return nil }
    return pop().arrival
  }

  /// Loses all that is on the way.
  public mutating func clear() {
    flights = []
    managed = []
  }

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
      guard least != parent else { break }
      flights.swapAt(least, parent)
      parent = least
    }
    if flights.isEmpty, flights.capacity > Self.keptFlights { flights = [] }
    return first
  }
}
