import ArgumentParser
import MeshCommands
import MeshNodeSimulation

struct Simulate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sim", abstract: "Run many real nodes in a simulated network, and say what came of it.",
    discussion: """
      The nodes are the ones of 'pnet up', with real keys and packets; clocks, links and NATs are simulated, so ten minutes \
      of a thousand nodes take seconds. What the nodes deliver is checked byte for byte. The same scenario and seed give \
      the same run, which the trace hash proves.

      A scenario is a text file; docs/simulation.md lists its statements. Flags count over it.
      """)

  @Argument(help: ArgumentHelp("A scenario.", valueName: "file"))
  var file: String?

  @Option(help: ArgumentHelp("How many nodes. (default: 8)", valueName: "number"))
  var nodes: String?

  @Option(help: ArgumentHelp("line, ring, star, grid, random or full. (default: ring)", valueName: "kind"))
  var topology: String?

  @Option(help: ArgumentHelp("Neighbours of a node in a random topology. (default: 4)", valueName: "number"))
  var degree: String?

  @Option(help: ArgumentHelp("Virtual time, such as 30s or 10m. (default: 60s)", valueName: "time"))
  var duration: String?

  @Option(help: ArgumentHelp("Loss on each path, such as 1%. (default: none)", valueName: "share"))
  var loss: String?

  @Option(help: ArgumentHelp("One-way delay of each path. (default: 10ms)", valueName: "time"))
  var delay: String?

  @Option(help: ArgumentHelp("Rate of each path, such as 10M bits per second. (default: no limit)", valueName: "rate"))
  var rate: String?

  @Option(
    help: ArgumentHelp(
      "What each node sends to its neighbours in turn, such as '200B every 1s', or 'none'. (default without a file: 200B every 1s)",
      valueName: "messages"))
  var messages: String?

  @Option(help: ArgumentHelp("Decides all that is random. (default: 1)", valueName: "number"))
  var seed: UInt64?

  @Flag(help: "The nodes only know of each other, and do not connect.")
  var idle = false

  @Flag(help: "Print JSON.")
  var json = false

  @Option(help: ArgumentHelp("Write a drawing of the network and its transfers.", valueName: "file"))
  var svg: String?

  @Option(help: ArgumentHelp("Write each packet and event as a line of JSON.", valueName: "file"))
  var trace: String?

  @Option(
    help: ArgumentHelp(
      "Run so many made-up scenarios, from --seed on, and tell which fail.", valueName: "number"))
  var random: UInt64?

  func validate() throws {
    guard random == nil || file == nil else { throw ValidationError("Give either a scenario, or --random.") }
    var scenario = SimulationRun.usual
    try apply(to: &scenario)
  }

  /// The flags that are statements of a scenario.
  private func apply(to scenario: inout Scenario) throws {
    for (statement, value) in [
      ("nodes", nodes), ("topology", topology), ("degree", degree), ("duration", duration), ("link loss", loss),
      ("link delay", delay), ("link rate", rate), ("messages", messages),
    ] {
      guard let value else { continue }
      do throws(ScenarioError) { try scenario.apply("\(statement) \(value)") } catch {
        throw ValidationError("--\(statement.split(separator: " ").last!): \(error.issues[0].message)")
      }
    }
  }

  func run() async throws {
    if let random {
      var seeds = SimulationSeeds(from: seed ?? 1, count: random)
      seeds.traceFile = trace
      return try seeds.run { Console.out($0) }
    }
    var scenario = try file.map { try SimulationRun.read($0) } ?? SimulationRun.usual
    try apply(to: &scenario)
    if let seed { scenario.seed = seed }
    if idle { scenario.connects = false }
    var run = SimulationRun(scenario)
    run.drawingFile = svg
    run.traceFile = trace
    let result = try run.run()
    Console.out(json ? try JSON.pretty(result) : SimulationText(result).text)
  }
}
