import MeshPrimitives
import MeshReliability
import MeshSimulation

/// A bottleneck.
struct Path: Sendable {
  /// Mbit/s.
  var rate: Int64
  /// Milliseconds, without any queue.
  var roundTrip: Int
  /// The part of packets that are lost, besides those that the queue drops.
  var loss = 0.0
  /// Bytes of the queue, as a multiple of what one round trip carries.
  var buffer = 1.0
  var queue = Queue.dropTail

  enum Queue: String, Sendable { case dropTail = "drop-tail", coDel = "CoDel", dualPI2 = "DualPI2" }

  var product: Int { Int(rate) * 125 * roundTrip }
  /// A managed queue has room enough never to be full.
  var queueBytes: Int {
    queue == .dropTail
      ? max(Int(Double(product) * buffer), 4 * Dumbbell.packetSize) : max(4 * product, Int(rate) * 125 * 400)
  }

  var conditions: LinkConditions {
    var conditions = LinkConditions()
    conditions.rate = rate * 1_000_000
    conditions.delay = .microseconds(roundTrip * 500)
    conditions.loss = loss
    conditions.queue = queueBytes
    switch queue {
    case .dropTail: conditions.discipline = .dropTail
    case .coDel: conditions.discipline = .coDel()
    case .dualPI2: conditions.discipline = .dualPI2()
    }
    return conditions
  }

  /// Bytes that a sender needs: more than fit into path and queue, within what a connection keeps records of.
  var window: Int { min((product + queueBytes) / 2 * 3 + (1 << 20), 128 << 20) }

  var queueName: String { queue == .dropTail ? "\(fixed(buffer, buffer < 1 ? 2 : 0)) BDP" : queue.rawValue }
  var name: String {
    "\(rate) Mbit/s, \(roundTrip) ms, \(queueName)" + (loss > 0 ? ", \(fixed(loss * 100, 1)) % lost" : "")
  }
}

/// One flow of a run.
struct FlowResult: Sendable {
  var algorithm: CongestionAlgorithm
  /// Of the data that the link could carry, in the measured time.
  var share = 0.0
  /// Milliseconds.
  var waitMedian = 0.0
  var wait99 = 0.0
}

/// What is measured in one run.
struct RunResult: Sendable {
  var path: Path
  var seconds: Int
  var flows: [FlowResult]

  /// Jain's index: 1 when all have the same, 1 ÷ n when one has all.
  var fairness: Double {
    let sum = flows.reduce(0) { $0 + $1.share }
    let squares = flows.reduce(0) { $0 + $1.share * $1.share }
    return squares > 0 ? sum * sum / (Double(flows.count) * squares) : 0
  }
}

/// How long after a change of the rate all is as it should be again. `nil`: not before the next change.
struct RecoveryResult: Sendable {
  var path: Path
  var algorithm: CongestionAlgorithm
  /// Seconds from the halving until the wait is down to what it stays at.
  var drain: Double?
  /// Seconds from the doubling until 90 % of the rate are used.
  var regain: Double?
}

/// What the background lane takes, as parts of the link.
struct BackgroundResult: Sendable {
  var path: Path
  /// Of an idle link.
  var alone = 0.0
  /// Two seconds and more after a CUBIC flow of another connection has begun: the lane, and that flow.
  var besideAnother = (lane: 0.0, other: 0.0)
  /// The same for the bulk lane of the connection.
  var besideBulk = (lane: 0.0, other: 0.0)
}

