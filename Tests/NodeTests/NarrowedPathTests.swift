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
}
