import MeshPrimitives
import MeshSTUN
import MeshSimulation
import MeshTURN
import Testing

@Suite("TURN allocations") struct AllocationTests {
  static let peer = address("203.0.113.7:9000")

  @Test func `an allocation is made with long-term credentials and relays both ways`() {
    let lab = Lab()
    let client = lab.addClient()
    #expect(lab.run(for: .seconds(2)) { lab.relayed() != nil })
    let relayed = lab.relayed()!
    #expect(relayed.addresses.count == 1)
    #expect(relayed.addresses[0].address == Lab.relayV4)
    #expect(relayed.mappedAddress == lab.paths[client].address)
    #expect(relayed.lifetime == .seconds(600))
    #expect(lab.send([1, 2, 3], to: Self.peer) == nil)

    lab.clients[0].permit(Self.peer.address, now: lab.now)
    #expect(lab.run(for: .seconds(2)) { lab.events[0].contains(.permitted(Self.peer.address)) })
    // Header, address, attribute header, and one byte of padding.
    #expect(lab.send([1, 2, 3], to: Self.peer) == 37)
    #expect(lab.run(for: .seconds(2)) { !lab.received[0].isEmpty })
    #expect(lab.received[0][0].data == [1, 2, 3])
    #expect(lab.received[0][0].from == Self.peer)
    #expect(lab.peerReceived[0].from == relayed.addresses[0])
  }

  @Test func `a channel shortens the header to four bytes`() {
    for transport in [STUNTransport.datagram, .stream] {
      let lab = Lab()
      lab.addClient { $0.transport = transport }
      lab.run(for: .seconds(2)) { lab.relayed() != nil }
      lab.clients[0].bindChannel(to: Self.peer, now: lab.now)
      #expect(lab.run(for: .seconds(2)) { lab.events[0].contains(.channelBound(Self.peer, 0x4000)) })
      // Padded on a stream.
      #expect(lab.send([1, 2, 3], to: Self.peer) == (transport == .stream ? 5 : 4))
      #expect(lab.run(for: .seconds(2)) { !lab.received[0].isEmpty })
      #expect(lab.received[0][0].data == [1, 2, 3])
      #expect(lab.received[0][0].from == Self.peer)
    }
  }

