import Foundation
import MeshPrimitives
import MeshReliability
import MeshSimulation

/// Congestion controllers alone and beside each other on simulated links: tables and plots.
///
///     congestion-plots [--json] [--quick] [--output FOLDER] [--only PATH]
///
/// Writes `table.md` and the plots to FOLDER, or with `--json` all figures to the standard output. `--quick` leaves out links
/// of 1,000 Mbit/s; `--only` takes those whose name has PATH in it, and prints their table, without recovery and plots. The same figures come out on every machine.
@main struct CongestionPlots {
  static func main() async throws {
    var arguments = Array(CommandLine.arguments.dropFirst())
    let isJSON = take("--json", from: &arguments)
    let isQuick = take("--quick", from: &arguments)
    var output = "docs/congestion"
    if let value = takeValue("--output", from: &arguments) { output = value }
    let only = takeValue("--only", from: &arguments)
    guard arguments.isEmpty else {
      FileHandle.standardError.write(
        Data("usage: congestion-plots [--json] [--quick] [--output FOLDER] [--only PATH]\n".utf8))
      exit(2)
    }

    let rates: [Int64] = isQuick ? [10, 100] : [10, 100, 1_000]
    var jobs: [(Path, [CongestionAlgorithm])] = []
    for rate in rates {
      for roundTrip in [5, 50, 300] {
        for path in paths(rate, roundTrip) { jobs += CongestionAlgorithm.allCases.map { (path, [$0]) } }
      }
    }
    if let only { jobs.removeAll { !$0.0.name.contains(only) } }
    let aloneCount = jobs.count
    for path in pairPaths(rates) {
      for (index, first) in CongestionAlgorithm.allCases.enumerated() {
        jobs += CongestionAlgorithm.allCases[index...].map { (path, [first, $0]) }
      }
    }
    if let only { jobs.removeAll { !$0.0.name.contains(only) } }
    let work = jobs
    let results = await inOrder(work.count, "runs") { Measure.run(work[$0].0, work[$0].1) }
    let alone = Array(results[..<aloneCount])
    let pairs = Array(results[aloneCount...])

    if only != nil, !isJSON { return print(table(alone, pairs, [], [])) }

    let changing = (only == nil ? recoveryPaths : []).flatMap { path in CongestionAlgorithm.allCases.map { (path, $0) }
    }
    let recovery = await inOrder(changing.count, "changes of rate") {
      Measure.recovery(changing[$0].0, changing[$0].1)
    }
    let shared = only == nil ? backgroundPaths : []
    let background = await inOrder(shared.count, "background lanes") { Measure.background(shared[$0]) }
    if isJSON {
      return print(Tables.json(alone: alone, pairs: pairs, recovery: recovery, background: background))
    }

    try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
    try table(alone, pairs, recovery, background).write(toFile: output + "/table.md", atomically: true, encoding: .utf8)
    for (name, plot) in plots() {
      try plot.svg.write(toFile: "\(output)/\(name).svg", atomically: true, encoding: .utf8)
    }
  }

  private static func take(_ option: String, from arguments: inout [String]) -> Bool {
    guard let index = arguments.firstIndex(of: option) else { return false }
    arguments.remove(at: index)
    return true
  }

  private static func takeValue(_ option: String, from arguments: inout [String]) -> String? {
    guard let index = arguments.firstIndex(of: option), index + 1 < arguments.count else { return nil }
    arguments.remove(at: index)
    return arguments.remove(at: index)
  }

  // MARK: Scenarios

  private static func paths(_ rate: Int64, _ roundTrip: Int) -> [Path] {
    // More than a connection keeps records of, and minutes of computing.
    let buffers = Int(rate) * roundTrip > 100_000 ? [1.0] : [0.25, 1, 4]
    return buffers.map { Path(rate: rate, roundTrip: roundTrip, buffer: $0) }
      + [.coDel, .dualPI2].map { Path(rate: rate, roundTrip: roundTrip, queue: $0) }
      + [0.001, 0.01, 0.05].map { Path(rate: rate, roundTrip: roundTrip, loss: $0) }
  }

  private static func pairPaths(_ rates: [Int64]) -> [Path] {
    let places: [(Int64, Int)] = [(10, 50), (100, 5), (100, 50), (100, 300), (1_000, 50)]
    return places.filter { rates.contains($0.0) }.flatMap { rate, roundTrip in
      [1, 4].map { Path(rate: rate, roundTrip: roundTrip, buffer: $0) }
        + [.coDel, .dualPI2].map { Path(rate: rate, roundTrip: roundTrip, queue: $0) }
    }
  }

  private static var recoveryPaths: [Path] {
    [5, 50].flatMap { roundTrip in
      [1, 4].map { Path(rate: 100, roundTrip: roundTrip, buffer: $0) }
        + [.coDel, .dualPI2].map { Path(rate: 100, roundTrip: roundTrip, queue: $0) }
    }
  }

