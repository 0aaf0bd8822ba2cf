import MeshCrypto
import MeshPrimitives
import MeshSession
import MeshSimulation
import Testing

@Suite("Handshake") struct HandshakeTests {
  static let packet = [UInt8](repeating: 0x45, count: 32)

  @Test(arguments: [nil, [UInt8](0x80..<0xA0)])
  func `the first packet waits for the handshake and arrives`(presharedKey: [UInt8]?) throws {
    let (lab, left, right) = try Lab.pair(presharedKey: presharedKey)
    lab.send(Self.packet, from: left)
    #expect(right.received.map(\.payload) == [Self.packet])
    #expect(left.sent == [.initiation, .data])
    #expect(right.sent == [.response])
    #expect(left.events.contains(.established(left.peer, isInitiator: true)))
    #expect(right.events.contains(.established(right.peer, isInitiator: false)))
    lab.send(Self.packet, from: right)
    #expect(left.received.map(\.payload) == [Self.packet])
    #expect(left.statistics?.traffic.handshakes == 1)
  }

  @Test func `different preshared keys do not connect`() throws {
    let (lab, left, right) = try Lab.pair(presharedKey: [UInt8](repeating: 1, count: 32))
    right.device.setPresharedKey(try PresharedKey(copying: [UInt8](repeating: 2, count: 32).bytes), of: right.peer)
    lab.send(Self.packet, from: left)
    #expect(left.device.drops[.forged] == 1)
    #expect(left.established() == 0 && right.established() == 0)
  }

  @Test func `without anything staged the initiator confirms with a keepalive`() throws {
    let (lab, left, right) = try Lab.pair()
    left.device.startHandshake(with: left.peer, now: lab.now)
    lab.settle()
    #expect(left.sent == [.initiation, .keepalive])
    #expect(right.keepalives == 1)
    #expect(lab.wire.map(\.datagram.count) == [148, 92, 32])
  }

  @Test func `the responder does not send before the initiator has confirmed`() throws {
    let (lab, left, right) = try Lab.pair()
    lab.network = { _, kind in kind == .data ? [] : [.zero] }
    lab.send(Self.packet, from: left)
    #expect(left.established() == 1 && right.established() == 0)
    #expect(!right.canSend(at: lab.now))
    lab.network = { _, _ in [.zero] }
    lab.send(Self.packet, from: left)
    #expect(right.established() == 1)
    #expect(right.canSend(at: lab.now))
  }

  @Test func `an initiation moves no endpoint before its session is confirmed`() throws {
    let (lab, left, right) = try Lab.pair()
    let elsewhere = SocketAddress("198.51.100.9:9")!
    right.device.setEndpoint(elsewhere, of: right.peer)
    lab.network = { _, kind in kind == .data || kind == .keepalive ? [] : [.zero] }
    lab.send(Self.packet, from: left)
    #expect(right.endpoint == elsewhere)
    lab.network = { _, _ in [.zero] }
    lab.send(Self.packet, from: left)
    #expect(right.endpoint == left.address)
  }

  @Test func `receiver indices carry the worker's number in their top four bits`() throws {
    var configuration = Device.Configuration()
    configuration.worker = 11
    let lab = Lab()
    let left = lab.addHost(1, configuration: configuration)
    let right = lab.addHost(2)
    left.peer = try left.device.addPeer(
      PeerConfiguration(publicKey: right.device.publicKey, endpoint: right.address), now: lab.now)
    right.peer = try right.device.addPeer(PeerConfiguration(publicKey: left.device.publicKey), now: lab.now)
    lab.send(Self.packet, from: left)
    #expect(lab.wire[0].datagram[7] >> 4 == 11)
    #expect(right.received.count == 1)
  }

  @Test func `both sides initiating at once end with a session that carries data both ways`() throws {
    let (lab, left, right) = try Lab.pair()
    right.device.setEndpoint(left.address, of: right.peer)
    lab.network = { _, _ in [.milliseconds(10)] }
    left.device.send(Self.packet.bytes, to: left.peer, now: lab.now)
    right.device.send(Self.packet.bytes, to: right.peer, now: lab.now)
    lab.run(for: .seconds(1))
    #expect(left.received.count == 1 && right.received.count == 1)
    #expect(left.established() == 1 && right.established() == 1, "each as the initiator of its own")
    for _ in 0..<3 {
      lab.send(Self.packet, from: left)
      lab.send(Self.packet, from: right)
      lab.run(for: .seconds(1))
    }
    #expect(left.received.count == 4 && right.received.count == 4)
    #expect(left.device.drops.total == 0 && right.device.drops.total == 0)
  }

  // MARK: - Loss, duplication, reordering

  @Test(arguments: [Transmit.Kind.initiation, .response, .keepalive, .data])
  func `the loss of any first message is made up for`(lost: Transmit.Kind) throws {
    let (lab, left, right) = try Lab.pair()
    var losses = 0
    lab.network = { _, kind in
      if kind == lost, losses == 0 {
        losses += 1
        return []
      }
      return [.milliseconds(20)]
    }
    lab.send(Self.packet, from: left)
    lab.run(for: .milliseconds(500))
    lab.send(Self.packet, from: left)
    lab.run(for: .seconds(1))
    #expect(right.received.count == (lost == .data ? 1 : 2), "the copies at 0.3 and 1 s make up for it in time")
  }

