internal import Glibc
public import MeshNodeSimulation
internal import MeshPrimitives

/// `pnet sim`: runs a scenario, shows how far it is, and writes what was asked for.
public struct SimulationRun: Sendable {
  /// What came of a run, with the speed of this machine.
  public struct Result: Encodable, Sendable {
    public let report: SimulationReport
    /// Of the real clock: to make the nodes, and to run.
    public let setupSeconds: Double
    public let runSeconds: Double
    /// Of the processor, all in all: what other programs do counts less in it.
    public let cpuSeconds: Double
    /// Virtual seconds in a real one.
    public let speed: Double
    /// Bytes of memory at the most.
    public let peakMemory: UInt64
  }

  public var scenario: Scenario
  /// Files to write: a line of JSON for each packet and event; a drawing.
  public var traceFile: String?
  public var drawingFile: String?
  /// Where the sequence diagram of a violation goes.
  public var artifacts: String

  public init(_ scenario: Scenario) {
    self.scenario = scenario
    artifacts = environmentValue("PNET_ARTIFACTS") ?? "."
  }

  /// What runs where nothing else is said.
  public static var usual: Scenario {
    var scenario = Scenario()
    scenario.messages = Scenario.MessageTraffic()
    return scenario
  }

  /// Reads a scenario from a file.
  /// - Throws: `Failure` with file, line and what is expected.
  public static func read(_ file: String) throws -> Scenario {
    let access = try FileAccess.reading(file)
    guard access.size <= 4 << 20 else { throw Failure("\(file) has more than 4 MiB: that is no scenario", .badInput) }
    let text = String(decoding: try access.read(at: 0, upTo: 4 << 20), as: UTF8.self)
    do throws(ScenarioError) {
      return try Scenario(parsing: text)
    } catch {
      let lines = error.issues.map { $0.line > 0 ? "\(file):\($0.line): \($0.message)" : "\(file): \($0.message)" }
      throw Failure(lines.joined(separator: "\n"), .badInput)
    }
  }

  /// Runs to the end. A violation is a `Failure` after all files are written.
  public func run() throws -> Result {
    if let problem = scenario.problem { throw Failure(problem, .badInput) }
    let trace = try traceFile.map { try SimulationFile($0) }
    let bar = ProgressBar()
    let began = ContinuousClock.now
    let network = SimulatedNetwork(scenario)
    if let trace { network.observer = { trace.append($0) } }
    let built = ContinuousClock.now
    let steps = 200
    for step in 1...steps where network.violation == nil {
      network.run(until: network.start + scenario.duration / steps * step)
      let (offered, delivered) = network.messagesSoFar
      bar.show(
        "\(decimal(Double(step) / Double(steps) * seconds(scenario.duration), digits: 1)) s, \(delivered) of \(offered) messages, "
          + "\(network.datagramsSoFar) datagrams", step: step, of: steps)
      try Task.checkCancellation()
    }
    network.run()
    bar.clear()
    try trace?.finish()
    let real = seconds(ContinuousClock.now - built)
    if let drawingFile { try SimulationFile.write(SimulationDrawing(network).svg, to: drawingFile) }
    if let violation = network.violation {
      let file = "\(artifacts)/sim-seed-\(scenario.seed).md"
      try SimulationFile.write("\(violation)\n\n```mermaid\n\(violation.diagram)```\n", to: file)
      throw Failure("\(violation)\nthe last packets are in \(file)", .failed)
    }
    return Result(
      report: network.report, setupSeconds: seconds(built - began), runSeconds: real,
      cpuSeconds: Self.usage().cpuSeconds, speed: real > 0 ? seconds(scenario.duration) / real : 0,
      peakMemory: Self.usage().peakMemory)
  }

  private func seconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
  }

  private static func usage() -> (cpuSeconds: Double, peakMemory: UInt64) {
    var usage = rusage()
    guard unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return (0, 0) }
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return (seconds(usage.ru_utime) + seconds(usage.ru_stime), UInt64(max(usage.ru_maxrss, 0)) * 1024)
  }
}