  @Test func `IPv6 and both families are relayed`() {
    let lab = Lab()
    lab.addClient { $0.families = .v6 }
    lab.addClient { $0.families = .both }
    #expect(lab.run(for: .seconds(2)) { lab.relayed(0) != nil && lab.relayed(1) != nil })
    #expect(lab.relayed(0)!.addresses.map(\.address) == [Lab.relayV6])
    #expect(lab.relayed(1)!.addresses.map(\.address) == [Lab.relayV4, Lab.relayV6])
    let peers = [Self.peer, address("[2001:db8:9::7]:9000")]
    for peer in peers {
      lab.clients[1].permit(peer.address, now: lab.now)
      #expect(lab.run(for: .seconds(2)) { lab.events[1].contains(.permitted(peer.address)) })
      lab.send([7], 1, to: peer)
      #expect(lab.run(for: .seconds(2)) { lab.received[1].last?.from == peer })
    }
    // An IPv4 peer has no use for an IPv6 relay.
    lab.clients[0].permit(Self.peer.address, now: lab.now)
    #expect(
      lab.run(for: .seconds(2)) {
        lab.events[0].contains(.refusedPeer(Self.peer.address, .peerAddressFamilyMismatch))
      })
  }

  @Test func `without IPv6 one address is given and the other is named as missing`() {
    let lab = Lab { $0.relayV6 = nil }
    lab.addClient { $0.families = .both }
    lab.addClient { $0.families = .v6 }
    lab.run(for: .seconds(2))
    #expect(lab.relayed(0)?.addresses.count == 1)
    #expect(lab.failure(1) == .rejected(.addressFamilyNotSupported))
  }

  @Test func `an allocation outlives its lifetime, its permissions, channels and nonces many times over`() {
    let lab = Lab { $0.nonceLifetime = .seconds(300) }
    lab.addClient()
    lab.run(for: .seconds(2)) { lab.relayed() != nil }
    lab.clients[0].bindChannel(to: Self.peer, now: lab.now)
    let other = address("203.0.113.8:1")
    lab.clients[0].permit(other.address, now: lab.now)
    lab.run(for: .seconds(2))
    for minute in 0..<120 {
      lab.run(for: .seconds(60))
      lab.received[0] = []
      #expect(lab.send([UInt8(minute)], to: Self.peer) == 4, "minute \(minute)")
      #expect(lab.send([UInt8(minute)], to: other) == 39, "minute \(minute)")
      lab.run(for: .seconds(1))
      #expect(lab.received[0].count == 2, "minute \(minute)")
    }
    #expect(lab.failure() == nil)
    #expect(lab.server.drops[.staleNonce] > 5)
    #expect(lab.server.allocationCount == 1)
  }

  @Test func `what is not refreshed ends on the second`() {
    let lab = Lab()
    lab.addClient()
    lab.run(for: .seconds(2)) { lab.relayed() != nil }
    let made = lab.now
    lab.clients = []
    lab.run(for: .seconds(599) - (lab.now - made))
    #expect(lab.server.allocationCount == 1)
    #expect(lab.sockets.count == 1)
    lab.run(for: .seconds(2))
    #expect(lab.server.allocationCount == 0)
    #expect(lab.sockets.isEmpty)
    #expect(lab.server.deadline == nil)
  }

  @Test func `a freed allocation is gone at once`() {
    let lab = Lab()
    lab.addClient()
    lab.run(for: .seconds(2)) { lab.relayed() != nil }
    lab.clients[0].free(now: lab.now)
    #expect(lab.run(for: .seconds(2)) { lab.events[0].contains(.freed) })
    #expect(lab.server.allocationCount == 0)
    #expect(lab.sockets.isEmpty)
    #expect(lab.clients[0].deadline == nil)
  }

  static let seeds: [UInt64] = Array(1...20)
  @Test(arguments: seeds) func `a third of the packets lost changes nothing but the time it takes`(_ seed: UInt64) {
    let lab = Lab(seed: seed)
    lab.loss = 0.33
    lab.addClient()
    // Each transaction has seven tries.
    let isMade = lab.run(for: .seconds(120)) { lab.relayed() != nil || lab.failure() != nil }
    #expect(isMade && lab.failure() == nil, "seed \(seed)")
    lab.clients[0].bindChannel(to: Self.peer, now: lab.now)
    #expect(
      lab.run(for: .seconds(120)) { lab.events[0].contains(.channelBound(Self.peer, 0x4000)) }, "seed \(seed)")
    lab.clients[0].free(now: lab.now)
    #expect(lab.run(for: .seconds(120)) { lab.events[0].contains(.freed) }, "seed \(seed)")
    lab.loss = 0
    lab.run(for: .seconds(700))
    #expect(lab.server.allocationCount == 0, "seed \(seed)")
  }

  // MARK: Errors

  @Test func `a wrong password and an unknown user are refused alike`() {
    let lab = Lab()
    lab.addClient("alice", "guess")
    lab.addClient("nobody", "secret")
    lab.run(for: .seconds(2))
    #expect(lab.failure(0) == .refused(.wrongCredentials))
    #expect(lab.failure(1) == .refused(.wrongCredentials))
    #expect(lab.server.allocationCount == 0)
  }

  @Test func `quotas hold per user`() {
    let lab = Lab { $0.allocationsPerUser = 2 }
    for _ in 0..<3 { lab.addClient() }
    lab.addClient("bob", "hidden")
    lab.run(for: .seconds(2))
    #expect((0..<3).filter { lab.relayed($0) != nil }.count == 2)
    #expect((0..<3).compactMap { lab.failure($0) } == [.rejected(.allocationQuotaReached)])
    #expect(lab.relayed(3) != nil)
    let holder = (0..<3).first { lab.relayed($0) != nil }!
    lab.clients[holder].free(now: lab.now)
    lab.run(for: .seconds(2))
    let late = lab.addClient()
    lab.run(for: .seconds(2))
    #expect(lab.relayed(late) != nil)
  }

  @Test func `a full server redirects when it has somebody to redirect to, and refuses otherwise`() {
    let lab = Lab { $0.maximumAllocations = 0 }
    lab.addClient()
    lab.run(for: .seconds(2))
    #expect(lab.failure() == .rejected(.insufficientCapacity))
    let alternate = address("192.0.2.99:3478")
    let other = Lab {
      $0.maximumAllocations = 0
      $0.alternateServer = alternate
    }
    other.addClient()
    other.run(for: .seconds(2))
    #expect(other.clients[0].server == alternate)
  }

  @Test func `ports that are taken are passed over, and none left is 508`() {
    let lab = Lab { $0.ports = 50_000...50_009 }
    lab.taken = Set(50_000...50_007)
    lab.addClient()
    lab.run(for: .seconds(2))
    #expect(lab.relayed().map { $0.addresses[0].port >= 50_008 } == true)
    let full = Lab { $0.ports = 50_000...50_009 }
    full.taken = Set(50_000...50_009)
    full.addClient()
    full.run(for: .seconds(2))
    #expect(full.failure() == .rejected(.insufficientCapacity))
    #expect(full.server.allocationCount == 0)
    #expect(full.sockets.isEmpty)
  }

  @Test func `an even port comes with the next one for who has the token`() {
    let lab = Lab()
    lab.addClient { $0.evenPort = .pair }
    lab.run(for: .seconds(2))
    let first = lab.relayed(0)!
    #expect(first.addresses[0].port & 1 == 0)
    #expect(lab.sockets.count == 2)
    let second = lab.addClient { $0.reservationToken = first.reservationToken }
    lab.run(for: .seconds(2))
    #expect(lab.relayed(second)?.addresses[0].port == first.addresses[0].port + 1)
    // Once.
    let third = lab.addClient { $0.reservationToken = first.reservationToken }
    lab.run(for: .seconds(2))
    #expect(lab.failure(third) == .rejected(.insufficientCapacity))
    // And not for ever.
    let fourth = lab.addClient { $0.evenPort = .pair }
    lab.run(for: .seconds(2))
    let token = lab.relayed(fourth)!.reservationToken
    let open = lab.sockets.count
    lab.run(for: .seconds(31))
    #expect(lab.sockets.count == open - 1)
    let fifth = lab.addClient { $0.reservationToken = token }
    lab.run(for: .seconds(2))
    #expect(lab.failure(fifth) == .rejected(.insufficientCapacity))
  }

  @Test func `a second client on a path gets 441, and the same user after a restart its allocation cleared`() {
    let lab = Lab()
    let first = lab.addClient()
    lab.run(for: .seconds(2))
    let path = lab.paths[first]
    lab.clients[first] = TURNClient(
      TURNClient.Configuration(server: Lab.serverAddress, username: "bob", password: "hidden"),
      entropy: SeededEntropy(seed: 55), now: lab.now)
    lab.events[first] = []
    lab.run(for: .seconds(2))
    #expect(lab.failure(first) == .rejected(.wrongCredentials))
    // Restarted: 437, then Refresh with lifetime 0, then Allocate again.
    lab.clients[first] = TURNClient(
      TURNClient.Configuration(server: Lab.serverAddress, username: "alice", password: "secret"),
      entropy: SeededEntropy(seed: 56), now: lab.now)
    lab.events[first] = []
    lab.run(for: .seconds(2))
    #expect(lab.relayed(first) != nil)
    #expect(lab.paths[first] == path)
    #expect(lab.server.drops[.allocationMismatch] == 1)
    #expect(lab.server.allocationCount == 1)
  }

  @Test func `a server that restarted answers 437 and the client says so`() {
    let lab = Lab()
    lab.addClient()
    lab.run(for: .seconds(2))
    lab.server.disconnected(lab.paths[0])
    lab.run(for: .seconds(600)) { lab.failure() != nil }
    #expect(lab.failure() == .rejected(.allocationMismatch))
  }

  @Test func `time-limited credentials work until their time`() {
    let name = "1001000:carol"
    let lab = Lab(users: { $0.acceptTimeLimited(secret: "north") })
    lab.addClient(name, UserDirectory.timeLimitedPassword(for: name, secret: "north"))
    lab.run(for: .seconds(2))
    #expect(lab.relayed() != nil)
    lab.wallSeconds = 1_001_000
    let late = lab.addClient(name, UserDirectory.timeLimitedPassword(for: name, secret: "north"))
    lab.run(for: .seconds(2))
    #expect(lab.failure(late) == .refused(.wrongCredentials))
  }
}
