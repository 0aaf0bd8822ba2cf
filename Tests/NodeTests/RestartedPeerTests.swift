import MeshCrypto
import MeshPrimitives
import MeshReliability
import MeshSession
import MeshSimulation
import Testing

@testable import MeshNode

@Suite("Node: a peer that starts again") struct RestartedPeerTests {
  /// Until the other side has learned of the restart, it goes on with its old connection on the new keys.
  @Test(arguments: UInt64(1)...20)
  func `packets of the old connection are not taken for ones of the new`(seed: UInt64) throws {
    let (lab, left, right) = try NodeLab.pair(seed: seed)
    right.node.setService("bulk", access: .peers)
    lab.connect(left, to: right)
    let old = try lab.open("bulk", from: left, to: right)
    lab.send(NodeTests.data(40_000_000), on: old, from: left)
    lab.run(for: .milliseconds(100))
    #expect(right.opened().count == 1)

    var entropy = SeededEntropy(seed: 2)
    right.node = Node(
      privateKey: try PrivateKey(generating: &entropy), entropy: SeededEntropy(seed: 77 + seed),
      provider: CipherProvider(preferring: .libsodium), now: lab.now)
    right.events = []
    right.received = [:]
    left.outgoing = []
    right.node.setService("bulk", access: .peers)
    _ = try right.node.addPeer(PeerConfiguration(publicKey: left.key, endpoint: left.address), now: lab.now)
    // One Hello that is lost, and the other side does not know yet.
    lab.loss = 300
    lab.connect(right, to: left)
    lab.run(for: .seconds(4))
    lab.loss = 0
    lab.run(for: .seconds(10))
    #expect(left.events.contains(.disconnected(left.find(right.key)!, .peerRestarted)))
    #expect(right.opened().isEmpty)
    let new = try lab.open("bulk", from: left, to: right)
    lab.send(NodeTests.data(100_000), on: new, from: left)
    lab.run(for: .seconds(5))
    #expect(right.opened().count == 1)
    #expect(right.received[try #require(right.opened().last)] == NodeTests.data(100_000))
  }
}
