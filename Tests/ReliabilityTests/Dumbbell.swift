import MeshPrimitives
import MeshReliability
import MeshSimulation

/// Flows that share one bottleneck: each is a connection that has always more to send, and one that reads at once. Data
/// passes one link that all share; acknowledgements come back over links of their own, which only delay them.
final class Dumbbell {
  /// What a flow sends, from one time to another.
  final class Load {
    let lane: Lane
    let start: Instant
    let stop: Instant
    fileprivate let stream: StreamID
    /// Bytes that the application has read, and the same in each bin.
    fileprivate(set) var delivered = 0
    fileprivate(set) var deliveredInBin: [Int] = []
    fileprivate var deliveredBefore = 0

    fileprivate init(lane: Lane, start: Instant, stop: Instant, stream: StreamID) {
      self.lane = lane
      self.start = start
      self.stop = stop
      self.stream = stream
    }
  }

  /// One connection.
  final class Flow {
    let algorithm: CongestionAlgorithm
    let start: Instant
    let stop: Instant
    fileprivate(set) var sender: Connection
    fileprivate var receiver: Connection
    fileprivate var back: Link
    let loads: [Load]
    fileprivate var isDue = true
    fileprivate var isOpen = false
    /// Bytes that the application has read.
    fileprivate(set) var delivered = 0
    /// The same in each bin, and the window in bytes at its end.
    fileprivate(set) var deliveredInBin: [Int] = []
    fileprivate(set) var windowInBin: [Int] = []
    fileprivate var deliveredBefore = 0
    /// Nanoseconds that each packet has waited, with the time of its arrival, once ``Dumbbell/recordsFrom`` has come.
    fileprivate(set) var waits: [UInt32] = []

    init(
      _ algorithm: CongestionAlgorithm, start: Instant, stop: Instant, loads: [(Lane, Instant, Instant)], window: Int,
      roundTrip: Duration, seed: UInt64
    ) {
      var configuration = Configuration()
      configuration.congestion = algorithm
      configuration.packetSize = Dumbbell.packetSize
      configuration.overheadPerPacket = 0
      configuration.local = ConnectionLimits(data: 1 << 40, streamData: 1 << 40)
      configuration.peer = configuration.local
      configuration.sendBuffer = window
      self.algorithm = algorithm
      self.start = start
      self.stop = stop
      sender = Connection(
        configuration: configuration, opensOddStreams: true, pool: ChunkPool(capacity: 4 * window), now: start)
      receiver = Connection(
        configuration: configuration, opensOddStreams: false, pool: ChunkPool(capacity: 4 * window), now: start)
      var conditions = LinkConditions()
      conditions.delay = roundTrip / 2
      back = Link(conditions, seed: seed)
      var streams: [Load] = []
      for (lane, start, stop) in loads {
        guard let stream = try? sender.openStream(service: "data", options: StreamOptions(lane: lane)) else {
          preconditionFailure("a first stream opens")
        }
        streams.append(Load(lane: lane, start: start, stop: stop, stream: stream))
      }
      self.loads = streams
    }
  }

  /// Bytes of a full packet on the link.
  static let packetSize = 1_400
  private static let ringSize = 1 << 18

  let flows: [Flow]
  /// The bottleneck.
  private(set) var link: Link
  let binLength: Duration
  let begin: Instant
  private(set) var now: Instant
  /// Bytes in the queue at the end of each bin.
  private(set) var queueInBin: [Int] = []
  /// The longest wait in each bin, in nanoseconds.
  private(set) var waitInBin: [Int64] = []
  /// From then on ``Flow/waits`` are kept.
  var recordsFrom = Instant.distantFuture
  private var nextBin: Instant
  private var longestWait: Int64 = 0
  /// Nanoseconds, and bits per second at the beginning.
  private let halfRoundTrip: Int64
  private let rate: Int64
  private var sentAt = [Int64](repeating: 0, count: ringSize)
  private var sequence = 0
  private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

  /// - Parameters:
  ///   - algorithms: of the flows, each with its beginning and end, in nanoseconds from the start.
  ///   - loads: what the flows send, with lane, beginning and end; `nil`: each one stream of the bulk lane.
  ///   - bottleneck: the way of the data, whose delay is half of the round trip.
  ///   - window: bytes that a sender holds: more than the path and its queue together.
  init(
    _ algorithms: [(algorithm: CongestionAlgorithm, start: Duration, stop: Duration)],
    loads: [[(lane: Lane, start: Duration, stop: Duration)]]? = nil, bottleneck: LinkConditions, window: Int,
    binLength: Duration = .milliseconds(100), seed: UInt64 = 1
  ) {
    var seeds = SeededEntropy(seed: seed)
    let begin = VirtualClock().now
    self.begin = begin
    now = begin
    self.binLength = binLength
    nextBin = begin + binLength
    halfRoundTrip = bottleneck.delay.wholeNanoseconds
    rate = bottleneck.rate ?? .max
    link = Link(bottleneck, seed: seeds.next())
    let roundTrip = bottleneck.delay * 2
    flows = algorithms.enumerated().map { index, flow in
      Flow(
        flow.algorithm, start: begin + flow.start, stop: begin + flow.stop,
        loads: (loads?[index] ?? [(.bulk, flow.start, flow.stop)]).map { ($0.lane, begin + $0.start, begin + $0.stop) },
        window: window, roundTrip: roundTrip, seed: seeds.next())
    }
  }

  deinit { scratch.deallocate() }

  /// Runs until a time after the beginning.
  func run(until time: Duration) {
    let end = begin + time
    while true {
      move()
      guard let next = nextTime(), next <= end else { break }
      while nextBin <= next { endBin() }
      now = max(now, next)
    }
    while nextBin <= end { endBin() }
    now = end
  }