  @Test func `a lost response is answered again from a copy of the initiation, with the same bytes`() throws {
    let (lab, left, right) = try Lab.pair()
    var losses = 0
    lab.network = { _, kind in
      if kind == .response, losses == 0 {
        losses += 1
        return []
      }
      return [.zero]
    }
    lab.send(Self.packet, from: left)
    lab.run(for: .milliseconds(400))
    let initiations = lab.wire.filter { $0.kind == .initiation }.map(\.datagram)
    let responses = lab.wire.filter { $0.kind == .response }.map(\.datagram)
    #expect(initiations.count == 2 && initiations[0] == initiations[1])
    #expect(responses.count == 2 && responses[0] == responses[1])
    #expect(right.received.count == 1)
    #expect(right.device.drops.total == 0)
    _ = left
  }

  @Test func `an initiation is answered on at most five ways`() throws {
    let (lab, left, right) = try Lab.pair()
    lab.network = { _, _ in [] }
    lab.send(Self.packet, from: left)
    let initiation = lab.wire[0].datagram
    for way in 0..<8 {
      lab.inject(initiation, into: right, from: SocketAddress("198.51.100.\(way):7")!)
      lab.settle()
    }
    #expect(lab.wire.count { $0.kind == .response } == 5)
    #expect(right.device.drops[.replayedTimestamp] == 3)
  }

  @Test func `duplicated and reordered messages of every type change nothing`() throws {
    let (lab, left, right) = try Lab.pair()
    lab.network = { _, _ in [.milliseconds(30), .zero, .milliseconds(700)] }
    lab.send(Self.packet, from: left)
    lab.run(for: .seconds(3))
    lab.send(Self.packet, from: right)
    lab.run(for: .seconds(3))
    #expect(right.received.count == 1 && left.received.count == 1)
    #expect(left.established() == 1 && right.established() == 1)
  }

  // MARK: - Replay and forgery

  @Test func `a replayed initiation of an older handshake is refused`() throws {
    let (lab, left, right) = try Lab.pair()
    lab.send(Self.packet, from: left)
    let initiation = lab.wire[0].datagram
    lab.run(for: .seconds(6))
    lab.inject(initiation, into: right, from: left.address)
    lab.settle()
    #expect(right.device.drops[.replayedTimestamp] == 1)
    lab.send(Self.packet, from: right)
    #expect(left.received.count == 1, "the session stands")
  }

  @Test func `a replayed response and a replayed data packet are refused`() throws {
    let (lab, left, right) = try Lab.pair()
    lab.send(Self.packet, from: left)
    let response = lab.wire.first { $0.kind == .response }!.datagram
    let data = lab.wire.first { $0.kind == .data }!.datagram
    lab.inject(response, into: left, from: right.address)
    lab.settle()
    #expect(left.device.drops[.noHandshake] == 1)
    #expect(lab.inject(data, into: right, from: left.address) == .dropped(.replayed))
    #expect(right.received.count == 1)
  }

  @Test func `every single flipped bit of each message type is refused and changes nothing`() throws {
    let (lab, left, right) = try Lab.pair()
    lab.network = { _, _ in [] }
    lab.send(Self.packet, from: left)
    let initiation = lab.wire[0].datagram
    for bit in 0..<initiation.count * 8 where bit / 8 < 132 {  // MAC2 is not checked when there is no load
      var forged = initiation
      forged[bit / 8] ^= 1 << (bit % 8)
      lab.inject(forged, into: right, from: left.address)
      lab.settle()
    }
    #expect(lab.wire.count { $0.kind == .response } == 0)
    lab.inject(initiation, into: right, from: left.address)
    lab.settle()
    let response = lab.wire.last!.datagram
    for bit in 0..<response.count * 8 where bit / 8 < 76 {
      var forged = response
      forged[bit / 8] ^= 1 << (bit % 8)
      lab.inject(forged, into: left, from: right.address)
      lab.settle()
    }
    #expect(left.established() == 0)
    lab.inject(response, into: left, from: right.address)
    lab.settle()
    #expect(left.established() == 1, "the handshake waits unchanged")
    let data = lab.wire.last { $0.kind == .data }!.datagram
    for bit in 0..<data.count * 8 {
      var forged = data
      forged[bit / 8] ^= 1 << (bit % 8)
      lab.inject(forged, into: right, from: left.address)
    }
    #expect(right.received.isEmpty)
    lab.inject(data, into: right, from: left.address)
    #expect(right.received.count == 1)
  }

