import MeshNodeSimulation
import MeshSimulation
import Testing

@Suite("Simulated network") struct NetworkTests {
  static func scenario(_ topology: Topology, seed: UInt64 = 1, seconds: Int = 30) -> Scenario {
    var scenario = Scenario()
    scenario.seed = seed
    scenario.duration = .seconds(seconds)
    scenario.topology = topology
    scenario.messages = .init()
    return scenario
  }

  @Test func `all messages arrive where nothing is in the way`() {
    let network = SimulatedNetwork(Self.scenario(Topology(.ring, nodes: 8)))
    network.run()
    let messages = network.report.messages
    #expect(network.violation == nil)
    #expect(messages.offered > 200 && messages.delivered >= messages.offered - 8)
    #expect(messages.latencyMillisecondsP50 >= 10 && messages.latencyMillisecondsP99 < 15)
  }
}
