import MeshPrimitives
import MeshSession
import Testing

@testable import MeshNode

/// Until it learns that we started again, a peer sends packets of its old connection, on the new keys.
@Suite("Node: a peer that takes us for who we were") struct RestartedPeerTests {
  private let now = Instant(nanoseconds: 0)

  private func hello(_ exchange: inout HelloExchange, mirrored: UInt64, own: UInt64 = 7) -> HelloExchange.Outcome {
    exchange.receive(
      incarnation: 3, mirrored: mirrored, peerHeard: true, peerSettled: false, own: own, now: now)
  }

  @Test func `its packets belong to us only once it names us as we are`() {
    var exchange = HelloExchange()
    exchange.begin(now: now)
    #expect(!exchange.knowsUs)
    #expect(!hello(&exchange, mirrored: 6).completed)
    #expect(exchange.heard && !exchange.knowsUs)
    #expect(hello(&exchange, mirrored: 7).completed)
    #expect(exchange.knowsUs)
  }

  @Test func `the end of a connection begins that again, a new key pair does not`() {
    var exchange = HelloExchange()
    exchange.begin(now: now)
    _ = hello(&exchange, mirrored: 7)
    exchange.connectionEnded()
    #expect(!exchange.knowsUs)
    _ = hello(&exchange, mirrored: 7)
    exchange.begin(now: now)
    #expect(exchange.knowsUs && !exchange.heard)
    exchange.connectionEnded()
    // We are called otherwise now.
    _ = hello(&exchange, mirrored: 7, own: 8)
    #expect(!exchange.knowsUs)
  }

  /// A second process with the key and the address of `right`, in its place.
  private func restart(_ right: NodeHost, in lab: NodeLab, knowing left: NodeHost) throws -> NodeHost {
    lab.hosts.removeAll { $0 === right }
    let new = lab.addHost(2)
    _ = try new.node.addPeer(PeerConfiguration(publicKey: left.key, endpoint: left.address), now: lab.now)
    new.node.setService("echo", access: .peers)
    return new
  }

  /// The same, once `right` has said that it leaves.
  private func leaveAndRestart(_ right: NodeHost, in lab: NodeLab, knowing left: NodeHost) throws -> NodeHost {
    right.node.closeAll(now: lab.now)
    lab.run(for: .milliseconds(100))
    #expect(!isConnected(left, to: right))
    return try restart(right, in: lab, knowing: left)
  }

  private func isConnected(_ host: NodeHost, to other: NodeHost) -> Bool {
    host.node.status(of: host.find(other.key)!)!.isConnected
  }

  @Test func `whoever said that it leaves is reached within two round trips when it is there again`() throws {
    let (lab, left, right) = try NodeLab.pair()
    lab.connect(left, to: right)
    let new = try leaveAndRestart(right, in: lab, knowing: left)
    // A handshake has just been: WireGuard would wait until 5 s after it.
    left.node.connect(to: left.find(new.key)!, now: lab.now)
    lab.run(for: .milliseconds(25))
    #expect(isConnected(left, to: new))
  }

  @Test func `and so is one that removed us from its list and listed us again`() throws {
    let (lab, left, right) = try NodeLab.pair()
    lab.connect(left, to: right)
    right.node.removePeer(right.find(left.key)!, now: lab.now)
    lab.run(for: .milliseconds(100))
    _ = try right.node.addPeer(PeerConfiguration(publicKey: left.key), now: lab.now)
    left.node.connect(to: left.find(right.key)!, now: lab.now)
    lab.run(for: .milliseconds(25))
    #expect(isConnected(left, to: right))
  }

