import MeshNodeSimulation

extension Fuzzing {
  /// A scenario of `pnet sim`: it is read as a whole or refused with lines and reasons, and a comment more changes nothing.
  public static func scenario(_ input: [UInt8]) {
    let text = String(decoding: input, as: UTF8.self)
    let lines = text.count { $0.isNewline } + 1
    let scenario: Scenario
    do throws(ScenarioError) { scenario = try Scenario(parsing: text) } catch {
      require(!error.issues.isEmpty, "a refusal must have a reason")
      require(error.issues.count <= 20, "reasons must be bounded")
      require(error.issues.allSatisfy { (0...lines).contains($0.line) }, "a reason must name a line of the text")
      require(error.issues.allSatisfy { !$0.message.isEmpty }, "a refusal must say something")
      return
    }
    require(scenario.problem == nil, "what was read must fit together")
    require((1...1_000_000).contains(scenario.topology.nodes), "the number of nodes has its range")
    require((try? Scenario(parsing: text + "\n# more\n")) == scenario, "a comment is none")
  }
}
