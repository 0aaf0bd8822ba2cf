import MeshCrypto
import MeshPrimitives
import MeshSession
import Testing

@Suite("Cookies and load") struct CookieTests {
  static let packet = [UInt8](repeating: 0x45, count: 32)

  /// Fills the queue of `host` with initiations until it is under load, without serving them.
  static func flood(_ lab: Lab, _ host: Host, count: Int = 40) throws {
    for seed in 0..<count {
      let attacker = lab.addHost(UInt64(1000 + seed))
      lab.hosts.removeLast()
      attacker.peer = try attacker.device.addPeer(
        PeerConfiguration(publicKey: host.device.publicKey, endpoint: host.address), now: lab.now)
      attacker.device.startHandshake(with: attacker.peer, now: lab.now)
      let initiation = Array(capacity: 148) {
        _ = attacker.device.nextTransmit(into: &$0, now: lab.now, wall: lab.wall)
      }
      lab.inject(initiation, into: host, from: attacker.address)
    }
  }

  @Test func `under load an initiation is answered with a cookie, and the retry with it gets through`() throws {
    let (lab, left, right) = try Lab.pair()
    try Self.flood(lab, right)
    lab.send(Self.packet, from: left)
    #expect(left.established() == 0)
    #expect(right.device.drops[.cookieRequired] > 0)
    #expect(lab.wire.contains { $0.kind == .cookieReply && $0.to == left.address && $0.datagram.count == 64 })
    // No immediate answer to a cookie: the next regular copy or retry carries MAC2.
    #expect(lab.wire.count { $0.kind == .initiation } == 1)
    try Self.flood(lab, right)
    lab.run(for: .milliseconds(400))
    let retry = try #require(lab.wire.last { $0.kind == .initiation })
    #expect(retry.datagram[132...].contains { $0 != 0 })
    #expect(left.established() == 1 && right.received.count == 1)
  }

  @Test func `a cookie is bound to the address that it was sent to`() throws {
    let (lab, left, right) = try Lab.pair()
    try Self.flood(lab, right)
    lab.send(Self.packet, from: left)
    try Self.flood(lab, right)
    left.address = SocketAddress("203.0.113.77:1")!
    lab.run(for: .milliseconds(400))
    #expect(left.established() == 0)
  }

  @Test func `without load nobody is asked for a cookie`() throws {
    let (lab, left, right) = try Lab.pair()
    try Self.flood(lab, right, count: 20)
    lab.send(Self.packet, from: left)
    #expect(left.established() == 1)
    #expect(right.device.drops[.cookieRequired] == 0)
  }

  @Test func `forged, truncated and unasked cookie replies change nothing`() throws {
    let (lab, left, right) = try Lab.pair()
    lab.network = { _, kind in kind == .cookieReply ? [] : [.zero] }
    try Self.flood(lab, right)
    lab.send(Self.packet, from: left)
    let reply = try #require(lab.wire.last { $0.kind == .cookieReply && $0.to == left.address }).datagram
    for bit in 32..<reply.count * 8 {  // from the receiver index on
      var forged = reply
      forged[bit / 8] ^= 1 << (bit % 8)
      lab.inject(forged, into: left, from: right.address)
      lab.settle()
    }
    #expect(left.device.drops[.forged] + left.device.drops[.unknownReceiver] == UInt64((reply.count - 4) * 8))
    lab.inject(reply, into: left, from: right.address)
    lab.settle()
    let forged = left.device.drops[.forged]
    lab.inject(reply, into: left, from: right.address)
    lab.settle()
    #expect(left.device.drops[.noHandshake] == 1 && left.device.drops[.forged] == forged, "one reply per MAC1")
  }

  @Test func `a full queue drops the messages of whoever fills it, not those of others`() throws {
    let (lab, left, right) = try Lab.pair()
    let flooder = lab.addHost(77)
    lab.hosts.removeLast()
    flooder.peer = try flooder.device.addPeer(
      PeerConfiguration(publicKey: right.device.publicKey, endpoint: right.address), now: lab.now)
    flooder.device.startHandshake(with: flooder.peer, now: lab.now)
    let initiation = Array(capacity: 148) {
      _ = flooder.device.nextTransmit(into: &$0, now: lab.now, wall: lab.wall)
    }
    for _ in 0..<1000 { lab.inject(initiation, into: right, from: flooder.address) }
    #expect(right.device.drops[.handshakeQueueFull] == 744)
    left.device.startHandshake(with: left.peer, now: lab.now)
    let wanted = Array(capacity: 148) { _ = left.device.nextTransmit(into: &$0, now: lab.now, wall: lab.wall) }
    #expect(lab.inject(wanted, into: right, from: left.address) == .queued)
    #expect(right.device.drops[.handshakeQueueFull] == 745, "the one that made room is counted too")
    // It is served in turn, not after the 255 others.
    var served = 0
    while right.device.drops[.cookieRequired] < 2 {
      right.device.serveHandshake(now: lab.now)
      served += 1
    }
    lab.settle()
    #expect(lab.wire.contains { $0.kind == .cookieReply && $0.to == left.address })
    #expect(served <= 3)
  }

  @Test func `random bytes of every length are dropped and cost no answer`() throws {
    let (lab, left, right) = try Lab.pair()
    lab.send(Self.packet, from: left)
    let before = lab.wire.count
    var state: UInt64 = 42
    for round in 0..<20_000 {
      var bytes = [UInt8](repeating: 0, count: round % 300)
      for index in bytes.indices {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        bytes[index] = UInt8(truncatingIfNeeded: state >> 33)
      }
      if bytes.count >= 4, round % 3 != 0 { bytes.replaceSubrange(0..<4, with: [UInt8(round % 5), 0, 0, 0]) }
      lab.inject(bytes, into: right, from: left.address)
    }
    lab.settle()
    #expect(right.device.drops.total == 20_000)
    #expect(lab.wire.count == before)
    lab.send(Self.packet, from: right)
    #expect(left.received.count == 1)
  }
}