  @Test func `two that dial each other at once use the keys of both handshakes`() throws {
    let (lab, left, right) = try NodeLab.pair()
    lab.connect(left, to: right)
    let new = try leaveAndRestart(right, in: lab, knowing: left)
    left.node.connect(to: left.find(new.key)!, now: lab.now)
    new.node.connect(to: new.find(left.key)!, now: lab.now)
    lab.run(for: .milliseconds(25))
    #expect(isConnected(left, to: new) && isConnected(new, to: left))
    // The initiation that was answered by the way does not keep the next one back.
    let newer = try leaveAndRestart(new, in: lab, knowing: left)
    left.node.connect(to: left.find(newer.key)!, now: lab.now)
    lab.run(for: .milliseconds(275))
    #expect(isConnected(left, to: newer))
  }

  @Test func `packets of a connection that goes on need no Hello on the new keys`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("echo", access: .peers)
    lab.connect(left, to: right)
    let stream = try lab.open("echo", from: left, to: right)
    // Keys are due.
    lab.run(for: .seconds(121))
    var handshakes = 0
    var hellos = 0
    lab.onDatagram = { datagram, _, _ in
      handshakes += datagram[0] == 2 ? 1 : 0
      let isHello = handshakes > 0 && datagram[0] == 4 && (112...256).contains(datagram.count)
      hellos += isHello ? 1 : 0
      lab.mtu = isHello ? 0 : 65_535
    }
    let byte: [UInt8] = [1]
    for _ in 0..<20 {
      _ = try left.node.write(byte.span.bytes, to: stream)
      lab.run(for: .milliseconds(10))
    }
    lab.run(for: .milliseconds(20))
    #expect(handshakes == 1 && hellos >= 2)
    #expect(right.received.values.map(\.count) == [20])
    #expect(isConnected(left, to: right) && isConnected(right, to: left))
  }

  @Test func `one that is not there when it is dialled does not have more handshakes sent to it`() throws {
    let (lab, left, right) = try NodeLab.pair()
    lab.connect(left, to: right)
    right.node.closeAll(now: lab.now)
    lab.run(for: .milliseconds(100))
    lab.hosts.removeAll { $0 === right }
    var initiations = 0
    lab.onDatagram = { datagram, _, _ in if datagram[0] == 1 { initiations += 1 } }
    for _ in 0..<40 {
      left.node.connect(to: left.find(right.key)!, now: lab.now)
      lab.run(for: .milliseconds(100))
    }
    // One, and its three copies.
    #expect(initiations == 4)
  }

  @Test func `one that says at once that it leaves gets four handshakes a second at most`() throws {
    let (lab, left, right) = try NodeLab.pair()
    lab.connect(left, to: right)
    var initiations = 0
    lab.onDatagram = { datagram, _, _ in if datagram[0] == 1 { initiations += 1 } }
    lab.onEvent = { host, event in
      switch event {
      case .connected: if host === right { right.node.closeAll(now: lab.now) }
      case .disconnected: if host === left { left.node.connect(to: left.find(right.key)!, now: lab.now) }
      default: break
      }
    }
    right.node.closeAll(now: lab.now)
    lab.run(for: .seconds(10))
    #expect((2...41).contains(initiations))
  }

  @Test func `a long way is no reason for more handshakes`() throws {
    let (lab, left, right) = try NodeLab.pair()
    lab.delay = .milliseconds(800)
    left.node.connect(to: left.find(right.key)!, now: lab.now)
    lab.run(for: .seconds(10))
    left.node.eraseAllKeys(now: lab.now)
    _ = left.node.ping(left.find(right.key)!, token: 1, now: lab.now)
    lab.run(for: .seconds(10))
    #expect(isConnected(left, to: right))
    var initiations = 0
    lab.onDatagram = { datagram, _, _ in if datagram[0] == 1 { initiations += 1 } }
    lab.run(for: .seconds(60))
    #expect(initiations == 0)
  }

  @Test func `one that no longer answers any Hello gets one handshake for that`() throws {
    let (lab, left, right) = try NodeLab.pair { $0.connection.idleTimeout = .seconds(10) }
    lab.connect(left, to: right)
    lab.run(for: .seconds(8))
    lab.mtu = 0
    lab.run(for: .seconds(3))
    var initiations = 0
    var hellos = 0
    lab.onDatagram = { datagram, _, _ in
      initiations += datagram[0] == 1 ? 1 : 0
      let isHello = datagram[0] == 4 && datagram.count > 32
      hellos += isHello ? 1 : 0
      lab.mtu = isHello ? 0 : 65_535
    }
    left.node.connect(to: left.find(right.key)!, now: lab.now)
    lab.run(for: .seconds(20))
    // Each side asks; rule 6 of WireGuard would be next.
    #expect(initiations == 2 && hellos > 10)
  }

  @Test func `a connection is complete when a packet of it comes, though the last Hello was lost`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("bulk", access: .peers)
    lab.connect(left, to: right)
    let first = try lab.open("bulk", from: left, to: right)
    lab.mtu = 0
    lab.send([1], on: first, from: left)
    lab.run(for: .seconds(16))
    // The one gave up, the other has heard nothing of that.
    #expect(!isConnected(left, to: right) && isConnected(right, to: left))
    var hellos = 0
    lab.onDatagram = { datagram, from, _ in
      let isHello = from == left.address && datagram[0] == 4 && (112...256).contains(datagram.count)
      hellos += isHello ? 1 : 0
      lab.mtu = isHello && hellos > 1 ? 0 : 65_535
    }
    left.node.connect(to: left.find(right.key)!, now: lab.now)
    lab.run(for: .milliseconds(100))
    #expect(isConnected(left, to: right) && !isConnected(right, to: left))
    let second = try lab.open("bulk", from: left, to: right)
    lab.send([2], on: second, from: left)
    lab.run(for: .milliseconds(50))
    #expect(isConnected(right, to: left) && right.opened().count == 1)
    #expect(right.received.values.contains([2]))
  }

  @Test func `whoever waits for a connection while all keys are erased gets it`() throws {
    let (lab, left, right) = try NodeLab.pair()
    left.node.connect(to: left.find(right.key)!, now: lab.now)
    lab.run(for: .milliseconds(5))
    left.node.eraseAllKeys(now: lab.now)
    lab.run(for: .seconds(6))
    #expect(isConnected(left, to: right))
  }

  @Test func `a crash is noticed within a second under traffic, when the peer is there again`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("echo", access: .peers)
    lab.connect(left, to: right)
    // The spacing of handshakes is over.
    lab.run(for: .seconds(5))
    let stream = try lab.open("echo", from: left, to: right)
    _ = try left.node.write([1].span.bytes, to: stream)
    lab.run(for: .milliseconds(100))
    let new = try restart(right, in: lab, knowing: left)
    let crashed = lab.now
    lab.onEvent = { host, event in
      if host === left, event == .disconnected(left.find(new.key)!, .peerRestarted) {
        #expect(lab.now - crashed < .seconds(1))
      }
    }
    _ = try left.node.write([2].span.bytes, to: stream)
    lab.run(for: .seconds(2))
    #expect(left.events.contains(.disconnected(left.find(new.key)!, .peerRestarted)))
  }

  @Test func `a crash after a connection fell idle is noticed by the third Hello`() throws {
    let (lab, left, right) = try NodeLab.pair { $0.connection.idleTimeout = .seconds(10) }
    lab.connect(left, to: right)
    lab.run(for: .seconds(8))
    // Neither hears that the other has ended it.
    lab.mtu = 0
    lab.run(for: .seconds(3))
    lab.mtu = 65_535
    #expect(left.events.contains(.disconnected(left.find(right.key)!, .closed(.timedOut))))
    let new = try restart(right, in: lab, knowing: left)
    left.node.connect(to: left.find(new.key)!, now: lab.now)
    lab.run(for: .milliseconds(700))
    #expect(!isConnected(left, to: new))
    lab.run(for: .milliseconds(100))
    #expect(isConnected(left, to: new))
  }
}