  @Test func `every truncated and oversized message is refused`() throws {
    let (lab, left, right) = try Lab.pair()
    lab.send(Self.packet, from: left)
    for (datagram, _, _, _) in lab.wire {
      for count in 0..<datagram.count {
        guard case .dropped = lab.inject(Array(datagram[..<count]), into: right, from: left.address) else {
          Issue.record("\(count) bytes of a message of \(datagram.count) were accepted")
          continue
        }
      }
      guard case .dropped = lab.inject(datagram + [0], into: right, from: left.address) else {
        Issue.record("a message of \(datagram.count) bytes and one more was accepted")
        continue
      }
    }
  }

  // MARK: - Policy

  @Test func `an unlisted key gets no answer and leaves nothing`() throws {
    let (lab, left, right) = try Lab.pair()
    right.device.removePeer(right.peer)
    lab.send(Self.packet, from: left)
    #expect(right.sent.isEmpty)
    #expect(right.device.drops[.unknownPeer] == 1)
    #expect(right.find(left.device.publicKey) == nil)
  }

  @Test func `a policy of any lets a stranger in, and forgets it when it does not confirm`() throws {
    let lab = Lab()
    var open = Device.Configuration()
    open.acceptance = .any
    let left = lab.addHost(1)
    let right = lab.addHost(2, configuration: open)
    left.peer = try left.device.addPeer(
      PeerConfiguration(publicKey: right.device.publicKey, endpoint: right.address), now: lab.now)
    lab.network = { _, kind in kind == .data || kind == .keepalive ? [] : [.zero] }
    lab.send(Self.packet, from: left)
    let stranger = try #require(right.find(left.device.publicKey))
    #expect(right.isStranger(stranger))
    lab.network = { _, _ in [] }
    lab.run(for: .seconds(16))
    #expect(right.find(left.device.publicKey) == nil)
    #expect(right.events.contains(.strangerRemoved(stranger, left.device.publicKey)))
  }

  @Test func `strangers from many places share a quota, and take none from listed peers`() throws {
    let lab = Lab()
    var open = Device.Configuration()
    open.acceptance = .any
    let right = lab.addHost(1, configuration: open)
    let listed = lab.addHost(2)
    _ = try right.device.addPeer(PeerConfiguration(publicKey: listed.device.publicKey), now: lab.now)
    func connect(_ host: Host) throws {
      host.peer = try host.device.addPeer(
        PeerConfiguration(publicKey: right.device.publicKey, endpoint: right.address), now: lab.now)
      lab.send(Self.packet, from: host)
    }
    func admitted() -> Int { right.events.count { if case .strangerAdded = $0 { true } else { false } } }
    for seed in 3..<203 as Range<UInt64> {
      let stranger = lab.addHost(seed)
      try connect(stranger)
      lab.hosts.removeAll { $0 === stranger }
    }
    #expect(admitted() == 100)
    #expect(right.device.drops[.rateLimited] == 100)
    try connect(listed)
    #expect(listed.established() == 1)
    lab.run(for: .milliseconds(20))
    for seed in 203..<253 as Range<UInt64> { try connect(lab.addHost(seed)) }
    #expect(admitted() == 110)
  }

  @Test func `a predicate sees the verified key`() throws {
    let lab = Lab()
    let allowed = Lab.key(1).publicKey
    var open = Device.Configuration()
    open.acceptance = .predicate { $0 == allowed }
    let right = lab.addHost(9, configuration: open)
    for seed in [UInt64(1), 2] {
      let host = lab.addHost(seed)
      host.peer = try host.device.addPeer(
        PeerConfiguration(publicKey: right.device.publicKey, endpoint: right.address), now: lab.now)
      lab.send(Self.packet, from: host)
      #expect((host.established() == 1) == (seed == 1))
    }
  }

  @Test func `a device does not list its own key, a key twice, or more than its cap`() throws {
    let lab = Lab()
    var small = Device.Configuration()
    small.maximumPeers = 1
    let host = lab.addHost(1, configuration: small)
    func add(_ key: PublicKey) throws -> PeerID {
      try host.device.addPeer(PeerConfiguration(publicKey: key), now: lab.now)
    }
    #expect(throws: PeerError.ownKey) { try add(host.device.publicKey) }
    let zero = try #require(PublicKey("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="))
    #expect(throws: PeerError.lowOrderKey) { try add(zero) }
    let peer = try add(Lab.key(2).publicKey)
    #expect(throws: PeerError.alreadyListed) { try add(Lab.key(2).publicKey) }
    #expect(throws: PeerError.tableFull(limit: 1)) { try add(Lab.key(3).publicKey) }
    host.device.removePeer(peer)
    let again = try add(Lab.key(3).publicKey)
    #expect(again.slot == peer.slot && again != peer)
    #expect(host.key(of: peer) == nil, "a handle is not used twice")
  }

  @Test func `timestamps grow even when the clock goes back`() throws {
    let (lab, left, right) = try Lab.pair()
    lab.send(Self.packet, from: left)
    lab.epoch -= 86_400
    lab.run(for: .seconds(130))
    lab.send(Self.packet, from: left)
    lab.run(for: .seconds(1))
    #expect(right.established() == 2)
  }
}
