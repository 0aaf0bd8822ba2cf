import MeshPrimitives
import MeshReliability
import Testing

@testable import MeshNode

@Suite("Node: a peer that vanishes") struct VanishedPeerTests {
  /// Each write puts the probe timer off.
  @Test(arguments: [Int64(20), 70, 150, 400, 1100, 1400, 2500])
  func `it is noticed within 15 seconds while bytes are written every now and then`(interval: Int64) throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("echo", access: .peers)
    lab.connect(left, to: right)
    let stream = try lab.open("echo", from: left, to: right)
    _ = try left.node.write([1].span.bytes, to: stream)
    lab.run(for: .seconds(1))
    lab.mtu = 0
    let began = lab.now
    while lab.now < began + .seconds(17), left.node.status(of: left.find(right.key)!)!.isConnected {
      _ = try left.node.write([1].span.bytes, to: stream)
      lab.settle()
      lab.run(for: .milliseconds(interval))
    }
    #expect(left.events.contains(.disconnected(left.find(right.key)!, .closed(.timedOut))))
    #expect(lab.now - began >= .seconds(14))
  }

  @Test func `it is noticed within 15 seconds by who only receives`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("bulk", access: .peers)
    lab.connect(left, to: right)
    let stream = try lab.open("bulk", from: left, to: right)
    lab.send(NodeTests.data(900_000), on: stream, from: left)
    lab.run(for: .milliseconds(60))
    // Whatever the receiver asked is answered.
    lab.mtu = 200
    lab.run(for: .milliseconds(50))
    lab.mtu = 0
    lab.run(for: .milliseconds(15_100))
    #expect(right.received.values.first?.count ?? 900_000 < 900_000)
    #expect(right.events.contains(.disconnected(right.find(left.key)!, .closed(.timedOut))))
  }

  @Test func `it is noticed within 15 seconds when the keys were gone already`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("echo", access: .peers)
    lab.connect(left, to: right)
    let stream = try lab.open("echo", from: left, to: right)
    lab.mtu = 0
    left.node.eraseAllKeys(now: lab.now)
    lab.send([1], on: stream, from: left)
    lab.run(for: .seconds(14))
    #expect(!left.events.contains { if case .disconnected = $0 { true } else { false } })
    lab.run(for: .seconds(2))
    #expect(left.events.contains(.disconnected(left.find(right.key)!, .closed(.peerVanished))))
  }
}
