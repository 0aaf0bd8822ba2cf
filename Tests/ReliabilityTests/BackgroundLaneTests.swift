import MeshPrimitives
import MeshSimulation
import Testing

@testable import MeshReliability

/// The background lane takes what others leave, on its own connection and on the path.
@Suite("Background lane") struct BackgroundLaneTests {
  private typealias Load = (lane: Lane, start: Duration, stop: Duration)
  private static let always = Duration.seconds(1_000)

  private func bottleneck(buffer: Double = 2, discipline: QueueDiscipline = .dropTail) -> LinkConditions {
    var conditions = LinkConditions()
    conditions.rate = 20_000_000
    conditions.delay = .milliseconds(25)
    conditions.queue = max(Int(125_000 * buffer), 1)
    conditions.discipline = discipline
    return conditions
  }

  private func dumbbell(
    _ flows: [[Load]], _ conditions: LinkConditions, _ algorithm: CongestionAlgorithm = .cubic
  ) -> Dumbbell {
    Dumbbell(
      flows.map { (algorithm, $0.map(\.start).min() ?? .zero, Self.always) }, loads: flows, bottleneck: conditions,
      window: 2 << 20)
  }

  @Test(arguments: [QueueDiscipline.dropTail, .coDel()]) func `it uses an idle link`(discipline: QueueDiscipline) {
    let dumbbell = dumbbell([[(.background, .zero, Self.always)]], bottleneck(discipline: discipline))
    dumbbell.run(until: .seconds(30))
    let share = dumbbell.share(dumbbell.flows[0], from: .seconds(10), to: .seconds(30))
    // Marks may be of others: it goes below a managed queue.
    #expect(share > (discipline == .dropTail ? 0.7 : 0.6), "\(share)")
  }

  @Test func `it yields within two seconds to CUBIC of another connection`() {
    let dumbbell = dumbbell(
      [[(.background, .zero, Self.always)], [(.bulk, .seconds(10), Self.always)]], bottleneck())
    dumbbell.run(until: .seconds(20))
    let (background, bulk) = (dumbbell.flows[0], dumbbell.flows[1])
    #expect(dumbbell.share(background, from: .seconds(5), to: .seconds(10)) > 0.6)
    let late = dumbbell.share(background, from: .seconds(12), to: .seconds(20))
    #expect(late < 0.15, "\(late)")
    #expect(dumbbell.share(bulk, from: .seconds(12), to: .seconds(20)) > 0.8)
  }

  @Test func `it yields at once to the bulk lane of its connection, and comes back after it`() {
    let dumbbell = dumbbell(
      [[(.background, .zero, Self.always), (.bulk, .seconds(10), .seconds(20))]], bottleneck())
    dumbbell.run(until: .seconds(40))
    let loads = dumbbell.flows[0].loads
    #expect(dumbbell.share(loads[0], from: .seconds(5), to: .seconds(10)) > 0.6)
    let late = dumbbell.share(loads[0], from: .seconds(11), to: .seconds(20))
    #expect(late > 0 && late < 0.04, "\(late)")
    let bulk = dumbbell.share(loads[1], from: .seconds(11), to: .seconds(20))
    #expect(bulk > 0.9, "\(bulk)")
    let after = dumbbell.share(loads[0], from: .seconds(25), to: .seconds(40))
    #expect(after > 0.5, "\(after)")
  }

  @Test func `bulk is no slower beside it than alone`() {
    func share(_ loads: [Load]) -> Double {
      let dumbbell = dumbbell([loads], bottleneck(buffer: 1))
      dumbbell.run(until: .seconds(15))
      return dumbbell.share(dumbbell.flows[0].loads[0], from: .zero, to: .seconds(15))
    }
    let alone = share([(.bulk, .zero, Self.always)])
    let beside = share([(.bulk, .zero, Self.always), (.background, .zero, Self.always)])
    #expect(beside > 0.96 * alone, "\(beside) and not \(alone)")
  }

