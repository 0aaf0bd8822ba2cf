import MeshNode
import MeshPrimitives
import MeshSession
import MeshSimulation
import Testing

@Suite("Paths") struct PathTests {
  static func address(_ last: UInt32, _ port: UInt16 = 2552) -> SocketAddress {
    SocketAddress(IPAddress(v4: 0xC633_6400 + last), port: port)
  }

  /// Two connected nodes with a transfer under way from the one to the other; `moves` has the greater key or not.
  private func transfer(greater: Bool, bytes: Int = 900_000) throws -> (NodeLab, sender: NodeHost, receiver: NodeHost) {
    let (lab, left, right) = try NodeLab.pair()
    let sender = (left.key > right.key) == greater ? left : right
    let receiver = sender === left ? right : left
    receiver.node.setService("bulk", access: .peers)
    lab.connect(left, to: right)
    let stream = try lab.open("bulk", from: sender, to: receiver)
    lab.send(NodeTests.data(bytes), on: stream, from: sender)
    lab.run(for: .milliseconds(60))
    #expect(receiver.received.values.first?.count ?? 0 < 800_000)
    return (lab, sender, receiver)
  }

  @Test(arguments: [(true, true), (true, false), (false, true), (false, false)])
  func `a transfer goes on when one side moves to another address`(greater: Bool, senderMoves: Bool) throws {
    let (lab, sender, receiver) = try transfer(greater: greater)
    let mover = senderMoves ? sender : receiver
    let other = senderMoves ? receiver : sender
    lab.delays[mover.address] = .some(nil)
    mover.address = Self.address(7)
    lab.run(for: .seconds(4))
    #expect(receiver.received.values.first?.count == 900_000)
    #expect(other.node.status(of: other.find(mover.key)!)?.endpoint == mover.address)
    #expect(other.events.contains(.pathChanged(other.find(mover.key)!, mover.address)))
    #expect(!sender.events.contains { if case .disconnected = $0 { true } else { false } })
  }

  @Test func `a receiver that moves and has nothing to say lets the sender know within a second`() throws {
    let (lab, sender, receiver) = try transfer(greater: true)
    // Whatever the receiver asked is answered, and nothing else arrives.
    lab.mtu = 200
    lab.run(for: .milliseconds(300))
    lab.mtu = 65_535
    lab.delays[receiver.address] = .some(nil)
    receiver.address = Self.address(7)
    lab.run(for: .seconds(1))
    #expect(sender.node.status(of: sender.find(receiver.key)!)?.endpoint == receiver.address)
    lab.run(for: .seconds(1))
    #expect(receiver.received.values.first?.count == 900_000)
  }

  @Test func `two that have sent each other much and are silent do not go on asking`() throws {
    let (lab, sender, receiver) = try transfer(greater: true)
    lab.run(for: .seconds(2))
    let stream = try #require(receiver.opened().first)
    receiver.outgoing.append((stream, NodeTests.data(900_000), 0))
    // Neither ends its direction.
    let half = try lab.open("bulk", from: sender, to: receiver)
    _ = try sender.node.write(NodeTests.data(100_000).bytes, to: half)
    lab.run(for: .seconds(8))
    #expect(sender.received.values.first?.count == 900_000)
    var datagrams = 0
    lab.onDatagram = { datagram, _, _ in datagrams += datagram.count > 32 ? 1 : 0 }
    lab.run(for: .seconds(60))
    #expect(datagrams == 0)
  }

  @Test func `a NAT that gives another port does not make the connection begin from scratch`() throws {
    let (lab, sender, receiver) = try transfer(greater: true)
    let window = sender.node.status(of: sender.find(receiver.key)!)?.connection?.congestionWindow ?? 0
    lab.delays[receiver.address] = .some(nil)
    receiver.address = SocketAddress(receiver.address.address, port: 40_000)
    lab.run(for: .seconds(1))
    let status = sender.node.status(of: sender.find(receiver.key)!)
    #expect(status?.endpoint == receiver.address)
    #expect(status?.connection?.congestionWindow ?? 0 >= window / 2)
  }

  @Test func `a copy of a packet from elsewhere draws a few probes, and never data`() throws {
    let (lab, sender, receiver) = try transfer(greater: true)
    let elsewhere = Self.address(66)
    var captured: [UInt8]?
    // The copy overtakes the original: the window has not seen its counter yet.
    lab.onDatagram = { datagram, from, to in
      if captured == nil, from == receiver.address, datagram.count > 60 { captured = datagram }
    }
    lab.run(for: .milliseconds(3))
    let copy = try #require(captured)
    var sentElsewhere: [Int] = []
    lab.onDatagram = { datagram, _, to in if to == elsewhere { sentElsewhere.append(datagram.count) } }
    lab.inject(copy, into: sender, from: elsewhere)
    lab.run(for: .seconds(5))
    #expect(!sentElsewhere.isEmpty)
    #expect(sentElsewhere.reduce(0, +) <= 3 * copy.count)
    #expect(receiver.received.values.first?.count == 900_000)
    #expect(sender.node.status(of: sender.find(receiver.key)!)?.endpoint == receiver.address)
  }

