import CMeshAllocationCounter

/// Figures of one case.
public struct Measurement {
  public let name: String
  public let bytes: Int
  /// Nanoseconds of CPU time per operation.
  public let median: Double
  public let minimum: Double
  /// Calls of the allocator per operation, in the last round.
  public let allocations: Double
  /// The case that it is held against, and how many times as long as that it takes: the median over the rounds.
  public var reference: String?
  public var ratio: Double?
  /// What it comes to besides time.
  public var figures: [(name: String, value: Double)] = []
}

/// Runs cases.
public struct Runner {
  public var rounds = 15
  /// CPU time that a round of a case takes at least, in nanoseconds.
  public var roundTime: Int64 = 10_000_000

  public init() {}

  /// Runs the cases of one operation, which take turns: a disturbance hits all of them. A case that this machine cannot
  /// run is left out.
  public func run(_ benchmarks: [Benchmark]) -> [Measurement] {
    var runs = benchmarks.compactMap { benchmark in benchmark.make().map { Run(benchmark, $0) } }
    for index in runs.indices { runs[index].calibrate(roundTime) }
    for _ in 0..<rounds { for index in runs.indices { runs[index].round() } }
    return runs.map { run in
      var measurement = run.measurement
      if let label = run.benchmark.reference, let reference = runs.first(where: { $0.benchmark.label == label }) {
        measurement.reference = label
        measurement.ratio = median(zip(run.times, reference.times).map { $0 / $1 })
      }
      return measurement
    }
  }

  private struct Run {
    let benchmark: Benchmark
    let work: Benchmark.Work
    var count = 1
    var times: [Double] = []
    var allocated: UInt64 = 0

    init(_ benchmark: Benchmark, _ work: Benchmark.Work) {
      self.benchmark = benchmark
      self.work = work
    }

    /// Warms up, and finds how many operations fill a round.
    mutating func calibrate(_ roundTime: Int64) {
      while true {
        let start = cpuTime()
        _ = perform(count, work)
        let elapsed = cpuTime() - start
        if elapsed >= roundTime { return }
        let scale = elapsed < roundTime / 16 ? 8 : Double(roundTime) / Double(max(elapsed, 1)) * 1.1
        count = max(count + 1, Int(Double(count) * scale))
      }
    }

    mutating func round() {
      let before = mesh_allocations()
      let elapsed = perform(count, work)
      allocated = mesh_allocations() - before
      times.append(Double(elapsed) / Double(count))
    }

    var measurement: Measurement {
      Measurement(
        name: benchmark.name, bytes: benchmark.bytes, median: median(times), minimum: times.min() ?? 0,
        allocations: Double(allocated) / Double(count), figures: benchmark.figures())
    }
  }
}

/// Does `count` operations and returns how long they took, in nanoseconds.
func perform(_ count: Int, _ work: Benchmark.Work) -> Int64 {
  switch work {
  case .timed(let body): return body(count)
  case .loop(let body):
    let start = cpuTime()
    body(count)
    return cpuTime() - start
  }
}

func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  guard !sorted.isEmpty else { return 0 }
  return (sorted[sorted.count / 2] + sorted[(sorted.count - 1) / 2]) / 2
}
