import MeshPrimitives
import MeshReliability
import Testing

@testable import MeshNode

@Suite("Node: a path that becomes narrow") struct NarrowedPathTests {
  /// What asks whether the peer is there is small and passes, so no row of timeouts tells.
  @Test(arguments: [(1500, 1250), (1500, 1100), (1250, 1100), (1200, 1030)])
  func `a transfer goes on when full packets are dropped without a word`(wide: Int, narrow: Int) throws {
    let (lab, left, right) = try NodeLab.pair()
    lab.mtu = wide
    right.node.setService("bulk", access: .peers)
    lab.connect(left, to: right)
    lab.run(for: .seconds(20))
    #expect(left.node.status(of: left.find(right.key)!)!.packetSize > narrow)
    let stream = try lab.open("bulk", from: left, to: right)
    lab.mtu = narrow
    lab.send(NodeTests.data(300_000), on: stream, from: left)
    lab.run(for: .seconds(15))
    #expect(right.received[try #require(right.opened().first)]?.count == 300_000)
    #expect(left.node.status(of: left.find(right.key)!)!.packetSize <= narrow)
  }

  @Test func `an outage leaves the size of packets as it was`() throws {
    let (lab, left, right) = try NodeLab.pair()
    lab.mtu = 1_400
    right.node.setService("bulk", access: .peers)
    lab.connect(left, to: right)
    lab.run(for: .seconds(20))
    let peer = left.find(right.key)!
    let size = left.node.status(of: peer)!.packetSize
    #expect(size > 1_380)
    let stream = try lab.open("bulk", from: left, to: right)
    lab.send(NodeTests.data(3_000_000), on: stream, from: left)
    lab.run(for: .milliseconds(15))
    lab.delays[right.address] = .some(nil)
    lab.run(for: .seconds(5))
    #expect(left.node.status(of: peer)!.packetSize < size)
    lab.delays.removeValue(forKey: right.address)
    lab.run(for: .seconds(4))
    #expect(left.node.status(of: peer)!.packetSize == size)
  }

  @Test func `a router's report is heeded at once, for the path in use only`() throws {
    let (lab, left, right) = try NodeLab.pair()
    lab.mtu = 1_500
    lab.connect(left, to: right)
    lab.run(for: .seconds(20))
    let peer = left.find(right.key)!
    #expect(left.node.status(of: peer)!.packetSize > 1_400)
    left.node.packetTooBig(to: left.address, size: 1_200, now: lab.now)
    left.node.packetTooBig(to: right.address, size: 100, now: lab.now)
    #expect(left.node.status(of: peer)!.packetSize > 1_400)
    lab.mtu = 1_252
    left.node.packetTooBig(to: right.address, size: 1_252, now: lab.now)
    #expect(left.node.status(of: peer)!.packetSize == 1_248)
    lab.run(for: .seconds(10))
    #expect(left.node.status(of: peer)!.packetSize == 1_248)
    // It was forged: the size comes back.
    lab.mtu = 1_500
    left.node.packetTooBig(to: right.address, size: 1_024, now: lab.now)
    lab.run(for: .seconds(20))
    #expect(left.node.status(of: peer)!.packetSize >= 1_248)
  }
}