  private func nextTime() -> Instant? {
    var result = link.deadline
    for flow in flows {
      result = earliest(result, flow.back.deadline)
      if flow.isOpen {
        result = earliest(result, earliest(flow.sender.deadline, flow.receiver.deadline))
        if now < flow.stop { result = earliest(result, flow.stop) }
        for load in flow.loads where now < load.start { result = earliest(result, load.start) }
      } else if now < flow.start {
        result = earliest(result, flow.start)
      }
    }
    return result
  }

  private func endBin() {
    queueInBin.append(link.queuedBytes(now: nextBin))
    waitInBin.append(longestWait)
    longestWait = 0
    for flow in flows {
      flow.deliveredInBin.append(flow.delivered - flow.deliveredBefore)
      flow.deliveredBefore = flow.delivered
      for load in flow.loads {
        load.deliveredInBin.append(load.delivered - load.deliveredBefore)
        load.deliveredBefore = load.delivered
      }
      flow.windowInBin.append(flow.isOpen ? flow.sender.statistics.congestionWindow : 0)
    }
    nextBin = nextBin + binLength
  }

  private func move() {
    while let arrival = link.nextArrival(now: now) { arrive(arrival) }
    for flow in flows {
      while let arrival = flow.back.nextArrival(now: now) {
        _ = try? flow.sender.handle(arrival.bytes.bytes, ecn: arrival.ecn, now: now)
        flow.isDue = true
      }
      if let due = earliest(flow.sender.deadline, flow.receiver.deadline), due <= now {
        flow.sender.handleTimeout(now: now)
        flow.receiver.handleTimeout(now: now)
        flow.isDue = true
      }
      if flow.isOpen != (flow.start <= now && now < flow.stop) {
        flow.isOpen.toggle()
        flow.isDue = true
      }
      for load in flow.loads where load.start == now { flow.isDue = true }
      guard flow.isDue, flow.isOpen else { continue }
      flow.isDue = false
      send(flow)
    }
  }

  private func arrive(_ arrival: Link.Arrival) {
    let flow = flows[Int(arrival.tag >> 24)]
    let slot = Int(arrival.tag & 0xFF_FFFF) % Self.ringSize
    let unavoidable = halfRoundTrip + Int64(arrival.bytes.count) * 8_000_000_000 / rate
    let wait = max(0, now.nanoseconds - sentAt[slot] - unavoidable)
    longestWait = max(longestWait, wait)
    if now >= recordsFrom { flow.waits.append(UInt32(clamping: wait)) }
    _ = try? flow.receiver.handle(arrival.bytes.bytes, ecn: arrival.ecn, now: now)
    while flow.receiver.nextEvent() != nil {}
    for load in flow.loads {
      while true {
        var result = ReadResult.blocked
        var output = OutputRawSpan(buffer: scratch, initializedCount: 0)
        result = (try? flow.receiver.read(load.stream, into: &output)) ?? .blocked
        guard case .bytes(let count) = result else { break }
        flow.delivered += count
        load.delivered += count
        if count < scratch.count { break }
      }
    }
    flow.isDue = true
  }

  private static let filling = [UInt8](repeating: 0x5A, count: 64 << 10)

  private func send(_ flow: Flow) {
    while flow.sender.nextEvent() != nil {}
    for load in flow.loads where load.start <= now && now < load.stop {
      while let count = try? flow.sender.write(Self.filling.bytes, to: load.stream), count == Self.filling.count {}
    }
    let index = flows.firstIndex { $0 === flow } ?? 0
    while true {
      let ecn = flow.sender.outgoingECN
      guard let message = packet({ flow.sender.nextPacket(into: &$0, now: now) }) else { break }
      let slot = sequence % Self.ringSize
      sequence += 1
      sentAt[slot] = now.nanoseconds
      link.send(message.bytes, ecn: ecn, tag: UInt32(index << 24 | slot), now: now)
    }
    while true {
      let ecn = flow.receiver.outgoingECN
      guard let message = packet({ flow.receiver.nextPacket(into: &$0, now: now) }) else { break }
      flow.back.send(message.bytes, ecn: ecn, now: now)
    }
  }

  private func packet(_ make: (inout OutputRawSpan) -> Bool) -> [UInt8]? {
    var isMade = false
    let message = [UInt8](capacity: Self.packetSize) { isMade = make(&$0) }
    return isMade ? message : nil
  }

  // MARK: Figures

  /// Bytes that arrived in a time, as a part of what the link carries in it.
  func share(_ flow: Flow, from start: Duration, to end: Duration) -> Double {
    share(flow.deliveredInBin, from: start, to: end)
  }

  /// The same for one load of a flow.
  func share(_ load: Load, from start: Duration, to end: Duration) -> Double {
    share(load.deliveredInBin, from: start, to: end)
  }

  private func share(_ delivered: [Int], from start: Duration, to end: Duration) -> Double {
    let bytes = delivered[bins(start, end)].reduce(0, +)
    return Double(bytes) * 8 / (Double(rate) * Double((end - start).wholeNanoseconds) / 1e9)
  }

  func bins(_ start: Duration, _ end: Duration) -> Range<Int> {
    let length = binLength.wholeNanoseconds
    let last = min(Int(end.wholeNanoseconds / length), queueInBin.count)
    return min(Int(start.wholeNanoseconds / length), last)..<last
  }

  /// A quantile of the waits of packets, in milliseconds.
  static func quantile(_ part: Double, of waits: [UInt32]) -> Double {
    guard !waits.isEmpty else { return 0 }
    return Double(waits.sorted()[min(waits.count - 1, Int(part * Double(waits.count)))]) / 1e6
  }
}
