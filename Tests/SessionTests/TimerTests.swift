import MeshCrypto
import MeshPrimitives
import MeshSession
import Testing

/// One test or more for each timer rule of the paper's §6, numbered as in `docs/protocol.md`.
@Suite("Timers") struct TimerTests {
  static let packet = [UInt8](repeating: 0x45, count: 32)

  /// A session that the first host began, at time 0.
  static func session() throws -> (Lab, Host, Host) {
    let (lab, left, right) = try Lab.pair()
    lab.send(packet, from: left)
    return (lab, left, right)
  }

  @Test func `1: the initiator rekeys when it sends after 120 s, not before`() throws {
    let (lab, left, right) = try Self.session()
    lab.run(until: Instant(nanoseconds: 120_000_000_000))
    lab.send(Self.packet, from: left)
    #expect(left.established() == 1)
    lab.run(for: .milliseconds(1))
    lab.send(Self.packet, from: left)
    #expect(left.established() == 2 && right.established() == 2)
  }

  @Test func `1: the responder does not rekey for age`() throws {
    let (lab, left, right) = try Self.session()
    lab.run(until: Instant(nanoseconds: 130_000_000_000))
    lab.send(Self.packet, from: right)
    #expect(right.sent.filter { $0 == .initiation }.isEmpty)
    #expect(left.received.count == 1)
  }

  @Test func `1: a rekey while data flows both ways loses nothing`() throws {
    let (lab, left, right) = try Self.session()
    lab.network = { _, _ in [.milliseconds(25)] }
    var sent = 1
    while lab.now.nanoseconds < 400_000_000_000 {
      lab.run(for: .milliseconds(50))
      lab.send(Self.packet, from: left)
      lab.send(Self.packet, from: right)
      sent += 1
    }
    lab.run(for: .milliseconds(100))
    #expect(right.received.count == sent && left.received.count == sent - 1)
    #expect(left.established() == 4)
    #expect(left.device.drops.total == 0 && right.device.drops.total == 0)
  }

  @Test func `2: the initiator rekeys when it receives after 165 s, once`() throws {
    let (lab, left, right) = try Self.session()
    lab.network = { _, kind in kind == .initiation ? [] : [.zero] }
    lab.run(until: Instant(nanoseconds: 165_000_000_001))
    let before = lab.wire.count { $0.kind == .initiation }
    lab.send(Self.packet, from: right)
    lab.send(Self.packet, from: right)
    #expect(lab.wire.count { $0.kind == .initiation } == before + 1)
    #expect(left.received.count == 2)
  }

  @Test func `3: no packet is sent or accepted at 180 s`() throws {
    let (lab, left, right) = try Self.session()
    let (earlier, later) = (Instant(nanoseconds: 179_999_999_999), Instant(nanoseconds: 180_000_000_000))
    #expect(left.canSend(at: earlier))
    #expect(!left.canSend(at: later))
    lab.network = { _, _ in [] }
    lab.run(until: earlier)
    lab.send(Self.packet, from: left)
    let data = try #require(lab.wire.last { $0.kind == .data }).datagram
    lab.now = later
    #expect(lab.inject(data, into: right, from: left.address) == .dropped(.expired))
  }

  @Test func `3: sending without a usable pair stages the packet and starts a handshake`() throws {
    let (lab, left, right) = try Self.session()
    lab.run(until: Instant(nanoseconds: 200_000_000_000))
    lab.send(Self.packet, from: left)
    #expect(right.received.count == 2)
    #expect(left.established() == 2)
  }

  @Test func `3: at most 128 packets are staged, and the oldest go first`() throws {
    let (lab, left, right) = try Lab.pair()
    lab.network = { _, _ in [] }
    for number in 0..<200 { lab.send([UInt8](repeating: UInt8(number), count: 16), from: left) }
    lab.network = { _, _ in [.zero] }
    lab.run(for: .seconds(6))
    #expect(right.received.map { $0.payload[0] } == (72..<200).map { UInt8($0) })
    #expect(left.statistics?.droppedStaged == 72)
  }

  @Test func `4: 20 different initiations, at least 5 s apart, then it is given up`() throws {
    let (lab, left, _) = try Lab.pair()
    lab.network = { _, _ in [] }
    var times: [Instant] = []
    var known: Set<[UInt8]> = []
    left.device.send(Self.packet.bytes, to: left.peer, now: lab.now)
    while lab.now.nanoseconds < 200_000_000_000 {
      lab.run(for: .milliseconds(10))
      for sent in lab.wire where sent.kind == .initiation && known.insert(Array(sent.datagram[..<132])).inserted {
        times.append(lab.now)
      }
    }
    #expect(times.count == 20)
    for (earlier, later) in zip(times, times.dropFirst()) {
      #expect((.milliseconds(4980)...(.milliseconds(5360))).contains(later - earlier))
    }
    #expect(left.events == [.handshakeFailed(left.peer)])
    #expect(left.statistics?.droppedStaged == 1)
    // New data starts again.
    lab.network = { _, _ in [.zero] }
    lab.send(Self.packet, from: left)
    #expect(left.established() == 1)
  }

