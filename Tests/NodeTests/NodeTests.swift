import MeshCrypto
import MeshNode
import MeshPacket
import MeshPrimitives
import MeshReliability
import MeshRouting
import MeshSession
import MeshSimulation
import Testing

@Suite("Node") struct NodeTests {
  static func data(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) } }

  // MARK: - Streams by key

  @Test func `two nodes that know each other's key carry a stream both ways`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("echo", access: .peers)
    lab.connect(left, to: right)
    let peer = left.find(right.key)!
    #expect(left.events.filter { $0 != .packetSizeChanged(peer) } == [.connected(peer)])
    let stream = try lab.open("echo", from: left, to: right)
    lab.send(Self.data(100_000), on: stream, from: left)
    lab.run(for: .seconds(2))
    let accepted = try #require(right.opened().first)
    #expect(right.events.contains(.streamOpened(accepted, service: "echo", peer: left.key)))
    #expect(right.received[accepted] == Self.data(100_000) && right.ended.contains(accepted))
    lab.send(Self.data(50_000), on: accepted, from: right)
    lab.run(for: .seconds(2))
    #expect(left.received[stream] == Self.data(50_000) && left.ended.contains(stream))
    #expect(left.events.contains(.finished(stream)) && right.events.contains(.finished(accepted)))
    #expect(left.dropped.total == 0 && right.dropped.total == 0)
  }

  @Test func `what is written as soon as a peer is connected does not overtake the last Hello`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("bulk", access: .peers)
    lab.onEvent = { host, event in
      guard host === left, case .connected = event, let stream = try? lab.open("bulk", from: left, to: right) else {
        return
      }
      host.outgoing.append((stream, Self.data(100_000), 0))
    }
    lab.connect(left, to: right)
    #expect(right.received.values.first == Self.data(100_000))
    #expect(left.dropped.total == 0 && right.dropped.total == 0)
    #expect(left.node.status(of: left.find(right.key)!)?.connection?.packetsLost == 0)
  }

  @Test(arguments: [UInt64(10), 50, 200])
  func `a transfer is whole whatever is lost`(loss: UInt64) throws {
    let (lab, left, right) = try NodeLab.pair(seed: loss)
    lab.loss = loss
    right.node.setService("bulk", access: .peers)
    left.node.connect(to: left.find(right.key)!, now: lab.now)
    lab.run(for: .seconds(5))
    let stream = try lab.open("bulk", from: left, to: right)
    lab.send(Self.data(1_000_000), on: stream, from: left)
    lab.run(for: .seconds(120))
    let accepted = try #require(right.opened().first)
    #expect(right.received[accepted] == Self.data(1_000_000), "seed \(loss)")
  }

  @Test func `a service that is not registered is refused`() throws {
    let (lab, left, right) = try NodeLab.pair()
    lab.connect(left, to: right)
    let stream = try lab.open("nothing", from: left, to: right)
    lab.send([1, 2, 3], on: stream, from: left)
    lab.run(for: .seconds(1))
    #expect(left.events.contains(.reset(stream, code: .refused)))
    #expect(right.opened().isEmpty)
  }

  @Test func `a service for named keys is refused to other peers`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("private", access: .keys([right.key]))
    lab.connect(left, to: right)
    let stream = try lab.open("private", from: left, to: right)
    lab.settle()
    lab.run(for: .seconds(1))
    #expect(left.events.contains(.reset(stream, code: .refused)))
  }

  @Test func `a stranger may open only what everybody may`() throws {
    let lab = NodeLab()
    var open = Node.Configuration()
    open.device.acceptance = .any
    let left = lab.addHost(1)
    let right = lab.addHost(2, configuration: open)
    _ = try left.node.addPeer(PeerConfiguration(publicKey: right.key, endpoint: right.address), now: lab.now)
    right.node.setService("public", access: .any)
    right.node.setService("private", access: .peers)
    lab.connect(left, to: right)
    let refused = try lab.open("private", from: left, to: right)
    let allowed = try lab.open("public", from: left, to: right)
    lab.settle()
    lab.run(for: .seconds(1))
    #expect(left.events.contains(.reset(refused, code: .refused)))
    #expect(right.opened().map(\.id) == [allowed.id])
    // It goes when its session has lapsed.
    lab.run(for: .seconds(1200))
    #expect(right.find(left.key) == nil)
  }

  @Test func `flow control holds a sender whose peer does not read, and lets it go on`() throws {
    let (lab, left, right) = try NodeLab.pair {
      $0.connection.local = ConnectionLimits(data: 128 << 10, streamData: 64 << 10, streams: 16)
    }
    right.node.setService("bulk", access: .peers)
    right.reads = false
    lab.connect(left, to: right)
    let stream = try lab.open("bulk", from: left, to: right)
    lab.send(Self.data(300_000), on: stream, from: left)
    lab.run(for: .seconds(5))
    let accepted = try #require(right.opened().first)
    lab.read(accepted, of: right)
    #expect(right.received[accepted]?.count == 64 << 10)
    right.reads = true
    lab.run(for: .seconds(5))
    #expect(right.received[accepted] == Self.data(300_000))
  }

  @Test func `who leaves as soon as all has come says that it has`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("bulk", access: .peers)
    lab.connect(left, to: right)
    let stream = try lab.open("bulk", from: left, to: right)
    try left.node.finish(stream)
    // The packet arrives, and before its acknowledgement is due the node is closed.
    lab.run(for: lab.delay + .milliseconds(1))
    #expect(right.opened().count == 1)
    right.node.closeAll(now: lab.now)
    lab.run(for: .seconds(1))
    let finished = try #require(left.events.firstIndex(of: .finished(stream)))
    let ended = try #require(
      left.events.firstIndex { if case .disconnected = $0 { true } else { false } })
    #expect(finished < ended)
  }

  @Test(arguments: [true, false]) func `what had come before a peer left can still be read`(isFinished: Bool) throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("bulk", access: .peers)
    right.reads = false
    lab.connect(left, to: right)
    let stream = try lab.open("bulk", from: left, to: right)
    #expect(try lab.write(Self.data(100_000), stream, left) == 100_000)
    if isFinished { try left.node.finish(stream) }
    lab.run(for: .seconds(1))
    left.node.closeAll(now: lab.now)
    lab.run(for: .seconds(1))
    #expect(right.events.contains { if case .disconnected = $0 { true } else { false } })
    let accepted = try #require(right.opened().first)
    lab.read(accepted, of: right)
    #expect(right.received[accepted] == Self.data(100_000))
    #expect(right.ended.contains(accepted) == isFinished)
    // Once it was read, nothing is kept.
    #expect(throws: StreamError.self) {
      _ = try [UInt8](capacity: 16) { output throws(StreamError) in _ = try right.node.read(accepted, into: &output) }
    }
  }

  // MARK: - Peers that come and go

  @Test func `a peer that starts again ends the streams, and the next connection works`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("echo", access: .peers)
    lab.connect(left, to: right)
    let stream = try lab.open("echo", from: left, to: right)
    #expect(try lab.write([1, 2, 3], stream, left) == 3)
    lab.run(for: .seconds(1))
    // The same key and address, none of the old state.
    lab.hosts.removeLast()
    let again = lab.addHost(2)
    _ = try again.node.addPeer(PeerConfiguration(publicKey: left.key, endpoint: left.address), now: lab.now)
    again.node.setService("echo", access: .peers)
    lab.run(for: .seconds(6))
    again.node.connect(to: again.find(left.key)!, now: lab.now)
    lab.run(for: .seconds(2))
    let peer = left.find(right.key)!
    #expect(left.events.contains(.disconnected(peer, .peerRestarted)))
    #expect(left.events.last { $0 != .packetSizeChanged(peer) } == .connected(peer))
    let next = try lab.open("echo", from: left, to: again)
    lab.send([9], on: next, from: left)
    lab.run(for: .seconds(1))
    #expect(again.received.values.first == [9])
    #expect(throws: StreamError.self) { try lab.write([1], stream, left) }
  }

  @Test func `a peer that vanishes under traffic ends its streams within 20 seconds`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("bulk", access: .peers)
    lab.connect(left, to: right)
    let stream = try lab.open("bulk", from: left, to: right)
    lab.hosts.removeLast()
    lab.send(Self.data(100_000), on: stream, from: left)
    lab.run(for: .seconds(20))
    #expect(left.events.contains(.disconnected(left.find(right.key)!, .closed(.timedOut))))
  }

  @Test func `after a partition that ended the connection both sides connect anew`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("bulk", access: .peers)
    lab.connect(left, to: right)
    let stream = try lab.open("bulk", from: left, to: right)
    lab.loss = 1000
    lab.send(Self.data(100_000), on: stream, from: left)
    lab.run(for: .seconds(30))
    lab.loss = 0
    lab.connect(left, to: right)
    lab.run(for: .seconds(6))
    let next = try lab.open("bulk", from: left, to: right)
    lab.send(Self.data(10_000), on: next, from: left)
    lab.run(for: .seconds(2))
    #expect(right.received.values.contains(Self.data(10_000)))
  }

  @Test func `nobody at the address is unreachable after ten seconds`() throws {
    let (lab, left, right) = try NodeLab.pair()
    lab.hosts.removeLast()
    let peer = left.find(right.key)!
    left.node.connect(to: peer, now: lab.now)
    lab.run(for: .milliseconds(9_990))
    #expect(left.events.isEmpty)
    lab.run(for: .milliseconds(20))
    #expect(left.events == [.unreachable(peer)])
  }

  @Test func `removing a peer ends its streams at once and its session for good`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("echo", access: .peers)
    lab.connect(left, to: right)
    let stream = try lab.open("echo", from: left, to: right)
    let peer = left.find(right.key)!
    left.node.removePeer(peer, now: lab.now)
    lab.settle()
    #expect(left.events.last == .disconnected(peer, .peerRemoved))
    #expect(throws: StreamError.self) { try lab.write([1], stream, left) }
  }

  @Test func `the connection lives through rekeys and an hour of quiet`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("echo", access: .peers)
    lab.connect(left, to: right)
    let stream = try lab.open("echo", from: left, to: right)
    lab.run(for: .seconds(130))
    #expect(try lab.write([1], stream, left) == 1)
    lab.run(for: .seconds(3600))
    lab.send([2], on: stream, from: left)
    lab.run(for: .seconds(3))
    #expect(right.received.values.first == [1, 2])
    #expect(!left.events.contains { if case .disconnected = $0 { true } else { false } })
  }

  @Test(arguments: 3...4 * soakFactor + 2) func `lost Hellos are said again`(seed: UInt64) throws {
    let (lab, left, right) = try NodeLab.pair(seed: seed)
    lab.loss = 400
    left.node.connect(to: left.find(right.key)!, now: lab.now)
    lab.run(for: .seconds(30))
    lab.loss = 0
    lab.connect(left, to: right)
    lab.run(for: .seconds(11))
    #expect(left.events.contains(.connected(left.find(right.key)!)), "seed \(seed)")
  }

  @Test func `a ping tells the round trip and where the answer came from`() throws {
    let (lab, left, right) = try NodeLab.pair()
    lab.connect(left, to: right)
    let peer = left.find(right.key)!
    #expect(lab.ping(left, peer, 77))
    lab.run(for: .seconds(1))
    #expect(
      left.events.last
        == .pong(peer, token: 77, roundTrip: .milliseconds(10), from: right.address))
  }

  // MARK: - Packet size

  @Test(arguments: [
    (65_535, 65_504), (8_972, 8_960), (1_472, 1_472), (1_400, 1_392), (1_252, 1_248), (1_200, 1_200), (1_096, 1_088),
  ])
  func `packets grow to what the path carries`(mtu: Int, expected: Int) throws {
    let (lab, left, right) = try NodeLab.pair()
    lab.mtu = mtu
    right.node.setService("bulk", access: .peers)
    lab.connect(left, to: right)
    lab.run(for: .seconds(20))
    #expect(left.node.status(of: left.find(right.key)!)?.packetSize == expected)
    let stream = try lab.open("bulk", from: left, to: right)
    lab.send(Self.data(200_000), on: stream, from: left)
    lab.run(for: .seconds(3))
    #expect(right.received.values.first?.count == 200_000)
  }

  @Test func `a path that becomes narrower is noticed`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("bulk", access: .peers)
    lab.connect(left, to: right)
    lab.run(for: .seconds(2))
    lab.mtu = 1280
    let stream = try lab.open("bulk", from: left, to: right)
    lab.send(Self.data(200_000), on: stream, from: left)
    lab.run(for: .seconds(15))
    #expect(right.received.values.first?.count == 200_000)
  }
}

extension NodeLab {
  func write(_ bytes: [UInt8], _ stream: StreamHandle, _ host: NodeHost) throws -> Int {
    try host.node.write(bytes.span.bytes, to: stream)
  }

  func ping(_ host: NodeHost, _ peer: PeerID, _ token: UInt64) -> Bool {
    let sent = host.node.ping(peer, token: token, now: now)
    settle()
    return sent
  }
}
