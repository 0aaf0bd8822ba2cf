import ArgumentParser
import MeshCommands
import MeshNodeSimulation

struct Simulate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sim", abstract: "Run many real nodes in a simulated network, and say what came of it.")

  @Option var nodes = 8
  @Option var topology = "ring"
  @Option var degree = 4
  @Option var duration = 60
  @Option var seed: UInt64 = 1

  @Option var random = 0
  @Flag var text = false

  func run() async throws {
    if random > 0 {
      var failures = 0
      for seed in seed..<seed + UInt64(random) {
        let network = SimulatedNetwork(.random(seed: seed))
        network.run()
        if let violation = network.violation {
          failures += 1
          Console.out(violation.description)
          if text { Console.out("\(network.scenario)\n" + violation.diagram) }
        } else if text { Console.out(try JSON.pretty(network.report)) }
      }
      Console.out("\(failures) of \(random) failed")
      return
    }
    var scenario = Scenario()
    scenario.seed = seed
    scenario.duration = .seconds(duration)
    scenario.topology = Topology(Topology.Kind(rawValue: topology)!, nodes: nodes, degree: degree)
    scenario.messages = .init()
    let began = ContinuousClock.now
    let network = SimulatedNetwork(scenario)
    let built = ContinuousClock.now
    network.run()
    let ended = ContinuousClock.now
    Console.out(try JSON.pretty(network.report))
    Console.out("build \(built - began) run \(ended - built)")
    if let v = network.violation { Console.out(v.description); Console.out(v.diagram) }
  }
}