  @Test func `a heartbeat passes it within one round trip and the queue that it may make`() throws {
    let pair = Pair(bottleneck(), seed: 2)
    let id = try pair.a.openStream(service: "backup", options: StreamOptions(lane: .background))
    let transfer = Transfer(pair, id, from: .a, size: 40_000_000, salt: 1)
    pair.run(for: .seconds(5), work: transfer.work)
    let channel = try pair.a.messageChannel(for: "beat", lane: .control)
    for _ in 0..<20 {
      let start = pair.now
      let received = pair.b.statistics.messagesReceived
      try pair.a.send([1, 2, 3].bytes, on: channel)
      let came = pair.run(
        .seconds(2), work: transfer.work, until: { pair.b.statistics.messagesReceived > received })
      #expect(came)
      let took = pair.now.nanoseconds(since: start) / 1_000_000
      #expect(took < 25 + 60 + 50, "\(took) ms")
      pair.run(for: .milliseconds(137), work: transfer.work)
    }
  }

  @Test func `no packet mixes it with another lane`() throws {
    let pair = Pair(bottleneck(), seed: 3)
    let lanes: [Lane] = [.background, .bulk, .message, .control]
    let ids = try lanes.map { try pair.a.openStream(service: "\($0)", options: StreamOptions(lane: $0)) }
    let transfers = zip(ids, [400_000, 60_000, 5_000, 300]).map {
      Transfer(pair, $0, from: .a, size: $1, salt: $0.rawValue)
    }
    let background = try pair.a.messageChannel(for: "m", lane: .background)
    for index in 0..<40 { try pair.a.send([UInt8](repeating: 7, count: 10 + index * 50).bytes, on: background) }
    var largest = 0
    let isDone = pair.run(
      .seconds(20),
      work: {
        check(pair.a, ids[0].rawValue)
        let inFlight = pair.a.statistics.backgroundBytesInFlight
        largest = max(largest, inFlight)
        #expect(inFlight <= max(pair.a.statistics.backgroundWindow + 1_500, 3_000))
        return transfers.map { $0.work() }.contains(true)
      },
      until: { transfers.allSatisfy(\.isComplete) && pair.b.statistics.messagesReceived == 40 })
    #expect(isDone)
    #expect(largest > 0)
    pair.run(for: .seconds(2))
    #expect(pair.a.statistics.backgroundBytesInFlight == 0)
    #expect(pair.a.statistics.bytesInFlight == 0)
  }

  /// What is in flight counts for the lane exactly when it is of the lane, and the sum is right.
  private func check(_ connection: borrowing Connection, _ stream: UInt64) {
    var bytes = 0
    for number in connection.sent.base..<connection.sent.next {
      let packet = connection.sent[number]
      guard packet.state == .outstanding else { continue }
      var frames = [packet.frame]
      var more = packet.more
      while more >= 0 {
        let (frame, next) = connection.sent.further(more)
        frames.append(frame)
        more = next
      }
      for frame in frames where frame.kind == .stream || frame.kind == .message {
        let isOfLane = frame.kind == .stream ? frame.stream == stream : Lane(of: frame) == .background
        #expect(isOfLane == packet.isBackground)
      }
      if packet.isBackground { bytes += Int(packet.size) }
    }
    #expect(bytes == connection.statistics.backgroundBytesInFlight)
  }

  @Test(arguments: [0.0, 0.02]) func `everything arrives, over paths that lose and change`(loss: Double) throws {
    var path = bottleneck(buffer: 0.5)
    path.loss = loss
    let pair = Pair(path, seed: 4)
    let id = try pair.a.openStream(service: "backup", options: StreamOptions(lane: .background))
    let transfer = Transfer(pair, id, from: .a, size: 3_000_000, salt: 1)
    pair.run(for: .milliseconds(700), work: transfer.work)
    #expect(pair.a.statistics.backgroundBytesInFlight > 0)
    pair.a.pathChanged(oldIsDead: loss > 0, roundTrip: .milliseconds(50), now: pair.now)
    #expect(pair.a.statistics.backgroundBytesInFlight == 0)
    #expect(pair.run(.seconds(60), work: transfer.work, until: { transfer.isComplete }))
    pair.run(for: .seconds(3))
    #expect(pair.a.statistics.backgroundBytesInFlight == 0)
    #expect(pair.a.statistics.bytesInFlight == 0)
  }

  @Test func `who does not use it has no controller for it`() throws {
    let pair = Pair(bottleneck())
    let transfer = Transfer(pair, try pair.open(.a, "x"), from: .a, size: 200_000, salt: 1)
    #expect(pair.run(work: transfer.work, until: { transfer.isComplete }))
    #expect(pair.a.statistics.backgroundWindow == 0)
    #expect(pair.a.background == nil)
  }
}