  @Test(arguments: [true, false])
  func `when a path dies, another one that is known takes over within three seconds`(greater: Bool) throws {
    let (lab, sender, receiver) = try transfer(greater: greater, bytes: 9_000_000)
    let spare = Self.address(8)
    receiver.aliases = [spare]
    sender.node.addPath(to: sender.find(receiver.key)!, at: spare, now: lab.now)
    lab.run(for: .milliseconds(20))
    #expect(sender.node.status(of: sender.find(receiver.key)!)?.endpoint == receiver.address)
    lab.delays[receiver.address] = .some(nil)
    let before = receiver.received.values.first?.count ?? 0
    #expect(before < 9_000_000)
    lab.run(for: .seconds(3))
    #expect(receiver.received.values.first?.count == 9_000_000)
    #expect(sender.node.status(of: sender.find(receiver.key)!)?.endpoint == spare)
  }

  @Test(arguments: [Duration.milliseconds(60), .milliseconds(250), .milliseconds(550)])
  func `a path is validated however long its answers take`(oneWay: Duration) throws {
    let (lab, sender, receiver) = try transfer(greater: true, bytes: 900_000)
    lab.run(for: .seconds(2))
    let spare = Self.address(8)
    lab.delays[spare] = oneWay
    receiver.aliases = [spare]
    sender.node.addPath(to: sender.find(receiver.key)!, at: spare, now: lab.now)
    lab.run(for: .seconds(3))
    lab.delays[receiver.address] = .some(nil)
    let stream = try lab.open("bulk", from: sender, to: receiver)
    lab.send(NodeTests.data(1000), on: stream, from: sender)
    lab.run(for: .seconds(8))
    #expect(receiver.received.values.contains { $0.count == 1000 })
    #expect(sender.node.status(of: sender.find(receiver.key)!)?.endpoint == spare)
  }

  @Test(arguments: [true, false])
  func `the side with the greater key takes a path that is clearly shorter`(greater: Bool) throws {
    let (lab, sender, receiver) = try transfer(greater: greater, bytes: 9_000_000)
    lab.delays[receiver.address] = .milliseconds(50)
    lab.run(for: .milliseconds(500))
    let spare = Self.address(8)
    lab.delays[spare] = .milliseconds(5)
    receiver.aliases = [spare]
    sender.node.addPath(to: sender.find(receiver.key)!, at: spare, now: lab.now)
    lab.run(for: .seconds(2))
    let endpoint = sender.node.status(of: sender.find(receiver.key)!)?.endpoint
    #expect(endpoint == (greater ? spare : receiver.address))
    #expect(receiver.received.values.first?.count == 9_000_000)
  }

  // Of bytes of UDP payload.
  @Test(arguments: [(1_472, 1_252, 1_248), (1_252, 1_096, 1_088)])
  func `a path that becomes narrower while short packets pass is noticed`(old: Int, new: Int, found: Int) throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("bulk", access: .peers)
    lab.mtu = old
    lab.connect(left, to: right)
    lab.run(for: .seconds(5))
    lab.mtu = new
    let stream = try lab.open("bulk", from: left, to: right)
    lab.send(NodeTests.data(300_000), on: stream, from: left)
    lab.run(for: .seconds(3))
    #expect(right.received.values.first?.count == 300_000)
    lab.run(for: .seconds(10))
    #expect(left.node.status(of: left.find(right.key)!)?.packetSize == found)
  }

  @Test func `after ten minutes a path that has become wider is found to be so`() throws {
    let (lab, left, right) = try NodeLab.pair()
    lab.mtu = 1_252
    lab.connect(left, to: right)
    lab.run(for: .seconds(20))
    lab.mtu = 1_472
    lab.run(for: .seconds(620))
    #expect(left.node.status(of: left.find(right.key)!)?.packetSize == 1_472)
  }

  @Test func `packets are no longer than either side wants them`() throws {
    let lab = NodeLab()
    var configuration = Node.Configuration()
    let left = lab.addHost(1, configuration: configuration)
    configuration.largestPacket = 1_300
    let right = lab.addHost(2, configuration: configuration)
    _ = try left.node.addPeer(PeerConfiguration(publicKey: right.key, endpoint: right.address), now: lab.now)
    _ = try right.node.addPeer(PeerConfiguration(publicKey: left.key), now: lab.now)
    lab.connect(left, to: right)
    lab.run(for: .seconds(5))
    for (host, other) in [(left, right), (right, left)] {
      #expect(host.node.status(of: host.find(other.key)!)?.packetSize == 1_296)
    }
  }
}
