import MeshICE
import MeshPrimitives
import MeshSimulation
import Testing

// As in docs/layers.md.
private func connect(
  _ agent: inout ICEAgent, on base: SocketAddress, to theirs: ICECredentials, _ lines: [String], now: Instant
) {
  agent.addLocalCandidate(.host, address: base, base: base)
  // Tell the peer: agent.credentials, and the descriptions of agent.localCandidates.
  agent.endOfLocalCandidates(now: now)
  agent.setRemote(theirs, now: now)
  for line in lines {
    if let candidate = try? Candidate(parsing: line) { _ = try? agent.addRemoteCandidate(candidate, now: now) }
  }
  agent.endOfRemoteCandidates(now: now)
  while let (transmit, bytes) = agent.nextTransmit(now: now) { _ = (transmit.base, transmit.destination, bytes) }
  // Give what comes to `handle(_:from:on:now:)`; at `agent.deadline` call `handleTimeout(now:)`; then drain again.
  while let event = agent.nextEvent() {
    if case .selected(let pair) = event { print("send from", pair.base, "to", pair.destination) }
  }
}

@Suite("Example") struct ExampleTests {
  @Test func `the example of docs/layers.md begins to check`() {
    let now = Instant(nanoseconds: 1_000_000_000)
    var entropy = SeededEntropy(seed: 1)
    var agent = ICEAgent(
      role: .controlling, credentials: ICECredentials(random: &entropy), entropy: SeededEntropy(seed: 2))
    let theirs = ICECredentials(random: &entropy)
    let base = SocketAddress(IPAddress("192.0.2.1")!, port: 4000)
    connect(&agent, on: base, to: theirs, ["candidate:1 1 udp 2130706431 192.0.2.2 5000 typ host"], now: now)
    let (state, deadline) = (agent.state, agent.deadline)
    #expect(state == .checking && deadline != nil)
  }
}
