import MeshPrimitives
import MeshReliability
import MeshSession
import Testing

@testable import MeshNode

@Suite("Node: a peer that is listed again") struct RelistedPeerTests {
  /// The peer was not reached when it was removed, so it still has the connection from before.
  @Test func `bytes of the new connection do not come out of a stream of the old one`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("echo", access: .peers)
    lab.connect(left, to: right)
    let old = try lab.open("echo", from: left, to: right)
    lab.send([1, 2, 3], on: old, from: left)
    lab.run(for: .seconds(1))
    let accepted = try #require(right.opened().first)
    #expect(right.received[accepted] == [1, 2, 3])

    lab.delays[right.address] = .some(nil)
    left.node.removePeer(left.find(right.key)!, now: lab.now)
    lab.run(for: .milliseconds(100))
    lab.delays.removeValue(forKey: right.address)
    _ = try left.node.addPeer(PeerConfiguration(publicKey: right.key, endpoint: right.address), now: lab.now)
    lab.run(for: .seconds(6))
    lab.connect(left, to: right)
    lab.run(for: .seconds(6))
    let new = try lab.open("echo", from: left, to: right)
    lab.send(NodeTests.data(100_000), on: new, from: left)
    lab.run(for: .seconds(5))
    let streams = right.opened()
    #expect(streams.count == 2)
    #expect(right.received[accepted] == [1, 2, 3])
    #expect(right.received[try #require(streams.last)] == NodeTests.data(100_000))
    #expect(right.events.contains(.disconnected(right.find(left.key)!, .peerRestarted)))
  }

  @Test func `a peer that is removed is told`() throws {
    let (lab, left, right) = try NodeLab.pair()
    lab.connect(left, to: right)
    left.node.removePeer(left.find(right.key)!, now: lab.now)
    lab.run(for: .seconds(1))
    let reason = CloseReason.closedByPeer(code: .peerRemoved, reason: "")
    #expect(right.events.contains(.disconnected(right.find(left.key)!, .closed(reason))))
  }
}