  @Test func `4: an initiation is repeated at 0.3, 1 and 2.5 s with the same bytes`() throws {
    let (lab, left, _) = try Lab.pair()
    lab.network = { _, _ in [] }
    var times: [Int64] = []
    left.device.send(Self.packet.bytes, to: left.peer, now: lab.now)
    while lab.now.nanoseconds < 4_900_000_000 {
      let before = lab.wire.count
      lab.run(for: .milliseconds(1))
      if lab.wire.count > before { times.append(lab.now.nanoseconds / 1_000_000) }
    }
    #expect(times == [1, 300, 1000, 2500])
    #expect(Set(lab.wire.map(\.datagram)).count == 1)
  }

  @Test func `5: a keepalive follows 10 s after data that was not answered`() throws {
    let (lab, left, right) = try Self.session()
    let before = left.keepalives
    lab.run(until: Instant(nanoseconds: 9_999_999_999))
    #expect(left.keepalives == before)
    lab.run(until: Instant(nanoseconds: 10_000_000_001))
    #expect(left.keepalives == before + 1)
    lab.run(for: .seconds(30))
    #expect(left.keepalives == before + 1, "one is enough")
    #expect(right.sent.last == .keepalive)
  }

  @Test func `5: data that goes back takes the place of the keepalive`() throws {
    let (lab, left, right) = try Self.session()
    lab.run(for: .seconds(5))
    lab.send(Self.packet, from: right)
    lab.run(for: .seconds(9))
    #expect(left.keepalives == 0)
  }

  @Test func `5: data while the timer runs asks for another`() throws {
    let (lab, left, _) = try Self.session()
    lab.run(for: .seconds(5))
    lab.send(Self.packet, from: left)
    lab.run(until: Instant(nanoseconds: 20_000_000_001))
    #expect(left.keepalives == 2)
  }

  @Test func `6: data without any answer for 15 s starts a handshake`() throws {
    let (lab, left, _) = try Self.session()
    lab.run(for: .seconds(20))
    lab.network = { _, _ in [] }
    lab.send(Self.packet, from: left)
    let sent = lab.wire.count { $0.kind == .initiation }
    lab.run(for: .milliseconds(14_900))
    #expect(lab.wire.count { $0.kind == .initiation } == sent)
    lab.run(for: .milliseconds(500))
    #expect(lab.wire.count { $0.kind == .initiation } > sent)
  }

  @Test func `7: after 540 s of silence all keys are gone`() throws {
    let (lab, left, right) = try Self.session()
    lab.run(until: Instant(nanoseconds: 539_000_000_000))
    #expect(!left.events.contains(.erased(left.peer)))
    lab.run(until: Instant(nanoseconds: 541_000_000_000))
    #expect(left.events.contains(.erased(left.peer)) && right.events.contains(.erased(right.peer)))
    let data = try #require(lab.wire.last { $0.kind == .data }).datagram
    #expect(lab.inject(data, into: right, from: left.address) == .dropped(.unknownReceiver))
    #expect(left.device.deadline == nil && right.device.deadline == nil, "an idle device sleeps")
  }

  @Test func `8: a persistent keepalive holds a session for ten minutes without data`() throws {
    let lab = Lab()
    let left = lab.addHost(1)
    let right = lab.addHost(2)
    left.peer = try left.device.addPeer(
      PeerConfiguration(publicKey: right.device.publicKey, endpoint: right.address, persistentKeepalive: .seconds(25)),
      now: lab.now)
    right.peer = try right.device.addPeer(PeerConfiguration(publicKey: left.device.publicKey), now: lab.now)
    lab.run(for: .seconds(600))
    #expect((27...29).contains(right.keepalives), "24 for the time and one for each confirmation")
    #expect(left.established() == 5, "one at the start and one after each 120 s")
    #expect(left.canSend(at: lab.now))
  }

  @Test func `erasing all keys after a sleep lets the next packet start anew`() throws {
    let (lab, left, right) = try Self.session()
    lab.run(for: .seconds(6))
    left.device.eraseAllKeys(now: lab.now)
    lab.send(Self.packet, from: left)
    #expect(right.received.count == 2 && left.established() == 2)
  }

  @Test func `a live session survives an hour of traffic with 10 percent loss`() throws {
    let (lab, left, right) = try Lab.pair()
    var state: UInt64 = 88_172_645_463_325_252
    lab.network = { _, _ in
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state % 10 == 0 ? [] : [.milliseconds(Int64(state >> 32 % 80))]
    }
    var sent = 0
    while lab.now.nanoseconds < 3600_000_000_000 {
      lab.send(Self.packet, from: left)
      lab.send(Self.packet, from: right)
      sent += 1
      lab.run(for: .seconds(1))
    }
    #expect(left.received.count > sent * 85 / 100 && right.received.count > sent * 85 / 100)
    #expect(left.established() > 25)
  }
}