enum Measure {
  static func background(_ path: Path) -> BackgroundResult {
    let always = Duration.seconds(100_000)
    func run(_ loads: [[(lane: Lane, start: Duration, stop: Duration)]]) -> Dumbbell {
      let dumbbell = Dumbbell(
        loads.map { (.cubic, $0[0].start, always) }, loads: loads, bottleneck: path.conditions, window: path.window)
      dumbbell.run(until: .seconds(24))
      return dumbbell
    }
    func share(_ dumbbell: Dumbbell, _ load: Dumbbell.Load, from: Int) -> Double {
      dumbbell.share(load, from: .seconds(from), to: .seconds(24))
    }
    var result = BackgroundResult(path: path)
    let background: (lane: Lane, start: Duration, stop: Duration) = (.background, .zero, always)
    let bulk: (lane: Lane, start: Duration, stop: Duration) = (.bulk, .seconds(12), always)
    let alone = run([[background]])
    result.alone = share(alone, alone.flows[0].loads[0], from: 8)
    let two = run([[background], [bulk]])
    result.besideAnother = (
      share(two, two.flows[0].loads[0], from: 14), share(two, two.flows[1].loads[0], from: 14)
    )
    let one = run([[background, bulk]])
    result.besideBulk = (share(one, one.flows[0].loads[0], from: 14), share(one, one.flows[0].loads[1], from: 14))
    return result
  }

  /// Flows that start a tenth of a second apart and never end.
  static func run(_ path: Path, _ algorithms: [CongestionAlgorithm]) -> RunResult {
    let seconds =
      path.roundTrip > 100 ? path.rate >= 1_000 ? 45 : 60 : path.rate >= 1_000 ? path.roundTrip < 20 ? 6 : 15 : 24
    let dumbbell = Dumbbell(
      algorithms.enumerated().map { ($1, .milliseconds(100 * $0), .seconds(100_000)) }, bottleneck: path.conditions,
      window: path.window)
    let from = Duration.seconds(seconds / 3)
    dumbbell.recordsFrom = dumbbell.begin + from
    dumbbell.run(until: .seconds(seconds))
    return RunResult(
      path: path, seconds: seconds,
      flows: dumbbell.flows.map {
        FlowResult(
          algorithm: $0.algorithm, share: dumbbell.share($0, from: from, to: .seconds(seconds)),
          waitMedian: Dumbbell.quantile(0.5, of: $0.waits), wait99: Dumbbell.quantile(0.99, of: $0.waits))
      })
  }

  /// The rate is halved after 15 s and back after 30 s.
  static func recovery(_ path: Path, _ algorithm: CongestionAlgorithm) -> RecoveryResult {
    let dumbbell = changing(path, algorithm, binLength: .milliseconds(100))
    let settled = dumbbell.waitInBin[dumbbell.bins(.seconds(25), .seconds(30))].sorted()
    let usual = settled[settled.count * 19 / 20]
    let half = dumbbell.bins(.seconds(15), .seconds(30))
    // The first bin may still be as before.
    let drained = half.dropFirst().first { dumbbell.waitInBin[$0] <= usual }
    let all = dumbbell.bins(.seconds(30), .seconds(45))
    let full = Double(path.rate) * 1e6 / 8 / 2 * 0.9
    let delivered = dumbbell.flows[0].deliveredInBin
    let regained = all.dropLast(5).first { Double(delivered[$0..<$0 + 5].reduce(0, +)) >= full }
    return RecoveryResult(
      path: path, algorithm: algorithm, drain: drained.map { Double($0 - half.lowerBound) / 10 },
      regain: regained.map { Double($0 + 5 - all.lowerBound) / 10 })
  }

  static func changing(_ path: Path, _ algorithm: CongestionAlgorithm, binLength: Duration) -> Dumbbell {
    var conditions = path.conditions
    let begin = VirtualClock().now
    conditions.rateChanges = [
      RateChange(at: begin + .seconds(15), rate: path.rate * 500_000),
      RateChange(at: begin + .seconds(30), rate: path.rate * 1_000_000),
    ]
    let dumbbell = Dumbbell(
      [(algorithm, .zero, .seconds(100_000))], bottleneck: conditions, window: path.window, binLength: binLength)
    dumbbell.run(until: .seconds(45))
    return dumbbell
  }
}

extension CongestionAlgorithm {
  var name: String {
    switch self {
    case .newReno: "NewReno"
    case .cubic: "CUBIC"
    case .ledbat: "LEDBAT++"
    case .prague: "Prague"
    case .bbr: "BBR"
    }
  }
}
