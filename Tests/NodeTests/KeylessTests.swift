import MeshPrimitives
import MeshReliability
import Testing

@testable import MeshNode

/// A node that has lost its keys, as after a sleep or a step of the clock, while a connection has something under way.
@Suite("Node: without keys") struct KeylessTests {
  @Test func `a connection whose keys were erased waits for new ones without spinning, and goes on`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("echo", access: .peers)
    lab.connect(left, to: right)
    let stream = try lab.open("echo", from: left, to: right)
    lab.run(for: .seconds(1))
    // Something is under way that is not answered, and the peer cannot be reached for a while.
    lab.delays[right.address] = .some(nil)
    lab.send(NodeTests.data(5000), on: stream, from: left)
    lab.run(for: .milliseconds(20))
    left.node.eraseAllKeys(now: lab.now)
    let before = lab.turns
    lab.run(for: .seconds(8))
    #expect(lab.turns - before < 200)
    #expect(!left.events.contains { if case .disconnected = $0 { true } else { false } })
    lab.delays.removeValue(forKey: right.address)
    lab.run(for: .seconds(10))
    #expect(right.received.values.first == NodeTests.data(5000))
    #expect(!left.events.contains { if case .disconnected = $0 { true } else { false } })
  }

  @Test func `a node that slept asks before it takes the connection for dead`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("echo", access: .peers)
    lab.connect(left, to: right)
    let stream = try lab.open("echo", from: left, to: right)
    lab.run(for: .seconds(1))
    lab.delays[right.address] = .some(nil)
    lab.send(NodeTests.data(5000), on: stream, from: left)
    lab.run(for: .milliseconds(20))
    lab.delays.removeValue(forKey: right.address)
    // Ten minutes in which nothing ran here.
    lab.now = lab.now + .seconds(600)
    left.node.eraseAllKeys(now: lab.now)
    lab.run(for: .seconds(10))
    #expect(right.received.values.first == NodeTests.data(5000))
    #expect(!left.events.contains { if case .disconnected = $0 { true } else { false } })
  }
}
