import MeshPrimitives
import MeshSTUN
import MeshSimulation
import MeshTURN
import Testing

@Suite("Hostile TURN traffic") struct HostileTests {
  static let peer = AllocationTests.peer

  private func allocated(_ lab: Lab = Lab()) -> Lab {
    lab.addClient()
    lab.run(for: .seconds(2))
    lab.clients[0].permit(Self.peer.address, now: lab.now)
    lab.run(for: .seconds(2))
    return lab
  }

  private func indication(to peer: SocketAddress, _ data: [UInt8]) -> [UInt8] {
    [UInt8](capacity: 2048) { output in
      var writer = MessageWriter(.indication, .send, TransactionID(high: 1, low: 2), to: &output)
      writer.append(.xorPeerAddress, peer, to: &output)
      writer.append(.data, data.bytes, to: &output)
    }
  }

  // MARK: Peers

  static let refused = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "100.100.100.200", "169.254.169.254", "169.254.0.1", "168.63.129.16", "192.0.0.192", "198.18.0.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::1", "fc00::1", "fd00:ec2::254", "fe80::1",
    "fec0::1", "ff02::1", "100::1",
  ]
  @Test(arguments: refused) func `an address inside is no peer`(_ text: String) {
    #expect(!PeerAddressRules().allows(IPAddress(text)!))
  }

  static let allowed = ["8.8.8.8", "203.0.113.7", "172.32.0.1", "100.128.0.1", "2001:db8::1", "64:ff9b::808:808"]
  @Test(arguments: allowed) func `an address outside may be a peer`(_ text: String) {
    #expect(PeerAddressRules().allows(IPAddress(text)!))
  }

  @Test func `an exception allows what a rule refuses`() {
    var rules = PeerAddressRules()
    rules.allowed = [AddressBlock("10.1.0.0/16")!]
    #expect(rules.allows(IPAddress("10.1.2.3")!))
    #expect(!rules.allows(IPAddress("10.2.2.3")!))
    #expect(AddressBlock("10.0.0.0/33") == nil)
    #expect(AddressBlock("10.0.0.0/-1") == nil)
    #expect(AddressBlock("::/0")!.contains(IPAddress("ffff::")!))
  }

  @Test func `permissions and channels to refused peers get 403`() {
    let lab = Lab { $0.ownAddresses = [IPAddress("192.0.2.77")!] }
    lab.addClient()
    lab.run(for: .seconds(2))
    for text in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.0.2.77"] {
      let address = IPAddress(text)!
      lab.clients[0].permit(address, now: lab.now)
      lab.run(for: .seconds(2))
      #expect(lab.events[0].contains(.refusedPeer(address, .forbidden)))
      #expect(lab.send([1], to: SocketAddress(address, port: 80)) == nil)
    }
    #expect(lab.server.drops[.forbidden] == 4)
  }

  @Test func `one refused peer among many does not keep out the others`() {
    let lab = Lab()
    lab.addClient()
    lab.run(for: .seconds(2))
    let good = (1...10).map { IPAddress(v4: 0xCB00_7100 + $0) }
    for address in good + [IPAddress("10.0.0.1")!] { lab.clients[0].permit(address, now: lab.now) }
    lab.run(for: .seconds(5))
    for address in good { #expect(lab.events[0].contains(.permitted(address))) }
    #expect(lab.events[0].contains(.refusedPeer(IPAddress("10.0.0.1")!, .forbidden)))
  }

  @Test func `of the server's own address only sockets that it relays for can be reached`() {
    let lab = Lab()
    lab.addClient()
    lab.addClient("bob", "hidden")
    lab.run(for: .seconds(2))
    let other = lab.relayed(1)!.addresses[0]
    for client in 0..<2 { lab.clients[client].permit(Lab.relayV4, now: lab.now) }
    lab.run(for: .seconds(2))
    lab.send([1, 2, 3, 4], to: other)
    lab.run(for: .seconds(1))
    #expect(lab.received[1].first?.data == [1, 2, 3, 4])
    #expect(lab.received[1].first?.from == lab.relayed(0)!.addresses[0])
    let before = lab.peerReceived.count
    lab.send([1], to: Lab.serverAddress)
    lab.send([1], to: SocketAddress(Lab.relayV4, port: 22))
    lab.run(for: .seconds(1))
    #expect(lab.peerReceived.count == before)
    #expect(lab.server.drops[.noPermission] == 2)
  }

  // MARK: Data

  @Test func `data without permission passes in neither direction`() {
    let lab = allocated()
    let stranger = address("203.0.113.99:1")
    lab.toServer(indication(to: stranger, [1]), from: lab.paths[0])
    let relay = lab.sockets.keys.first!
    lab.atRelay([1], relay: relay, from: stranger)
    lab.run(for: .seconds(1))
    #expect(lab.peerReceived.isEmpty)
    #expect(lab.received[0].isEmpty)
    #expect(lab.server.drops[.noPermission] == 2)
    // Another port of the permitted address may.
    lab.atRelay([1], relay: relay, from: SocketAddress(Self.peer.address, port: 77))
    lab.run(for: .seconds(1))
    #expect(lab.received[0].count == 1)
  }

  @Test func `a permission ends after five minutes unless it is renewed`() {
    let lab = allocated()
    lab.clients[0].forget(Self.peer.address)
    let relay = lab.sockets.keys.first!
    lab.run(for: .seconds(290))
    lab.atRelay([1], relay: relay, from: Self.peer)
    #expect(lab.server.packetsToClients == 1)
    lab.run(for: .seconds(15))
    lab.atRelay([1], relay: relay, from: Self.peer)
    #expect(lab.server.packetsToClients == 1)
    lab.toServer(indication(to: Self.peer, [1]), from: lab.paths[0])
    #expect(lab.server.packetsToPeers == 0)
  }

  @Test func `data from elsewhere, on unknown channels, or cut off is dropped by its reason`() {
    let lab = allocated()
    lab.toServer(indication(to: Self.peer, [1]), from: ClientPath(address("198.51.100.9:1")))
    #expect(lab.server.drops[.noAllocation] == 1)
    lab.toServer([0x40, 0, 0, 1, 9], from: lab.paths[0])
    #expect(lab.server.drops[.unknownChannel] == 1)
    lab.toServer([0x40, 0, 0, 9, 9], from: lab.paths[0])
    lab.toServer([0x80, 0, 0, 1, 9], from: lab.paths[0])
    lab.toServer([], from: lab.paths[0])
    #expect(lab.server.drops[.notTURN] == 3)
    let whole = indication(to: Self.peer, [1, 2, 3, 4])
    for count in 0..<whole.count { lab.toServer(Array(whole[..<count]), from: lab.paths[0]) }
    #expect(lab.server.packetsToPeers == 0)
    lab.toServer(indication(to: SocketAddress(Self.peer.address, port: 0), [1]), from: lab.paths[0])
    #expect(lab.server.drops[.malformed] == 1)
    lab.toServer(whole, from: lab.paths[0])
    #expect(lab.server.packetsToPeers == 1)
  }

  @Test func `responses and data that are spoofed reach no client`() {
    let lab = allocated()
    let data = [UInt8](capacity: 200) { output in
      var writer = MessageWriter(.indication, .data, TransactionID(high: 1, low: 2), to: &output)
      writer.append(.xorPeerAddress, Self.peer, to: &output)
      writer.append(.data, [1].bytes, to: &output)
    }
    let now = lab.now
    #expect(lab.clients[0].handle(data.bytes, from: address("198.51.100.66:3478"), now: now) == .ignored)
    #expect(lab.clients[0].handle(data.bytes, from: Lab.serverAddress, now: now) != .ignored)
    // The server itself cannot speak for a peer that was never asked for.
    let other = [UInt8](capacity: 200) { output in
      var writer = MessageWriter(.indication, .data, TransactionID(high: 1, low: 2), to: &output)
      writer.append(.xorPeerAddress, address("203.0.113.200:1"), to: &output)
      writer.append(.data, [1].bytes, to: &output)
    }
    #expect(lab.clients[0].handle(other.bytes, from: Lab.serverAddress, now: now) == .ignored)
    #expect(lab.clients[0].handle([0x40, 0, 0, 1, 5].bytes, from: Lab.serverAddress, now: now) == .ignored)
    let forged = [UInt8](capacity: 200) { output in
      var writer = MessageWriter(.error, .refresh, TransactionID(high: 1, low: 2), to: &output)
      writer.append(.allocationMismatch, to: &output)
    }
    #expect(lab.clients[0].handle(forged.bytes, from: Lab.serverAddress, now: now) == .ignored)
    #expect(lab.clients[0].isAllocated)
  }

  @Test func `a channel number of RFC 5766 is taken, and one outside of it is a bad request`() throws {
    for (number, isTaken) in [(UInt32(0x3FFF), false), (0x4000, true), (0x7FFF, true), (0x8000, false)] {
      let lab = Lab()
      lab.addClient()
      lab.run(for: .seconds(2))
      let key = IntegrityKey(longTerm: "alice", realm: "example.org", password: "secret")
      var entropy = SeededEntropy(seed: 9)
      let request = [UInt8](capacity: 300) {
        _ = MessageWriter(.request, .channelBind, TransactionID(random: &entropy), to: &$0)
      }
      lab.toServer(request, from: lab.paths[0])
      // The challenge went to the client, which does not know the request; the server's own nonce is as good.
      let path = lab.paths[0]
      var buffer = [UInt8](repeating: 0, count: 48) + request + [0, 0, 0]
      var span = buffer.mutableBytes
      _ = lab.server.handleClient(&span, 48..<48 + request.count, from: path, now: lab.now, wallSeconds: 0)
      let challenge = [UInt8](capacity: 1500) { _ = lab.server.nextTransmit(into: &$0) }
      let nonce = try STUNMessage(challenge.bytes).copy(.nonce)!
      let bind = [UInt8](capacity: 300) { output in
        var writer = MessageWriter(.request, .channelBind, TransactionID(random: &entropy), to: &output)
        writer.append(.channelNumber, number << 16, to: &output)
        writer.append(.xorPeerAddress, Self.peer, to: &output)
        writer.append(.username, "alice", to: &output)
        writer.append(.realm, "example.org", to: &output)
        writer.append(.nonce, nonce.bytes, to: &output)
        writer.appendIntegrity(.sha1, key, to: &output)
      }
      var second = [UInt8](repeating: 0, count: 48) + bind + [0, 0, 0]
      var room = second.mutableBytes
      _ = lab.server.handleClient(&room, 48..<48 + bind.count, from: path, now: lab.now, wallSeconds: 0)
      let answer = [UInt8](capacity: 1500) { _ = lab.server.nextTransmit(into: &$0) }
      #expect(try STUNMessage(answer.bytes).messageClass == (isTaken ? .success : .error), "\(number)")
      if !isTaken { #expect(try STUNMessage(answer.bytes).errorCode() == .badRequest) }
    }
  }

  @Test func `a rate of bytes holds for an allocation`() {
    let lab = allocated(Lab { $0.bytesPerSecond = 10_000 })
    lab.echoes = false
    for _ in 0..<100 { lab.toServer(indication(to: Self.peer, [UInt8](repeating: 1, count: 1000)), from: lab.paths[0]) }
    #expect(lab.server.packetsToPeers == 10)
    lab.run(for: .milliseconds(500))
    for _ in 0..<100 { lab.toServer(indication(to: Self.peer, [UInt8](repeating: 1, count: 1000)), from: lab.paths[0]) }
    #expect(lab.server.packetsToPeers == 15)
  }

  @Test func `permissions and channels are capped`() {
    let lab = Lab {
      $0.maximumPermissions = 4
      $0.maximumChannels = 2
    }
    lab.addClient()
    lab.run(for: .seconds(2))
    for index in 0..<8 { lab.clients[0].permit(IPAddress(v4: 0xCB00_7100 + UInt32(index)), now: lab.now) }
    lab.run(for: .seconds(5))
    #expect(lab.events[0].filter { if case .permitted = $0 { true } else { false } }.count == 4)
    for port in 1...4 {
      lab.clients[0].bindChannel(to: SocketAddress(IPAddress(v4: 0xCB00_7100), port: UInt16(port)), now: lab.now)
    }
    lab.run(for: .seconds(5))
    #expect(lab.events[0].filter { if case .channelBound = $0 { true } else { false } }.count == 2)
  }

  // MARK: Floods

  @Test func `a million requests without credentials leave nothing behind`() {
    let lab = Lab {
      $0.requestsPerSecond = 1_000_000_000
      $0.burst = 1_000_000
    }
    let request = [UInt8](capacity: 64) { output in
      var writer = MessageWriter(.request, .allocate, TransactionID(high: 1, low: 2), to: &output)
      writer.append(.requestedTransport, 17 << 24, to: &output)
    }
    let count = 1_000_000
    var buffer = [UInt8](repeating: 0, count: 48) + request + [0, 0, 0]
    var answers = 0
    for index in 0..<count {
      var span = buffer.mutableBytes
      let path = ClientPath(SocketAddress(IPAddress(v4: UInt32(0x0800_0000 + index)), port: 1))
      _ = lab.server.handleClient(&span, 48..<48 + request.count, from: path, now: lab.now, wallSeconds: 0)
      // A caller that never sends: the queue of answers is bounded.
      if index & 0xFFF == 0 {
        while true {
          var isAnswer = false
          _ = [UInt8](capacity: 1500) { isAnswer = lab.server.nextTransmit(into: &$0) != nil }
          guard isAnswer else { break }
          answers += 1
        }
      }
    }
    #expect(lab.server.allocationCount == 0)
    #expect(lab.server.nextEvent() == nil)
    #expect(lab.server.drops[.answersFull] > 0)
    #expect(answers <= (count >> 12 + 1) * 1024)
    #expect(lab.server.deadline == nil)
  }

  @Test func `a source that asks too often is not answered`() {
    let lab = Lab {
      $0.requestsPerSecond = 10
      $0.burst = 20
    }
    let request = [UInt8](capacity: 64) {
      _ = MessageWriter(.request, .allocate, TransactionID(high: 1, low: 2), to: &$0)
    }
    let path = ClientPath(address("198.51.100.1:7"))
    for _ in 0..<1000 { lab.toServer(request, from: path) }
    #expect(lab.server.drops[.unauthenticated] == 20)
    #expect(lab.server.drops[.rateLimited] == 980)
  }

  @Test func `a challenge is a small multiple of what it answers`() {
    let lab = Lab()
    let request = [UInt8](capacity: 64) { output in
      var writer = MessageWriter(.request, .allocate, TransactionID(high: 1, low: 2), to: &output)
      writer.append(.requestedTransport, 17 << 24, to: &output)
    }
    var buffer = [UInt8](repeating: 0, count: 48) + request + [0, 0, 0]
    var span = buffer.mutableBytes
    _ = lab.server.handleClient(
      &span, 48..<48 + request.count, from: ClientPath(address("198.51.100.1:7")), now: lab.now, wallSeconds: 0)
    let answer = [UInt8](capacity: 1500) { _ = lab.server.nextTransmit(into: &$0) }
    #expect(answer.count <= 5 * request.count)
  }

  @Test func `bytes at random, and messages that were changed, end nothing`() {
    let lab = allocated()
    var entropy = SeededEntropy(seed: 31)
    let good = [indication(to: Self.peer, [1, 2, 3, 4, 5]), [0x40, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0]]
    for round in 0..<20_000 {
      var bytes = good[round & 1]
      if round & 2 == 0 {
        bytes = [UInt8](repeating: 0, count: Int(entropy.upTo(100)))
        var span = bytes.mutableBytes
        entropy.fill(&span)
      } else {
        for _ in 0...entropy.upTo(3) { bytes[Int(entropy.upTo(Int64(bytes.count - 1)))] = UInt8(entropy.upTo(255)) }
      }
      lab.toServer(bytes, from: lab.paths[0])
      _ = lab.clients[0].handle(bytes.bytes, from: Lab.serverAddress, now: lab.now)
      if let relay = lab.sockets.keys.first { lab.atRelay(bytes, relay: relay, from: Self.peer) }
      if round & 0xFF == 0 { lab.run(for: .milliseconds(50)) }
    }
    #expect(lab.server.allocationCount == 1)
    #expect(lab.clients[0].isAllocated)
  }
}

@Suite("TURN over streams") struct StreamDeframerTests {
  private let message = [UInt8](capacity: 64) {
    _ = MessageWriter(.request, .binding, TransactionID(high: 1, low: 2), to: &$0)
  }

  @Test func `frames come out whole, however the stream is cut`() throws {
    let stream = message + [0x40, 0, 0, 3, 1, 2, 3, 0xFF] + message + [0x40, 1, 0, 0] + [0x40, 2, 0, 4, 9, 9, 9, 9]
    let expected = [message, [0x40, 0, 0, 3, 1, 2, 3], message, [0x40, 1, 0, 0], [0x40, 2, 0, 4, 9, 9, 9, 9]]
    for size in 1...stream.count {
      var deframer = StreamDeframer()
      var frames: [[UInt8]] = []
      for start in stride(from: 0, to: stream.count, by: size) {
        let part = Array(stream[start..<min(start + size, stream.count)])
        #expect(try deframer.append(part.bytes) == part.count)
        while let frame = try deframer.nextFrame() { frames.append(frame) }
      }
      #expect(frames == expected, "cut every \(size) bytes")
      #expect(deframer.pending == 0)
    }
  }

  @Test func `what is no frame, or too large a one, ends the stream`() throws {
    var deframer = StreamDeframer(limit: 100)
    _ = try deframer.append([0x80, 0, 0, 0].bytes)
    #expect(throws: StreamDeframer.Failure.notFrame) { try deframer.nextFrame() }
    deframer = StreamDeframer(limit: 100)
    _ = try deframer.append([0x40, 0, 0xFF, 0xFF].bytes)
    #expect(throws: StreamDeframer.Failure.tooLarge(65_540)) { try deframer.nextFrame() }
    deframer = StreamDeframer(limit: 100)
    _ = try deframer.append([0, 1, 0, 0, 1, 2, 3, 4].bytes)
    #expect(throws: StreamDeframer.Failure.notFrame) { try deframer.nextFrame() }
  }

  @Test func `a deframer holds no more than its limit`() throws {
    var deframer = StreamDeframer(limit: 100)
    let taken = try deframer.append([UInt8](repeating: 0x40, count: 10_000).bytes)
    #expect(taken <= 104)
    #expect(deframer.pending == taken)
  }
}
