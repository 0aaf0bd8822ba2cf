import MeshPrimitives
import MeshSTUN
import MeshSimulation
import Testing

// As in docs/layers.md.
private func askForMyAddress(_ server: SocketAddress, _ entropy: any Entropy, now: Instant) {
  var client = BindingClient(to: server, entropy: entropy, now: now)
  var destination: SocketAddress?
  let request = [UInt8](capacity: client.messageSize) { output in
    destination = client.nextTransmit(into: &output, now: now)
  }
  // Send `request` to `destination`. Give what comes back to `client.handle(_:from:now:)`; at `client.deadline` call
  // `handleTimeout(now:)` and ask `nextTransmit` again.
  while let event = client.nextEvent() {
    if case .mapped(let mapping) = event { print("seen from outside as", mapping.address) }
  }
  _ = (request, destination)
}

@Suite("Example") struct ExampleTests {
  @Test func `the example of docs/layers.md compiles, and its request is one`() {
    let server = SocketAddress(IPAddress("192.0.2.1")!, port: 3478)
    let now = Instant(nanoseconds: 1_000_000_000)
    askForMyAddress(server, SeededEntropy(seed: 1), now: now)
    var client = BindingClient(to: server, entropy: SeededEntropy(seed: 1), now: now)
    var destination: SocketAddress?
    let request = [UInt8](capacity: client.messageSize) { destination = client.nextTransmit(into: &$0, now: now) }
    #expect(destination == server && STUNMessage.isSTUN(request.bytes))
  }
}
