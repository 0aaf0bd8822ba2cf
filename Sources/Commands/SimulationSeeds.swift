internal import MeshNodeSimulation

/// Runs made-up scenarios, one seed after the other.
public struct SimulationSeeds: Sendable {
  private let first: UInt64
  private let count: UInt64
  private let artifacts: String

  public init(from first: UInt64, count: UInt64) {
    self.first = first
    self.count = count
    artifacts = environmentValue("PNET_ARTIFACTS") ?? "."
  }

  /// - Throws: `Failure` when one has failed, after all.
  public func run(_ say: (String) -> Void) throws {
    let bar = ProgressBar()
    var failures = 0
    for index in 0..<count {
      try Task.checkCancellation()
      let seed = first &+ index
      bar.show("seeds", step: Int(clamping: index), of: Int(clamping: count))
      let network = SimulatedNetwork(.random(seed: seed))
      network.run()
      guard let violation = network.violation else { continue }
      failures += 1
      bar.clear()
      say("\(violation)")
      try SimulationFile.write(
        "\(violation)\n\n```mermaid\n\(violation.diagram)```\n", to: "\(artifacts)/sim-seed-\(seed).md")
    }
    bar.clear()
    guard failures == 0 else {
      throw Failure("\(failures) of \(count) seeds failed; their last packets are in \(artifacts)/sim-seed-….md")
    }
    say("\(count) seeds from \(first) on: all as it should be")
  }
}
