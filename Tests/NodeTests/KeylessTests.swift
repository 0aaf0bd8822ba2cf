import MeshPrimitives
import MeshReliability
import Testing

@testable import MeshNode

/// A node that has lost its keys, as after a sleep or a step of the clock, while a connection has something under way.
@Suite("Node: without keys") struct KeylessTests {
  private static let data = NodeTests.data(5000)

  /// The left node has sent ``data``, and nothing reaches the right one.
  private func cutOff() throws -> (lab: NodeLab, left: NodeHost, right: NodeHost) {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("echo", access: .peers)
    lab.connect(left, to: right)
    let stream = try lab.open("echo", from: left, to: right)
    lab.run(for: .seconds(1))
    lab.delays[right.address] = .some(nil)
    lab.send(Self.data, on: stream, from: left)
    lab.run(for: .milliseconds(20))
    return (lab, left, right)
  }

  private func isDisconnected(_ host: NodeHost) -> Bool {
    host.events.contains { if case .disconnected = $0 { true } else { false } }
  }

  @Test func `a connection whose keys were erased waits for new ones without spinning, and goes on`() throws {
    let (lab, left, right) = try cutOff()
    left.node.eraseAllKeys(now: lab.now)
    let before = lab.turns
    lab.run(for: .seconds(8))
    #expect(lab.turns - before < 200)
    #expect(!isDisconnected(left))
    lab.delays.removeValue(forKey: right.address)
    lab.run(for: .seconds(10))
    #expect(right.received.values.first == Self.data)
    #expect(!isDisconnected(left))
  }

  @Test func `a node that slept asks before it takes the connection for dead`() throws {
    let (lab, left, right) = try cutOff()
    lab.delays.removeValue(forKey: right.address)
    // Ten minutes in which nothing ran here.
    lab.now = lab.now + .seconds(600)
    left.node.eraseAllKeys(now: lab.now)
    lab.run(for: .seconds(10))
    #expect(right.received.values.first == Self.data)
    #expect(!isDisconnected(left))
  }
}
