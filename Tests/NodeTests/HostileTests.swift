import MeshCrypto
import MeshNode
import MeshPrimitives
import MeshSession
import MeshSimulation
import Testing

@Suite("Hostile packets to a node") struct HostileTests {
  /// Datagrams that no honest node sends, of every size and type.
  static func garbage(_ number: Int, _ random: inout SeededEntropy) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: [number % 300, 148, 92, 64, 32, 48, 1500, 20][number % 8])
    var span = bytes.mutableBytes
    random.fill(&span)
    guard bytes.count >= 20 else { return bytes }
    switch number % 8 {
    case 1: bytes.replaceSubrange(0..<4, with: [1, 0, 0, 0])
    case 2: bytes.replaceSubrange(0..<4, with: [2, 0, 0, 0])
    case 3: bytes.replaceSubrange(0..<4, with: [3, 0, 0, 0])
    case 4, 5, 6: bytes.replaceSubrange(0..<4, with: [4, 0, 0, 0])
    case 7: bytes.replaceSubrange(0..<8, with: [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42])
    default: break
    }
    return bytes
  }

  /// Segmentation offload gives whatever sizes a sender chose, and a live receiver index is there to be read on the wire.
  @Test func `runs of any segment size come to an end, whatever they hold`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("echo", access: .peers)
    var seen: [[UInt8]] = []
    lab.onDatagram = { datagram, _, to in
      if to == right.address, datagram[0] == 4 { seen.append(datagram) }
    }
    lab.connect(left, to: right)
    let stream = try lab.open("echo", from: left, to: right)
    lab.send([UInt8](repeating: 5, count: 5_000), on: stream, from: left)
    lab.run(for: .seconds(1))
    let genuine = try #require(seen.last)
    var random = SeededEntropy(seed: 11)
    for number in 0..<20_000 {
      let size = [1, 4, 16, 20, 31, 32, 33, 48, 100, 1_472, 65_535][number % 11]
      var run: [UInt8] = []
      for _ in 0...Int(random.nextUInt64() % 5) {
        var piece = random.nextUInt64() % 2 == 0 ? genuine : Self.garbage(number, &random)
        if random.nextUInt64() % 2 == 0, piece.count >= 20 { piece.replaceSubrange(0..<8, with: genuine[0..<8]) }
        run += piece.prefix(size)
      }
      var bytes = run.mutableBytes
      right.node.handle(&bytes, segmentSize: size, from: left.address, ecn: .notECT, now: lab.now)
    }
    // The kernel names no size where there is only one datagram, and none at all where that is empty.
    for bytes in [[], [7], genuine] {
      for size in [0, -1] {
        var run: [UInt8] = bytes
        var span = run.mutableBytes
        right.node.handle(&span, segmentSize: size, from: left.address, ecn: .notECT, now: lab.now)
      }
    }
    lab.run(for: .seconds(1))
    #expect(left.node.status(of: left.find(right.key)!)!.isConnected)
  }

  @Test(arguments: [0, 1_280, 65_476, 65_535, 1 << 40]) func `any MTU leaves datagrams that a socket takes`(mtu: Int)
    throws
  {
    var configuration = Node.Configuration()
    configuration.mtu = mtu
    var entropy = SeededEntropy(seed: 1)
    let node = Node(
      privateKey: try PrivateKey(generating: &entropy), configuration: configuration, entropy: entropy,
      provider: CipherProvider(preferring: .libsodium), now: Instant(nanoseconds: 0))
    #expect((2_048...65_507).contains(node.longestPacket))
  }

  @Test func `garbage from everywhere is counted, answered by nothing, and changes nothing`() throws {
    let (lab, left, right) = try NodeLab.pair()
    right.node.setService("echo", access: .peers)
    lab.connect(left, to: right)
    let stream = try lab.open("echo", from: left, to: right)
    lab.run(for: .seconds(1))
    let (events, deadline) = (right.events.count, right.deadline)
    let before = (right.counted, lab.datagrams)
    var random = SeededEntropy(seed: 7)
    for number in 0..<50_000 {
      let source =
        number % 3 == 0
        ? left.address : SocketAddress(IPAddress(v4: UInt32(truncatingIfNeeded: random.nextUInt64())), port: 9)
      lab.inject(Self.garbage(number, &random), into: right, from: source)
    }
    #expect(right.counted - before.0 == 50_000)
    #expect(right.events.count == events && right.deadline == deadline && !right.hasWork)
    lab.settle()
    #expect(lab.datagrams == before.1, "nothing was answered")
    lab.send(NodeTests.data(10_000), on: stream, from: left)
    lab.run(for: .seconds(1))
    #expect(right.received[try #require(right.opened().first)] == NodeTests.data(10_000))
  }

  @Test func `strangers fill their table up to its cap, displace nobody, and are forgotten`() throws {
    let lab = NodeLab()
    var open = Node.Configuration()
    open.device.acceptance = .any
    open.device.maximumStrangers = 64
    let victim = lab.addHost(1, configuration: open)
    let friend = lab.addHost(2)
    _ = try victim.node.addPeer(PeerConfiguration(publicKey: friend.key), now: lab.now)
    _ = try friend.node.addPeer(PeerConfiguration(publicKey: victim.key, endpoint: victim.address), now: lab.now)
    lab.connect(friend, to: victim)
    for number in 0..<400 {
      lab.inject(
        Self.initiation(from: UInt64(1000 + number), to: victim, at: lab.now), into: victim,
        from: SocketAddress(IPAddress(v4: 0x0A00_0000 + UInt32(number)), port: 9))
      lab.settle()
      #expect(victim.peerCount <= 65)
    }
    #expect(victim.peerCount == 65)
    #expect(victim.sessionDropped[.tableFull] == 336)
    #expect(victim.find(friend.key) != nil)
    // None of them confirmed its session.
    lab.run(for: .seconds(16))
    #expect(victim.peerCount == 1)
    #expect(victim.isConnected(to: friend))
  }

  @Test func `strangers of one address get in at a limited rate`() throws {
    let lab = NodeLab()
    var open = Node.Configuration()
    open.device.acceptance = .any
    let victim = lab.addHost(1, configuration: open)
    for number in 0..<100 {
      lab.inject(
        Self.initiation(from: UInt64(2000 + number), to: victim, at: lab.now), into: victim,
        from: SocketAddress(IPAddress("192.0.2.77")!, port: UInt16(1000 + number)))
      lab.settle()
    }
    #expect(victim.peerCount == 5)
    #expect(victim.sessionDropped[.rateLimited] == 95)
  }

  /// The true initiation of somebody new.
  private static func initiation(from seed: UInt64, to host: NodeHost, at now: Instant) -> [UInt8] {
    var entropy = SeededEntropy(seed: seed)
    var node = Node(
      privateKey: try! PrivateKey(generating: &entropy), entropy: entropy,
      provider: CipherProvider(preferring: .libsodium), now: now)
    let peer = try! node.addPeer(PeerConfiguration(publicKey: host.key, endpoint: host.address), now: now)
    node.connect(to: peer, now: now)
    return Array(capacity: 2048) {
      _ = node.nextTransmit(into: &$0, now: now, wall: TAI64N(secondsSince1970: 1_700_000_000, nanoseconds: 0))
    }
  }
}

extension NodeHost {
  fileprivate var counted: UInt64 { dropped.total + sessionDropped.total }
  fileprivate var sessionDropped: ReasonCounters<DropReason> { node.sessionDrops }
  fileprivate var peerCount: Int { node.peerIDs.count }
  fileprivate var hasWork: Bool { node.hasQueuedHandshakes }
  fileprivate func isConnected(to other: NodeHost) -> Bool { node.status(of: find(other.key)!)?.isConnected ?? false }
}