  private static var backgroundPaths: [Path] {
    [(10, 50), (100, 50), (100, 300)].flatMap { rate, roundTrip in
      [0.25, 1, 4].map { Path(rate: rate, roundTrip: roundTrip, buffer: $0) }
        + [.coDel, .dualPI2].map { Path(rate: rate, roundTrip: roundTrip, queue: $0) }
    }
  }

  private static func plots() -> [(String, Plot)] {
    func plot(
      _ title: String, _ path: Path, _ flows: [(CongestionAlgorithm, Int, Int)], seconds: Int
    ) -> Plot {
      let dumbbell = Dumbbell(
        flows.map { ($0.0, .seconds($0.1), .seconds($0.2)) }, bottleneck: path.conditions, window: path.window,
        binLength: .milliseconds(seconds * 4))
      dumbbell.run(until: .seconds(seconds))
      return Plot(title: "\(title): \(path.name)", dumbbell: dumbbell)
    }
    let halving = Path(rate: 100, roundTrip: 50, buffer: 4)
    let marking = Path(rate: 100, roundTrip: 50, queue: .dualPI2)
    return [
      ("cubic", plot("CUBIC alone", Path(rate: 100, roundTrip: 50), [(.cubic, 0, 999)], seconds: 60)),
      ("prague", plot("Prague alone", marking, [(.prague, 0, 999)], seconds: 60)),
      (
        "cubic-prague",
        plot("CUBIC and Prague", marking, [(.cubic, 0, 999), (.prague, 20, 999)], seconds: 60)
      ),
      (
        "bbr",
        plot("BBR alone", Path(rate: 100, roundTrip: 50, loss: 0.01, buffer: 4), [(.bbr, 0, 999)], seconds: 60)
      ),
      (
        "cubic-bbr",
        plot("CUBIC and BBR", Path(rate: 100, roundTrip: 50), [(.cubic, 0, 999), (.bbr, 20, 999)], seconds: 60)
      ),
      (
        "cubic-cubic-cubic",
        plot(
          "three of CUBIC", Path(rate: 100, roundTrip: 50), [(.cubic, 0, 80), (.cubic, 20, 60), (.cubic, 40, 999)],
          seconds: 100)
      ),
      (
        "ledbat-cubic",
        plot(
          "LEDBAT++ gives way", Path(rate: 20, roundTrip: 60, buffer: 4), [(.ledbat, 0, 999), (.cubic, 30, 60)],
          seconds: 90)
      ),
      (
        "halving-cubic",
        Plot(
          title: "CUBIC, half the rate from 15 to 30 s: \(halving.name)",
          dumbbell: Measure.changing(halving, .cubic, binLength: .milliseconds(200)))
      ),
      (
        "halving-prague",
        Plot(
          title: "Prague, half the rate from 15 to 30 s: \(marking.name)",
          dumbbell: Measure.changing(marking, .prague, binLength: .milliseconds(200)))
      ),
    ]
  }

  // MARK: Running

  /// Results in order, made by two tasks.
  private static func inOrder<Result: Sendable>(
    _ count: Int, _ what: String, _ make: @escaping @Sendable (Int) -> Result
  ) async -> [Result] {
    await withTaskGroup(of: (Int, Result).self) { group in
      var results = [Result?](repeating: nil, count: count)
      var next = 0
      var done = 0
      func add() {
        guard next < count else { return }
        let index = next
        next += 1
        group.addTask { (index, make(index)) }
      }
      add()
      add()
      while let (index, result) = await group.next() {
        results[index] = result
        done += 1
        if isatty(2) == 1 { FileHandle.standardError.write(Data("\r\(what): \(done) of \(count)\u{1B}[K".utf8)) }
        add()
      }
      if isatty(2) == 1 { FileHandle.standardError.write(Data("\r\u{1B}[K".utf8)) }
      return results.compactMap { $0 }
    }
  }

  private static func table(
    _ alone: [RunResult], _ pairs: [RunResult], _ recovery: [RecoveryResult],
    _ background: [BackgroundResult]
  ) -> String {
    """
    # Congestion control: figures

    Made by `scripts/bench-congestion`; [congestion.md](../congestion.md) says how, and what they mean. A cell is the part of
    the link that carried new data, and how long packets waited in the queue: the median and the 99th percentile, in
    milliseconds.

    ## Alone

    \(Tables.alone(alone))
    ## Recovery

    Seconds until the queue is short again after the rate is halved, and until 90 % are used after it is doubled.

    \(Tables.recovery(recovery))
    ## The background lane

    Parts of the link: of an idle one; and of one on which something else has begun two seconds before, with what that has.

    \(Tables.background(background))
    ## In pairs
    \(Tables.pairs(pairs))
    """
  }
}
