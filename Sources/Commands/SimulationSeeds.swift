internal import MeshNodeSimulation

/// Runs made-up scenarios, one seed after the other.
public struct SimulationSeeds: Sendable {
  private let first: UInt64
  private let count: UInt64
  private let artifacts: String
  /// A file for a line of JSON for each packet and event of all runs.
  public var traceFile: String?

  public init(from first: UInt64, count: UInt64) {
    self.first = first
    self.count = count
    artifacts = environmentValue("PNET_ARTIFACTS") ?? "."
  }

  /// - Throws: `Failure` when one has failed, after all.
  public func run(_ say: (String) -> Void) throws {
    let bar = ProgressBar()
    let trace = try traceFile.map { try SimulationFile($0) }
    defer { try? trace?.finish() }
    var failures = 0
    for index in 0..<count {
      try Task.checkCancellation()
      let seed = first &+ index
      bar.show("seeds", step: Int(clamping: index), of: Int(clamping: count))
      let network = SimulatedNetwork(.random(seed: seed))
      if let trace { network.observer = { trace.append($0) } }
      network.run()
      guard let violation = network.violation else { continue }
      failures += 1
      bar.clear()
      say("\(violation)")
      try SimulationFile.write(
        "\(violation)\n\n```mermaid\n\(violation.diagram)```\n\n\(network.scenario)\n",
        to: "\(artifacts)/sim-seed-\(seed).md")
    }
    bar.clear()
    guard failures == 0 else {
      throw Failure("\(failures) of \(count) seeds failed; their last packets are in \(artifacts)/sim-seed-….md")
    }
    say("\(count) seeds from \(first) on: all as it should be")
  }
}
