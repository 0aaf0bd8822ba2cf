import MeshPacket
import MeshPrimitives
import MeshReliability
import MeshSimulation
import Testing

/// A path under test.
struct Case: Sendable, CustomStringConvertible {
  var name: String
  var conditions: LinkConditions
  var size = 200_000

  var description: String { name }

  init(_ name: String, size: Int = 200_000, _ set: (inout LinkConditions) -> Void) {
    self.name = name
    self.size = size
    conditions = LinkConditions()
    conditions.delay = .milliseconds(10)
    set(&conditions)
  }
}

@Suite("Transfers") struct TransferTests {
  static let cases: [Case] = [
    Case("perfect") { _ in },
    Case("no delay") { $0.delay = .zero },
    Case("1 % loss") { $0.loss = 0.01 },
    Case("5 % loss") { $0.loss = 0.05 },
    Case("10 % loss") { $0.loss = 0.1 },
    Case("30 % loss", size: 60_000) { $0.loss = 0.3 },
    Case("duplication") { $0.duplication = 0.2 },
    Case("reordering") {
      $0.reordering = 0.1
      $0.reorderDelay = .milliseconds(4)
    },
    Case("jitter that reorders") {
      $0.jitter = .milliseconds(8)
      $0.jitterReorders = true
    },
    Case("1 ms") { $0.delay = .microseconds(500) },
    Case("300 ms") { $0.delay = .milliseconds(150) },
    Case("10 Mbit/s with a short queue") {
      $0.rate = 10_000_000
      $0.queue = 20_000
    },
    Case("all at once", size: 100_000) {
      $0.loss = 0.05
      $0.duplication = 0.05
      $0.reordering = 0.05
      $0.jitter = .milliseconds(3)
      $0.rate = 20_000_000
      $0.queue = 60_000
    },
  ]

  @Test(arguments: cases, [1, 2, 3] as [UInt64])
  func `every byte arrives in order, both ways, on several streams`(path: Case, seed: UInt64) throws {
    for algorithm in [CongestionAlgorithm.cubic, .newReno] {
      var configuration = Configuration()
      configuration.congestion = algorithm
      let pair = Pair(path.conditions, seed: seed, a: configuration)
      var transfers: [Transfer] = []
      for index in 0..<3 {
        let opener: Pair.Side = index == 1 ? .b : .a
        let id = try pair.open(opener, "service \(index)")
        for from in Pair.Side.allCases {
          let size = path.size >> index + Int(seed)
          transfers.append(Transfer(pair, id, from: from, size: size, salt: id.rawValue * 2 + (from == .a ? 0 : 1)))
          // The other side may only write once it knows of the stream.
        }
      }
      let done = pair.run(
        work: {
          var worked = false
          for transfer in transfers where transfer.work() { worked = true }
          return worked
        },
        until: { transfers.allSatisfy(\.isComplete) && pair.a.streamCount == 0 && pair.b.streamCount == 0 })
      #expect(done, "seed \(seed), \(path), \(algorithm): \(transfers.map { "\($0.id) \($0.read)/\($0.size)" })")
      #expect(pair.errors == [], "seed \(seed)")
      #expect(pair.poolA.used == 0 && pair.poolB.used == 0, "seed \(seed)")
      #expect(pair.a.statistics.bytesInFlight == 0 || pair.run(for: .seconds(5)) == (), "seed \(seed)")
      if path.conditions.loss > 0 { #expect(pair.a.statistics.packetsLost > 0) }
    }
  }

  @Test func `the same seed gives the same packets`() throws {
    func trace() throws -> [Int] {
      var path = LinkConditions()
      path.delay = .milliseconds(5)
      path.loss = 0.1
      path.reordering = 0.1
      let pair = Pair(path, seed: 7)
      var hash: [Int] = []
      pair.onPacket = { _, message in hash.append(message.reduce(message.count) { ($0 &* 31) &+ Int($1) }) }
      let id = try pair.open(.a, "x")
      let transfer = Transfer(pair, id, from: .a, size: 50_000, salt: 1)
      _ = pair.run(work: transfer.work, until: { transfer.isComplete })
      return hash
    }
    #expect(try trace() == trace())
  }

  @Test func `a perfect path loses nothing and sends nothing twice`() throws {
    var path = LinkConditions()
    path.delay = .milliseconds(20)
    path.rate = 100_000_000
    let pair = Pair(path)
    let id = try pair.open(.a, "bulk")
    let transfer = Transfer(pair, id, from: .a, size: 1_000_000, salt: 3)
    #expect(pair.run(work: transfer.work, until: { transfer.isComplete }))
    let statistics = pair.a.statistics
    #expect(statistics.packetsLost == 0)
    #expect(statistics.bytesRetransmitted == 0)
    #expect(statistics.bytesSent == 1_000_000)
    #expect(statistics.minimumRTT >= .milliseconds(40) && statistics.minimumRTT < .milliseconds(42))
    // One acknowledgement for about ten packets.
    #expect(pair.b.statistics.acksSent < statistics.packetsSent / 5)
  }

  @Test func `a rate-limited path is used well`() throws {
    for algorithm in [CongestionAlgorithm.cubic, .newReno] {
      var path = LinkConditions()
      path.delay = .milliseconds(10)
      path.rate = 50_000_000
      path.queue = 150_000
      var configuration = Configuration()
      configuration.congestion = algorithm
      let pair = Pair(path, seed: 5, a: configuration)
      let id = try pair.open(.a, "bulk")
      let transfer = Transfer(pair, id, from: .a, size: 6_000_000, salt: 3)
      let start = pair.now
      #expect(pair.run(work: transfer.work, until: { transfer.isComplete }))
      let seconds = Double((pair.now - start).wholeNanoseconds) / 1e9
      // At 50 Mbit/s the bytes alone take 0.96 s.
      #expect(seconds < 1.5, "\(algorithm) took \(seconds) s")
    }
  }

  @Test func `bulk packets fill the capacity`() throws {
    var path = LinkConditions()
    path.delay = .milliseconds(1)
    let pair = Pair(path)
    var sizes: [Int: Int] = [:]
    pair.onPacket = { side, message in if side == .a { sizes[message.count, default: 0] += 1 } }
    let id = try pair.open(.a, "bulk")
    let transfer = Transfer(pair, id, from: .a, size: 1_000_000, salt: 3)
    #expect(pair.run(work: transfer.work, until: { transfer.isComplete }))
    let full = sizes.filter { $0.key >= pair.capacity - 1 }.values.reduce(0, +)
    #expect(full >= 700 && sizes.values.reduce(0, +) - full < 30, "\(sizes)")
  }
}
