import MeshICE
import MeshPrimitives
import MeshSTUN
import MeshSimulation
import Testing

@Suite("Hostile input to an agent") struct HostileTests {
  /// A check as the peer of `victim` would make it.
  private func check(
    of network: ICENetwork, to victim: Int = 0, password: String? = nil, name: String? = nil, id: UInt64 = 1,
    extra: AttributeType? = nil, priority: Bool = true, role: Bool = true
  ) -> [UInt8] {
    let credentials = network.peers[victim].box.agent.credentials
    return [UInt8](capacity: 512) { output in
      var writer = MessageWriter(.request, .binding, TransactionID(high: 7, low: id), to: &output)
      writer.append(.username, "\(name ?? credentials.ufrag):peer", to: &output)
      if priority { writer.append(.priority, 1_000_000 as UInt32, to: &output) }
      let isControlling = network.peers[victim].box.agent.role == .controlled
      if role { writer.append(isControlling ? .iceControlling : .iceControlled, 0 as UInt64, to: &output) }
      if let extra { writer.append(raw: extra, RawSpan(), to: &output) }
      writer.appendIntegrity(.sha1, IntegrityKey(shortTerm: password ?? credentials.password), to: &output)
      writer.appendFingerprint(to: &output)
    }
  }

  private func handle(
    _ network: ICENetwork, _ bytes: [UInt8], from source: String = "198.51.100.66:6666"
  ) -> ICEAgent.Received {
    network.peers[0].box.agent.handle(
      bytes.bytes, from: endpoint(source), on: network.peers[0].bases[0], now: network.clock.now)
  }

  @Test func `a request that does not authenticate is dropped with its reason and not answered`() {
    let network = ICENetwork.completed(.public, .public)
    network.peers[0].sent = []
    let known = network.peers[0].box.agent.remoteCandidates.count
    let good = check(of: network)
    let anonymous = [UInt8](capacity: 64) { output in
      var writer = MessageWriter(.request, .binding, TransactionID(high: 1, low: 1), to: &output)
      writer.appendFingerprint(to: &output)
    }
    #expect(handle(network, check(of: network, password: "wrong")) == .dropped(.wrongIntegrity))
    #expect(handle(network, check(of: network, name: "nobody")) == .dropped(.unknownName))
    #expect(handle(network, check(of: network, name: "")) == .dropped(.unknownName))
    #expect(handle(network, anonymous) == .dropped(.noCredentials))
    #expect(handle(network, good, from: "224.0.0.1:5") == .dropped(.forbiddenSource))
    #expect(handle(network, good, from: "198.51.100.66:0") == .dropped(.forbiddenSource))
    #expect(handle(network, Array(good.dropLast(4))) == .dropped(.malformed))
    #expect(
      network.peers[0].box.agent.handle(
        good.bytes, from: endpoint("198.51.100.66:1"), on: endpoint("203.0.113.21:1"), now: network.clock.now)
        == .dropped(.unknownBase))
    network.drain()
    #expect(network.peers[0].sent.isEmpty)
    #expect(network.peers[0].box.agent.remoteCandidates.count == known)
    #expect(network.peers[0].box.agent.drops.total == 8)
  }

  @Test func `every single bit of a check matters`() {
    let network = ICENetwork.completed(.public, .public)
    let good = check(of: network)
    network.peers[0].sent = []
    for bit in 0..<good.count * 8 {
      var bytes = good
      bytes[bit / 8] ^= 1 << (bit % 8)
      let received = handle(network, bytes)
      // One bit makes an indication of it, which says nothing.
      #expect(received != .consumed || network.peers[0].box.agent.drops[.keepalive] == 1, "bit \(bit)")
      network.drain()
      #expect(network.peers[0].sent.isEmpty, "bit \(bit)")
    }
    #expect(handle(network, good) == .consumed)
  }

  @Test func `an authentic request that says too little or too much is answered with its error`() throws {
    let network = ICENetwork.completed(.public, .public)
    network.peers[0].sent = []
    #expect(handle(network, check(of: network, priority: false)) == .dropped(.missingAttribute))
    #expect(handle(network, check(of: network, role: false)) == .dropped(.missingAttribute))
    #expect(
      handle(network, check(of: network, extra: AttributeType(rawValue: 0x7ABC))) == .dropped(.unknownAttribute))
    network.drain()
    let codes = try network.peers[0].sent.map { try STUNMessage($0.bytes.bytes).errorCode() }
    #expect(codes == [.badRequest, .badRequest, .unknownAttribute])
  }

  @Test func `spoofed answers change nothing`() {
    let network = ICENetwork(.public, .public)
    var spoofed = 0
    network.filter = { index, destination, bytes in
      guard index == 0, let message = try? STUNMessage(bytes.bytes), message.messageClass == .request else {
        return true
      }
      // Somebody on the path who knows no password answers first, from the right address, with success and errors.
      for code in [nil, .roleConflict, .badRequest, .unauthenticated] as [STUNErrorCode?] {
        for key in [nil, IntegrityKey(shortTerm: "guess")] {
          let id = message.transactionID
          let answer = [UInt8](capacity: 256) { output in
            var writer = MessageWriter(code == nil ? .success : .error, .binding, id, to: &output)
            if let code {
              writer.append(code, to: &output)
            } else {
              writer.append(.xorMappedAddress, endpoint("198.51.100.66:6666"), to: &output)
            }
            if let key { writer.appendIntegrity(.sha1, key, to: &output) }
            writer.appendFingerprint(to: &output)
          }
          let base = network.peers[0].bases.first { $0.address.family == destination.address.family }!
          let received = network.peers[0].box.agent.handle(
            answer.bytes, from: destination, on: base, now: network.clock.now)
          #expect(received == .dropped(.wrongIntegrity))
          spoofed += 1
        }
      }
      return true
    }
    network.connect(relays: false)
    #expect(network.run(for: .seconds(5)) { network.areCompleted })
    #expect(spoofed > 0)
    #expect(network.peers[0].box.agent.role == .controlling)
    #expect(network.peers[0].box.agent.pair()?.local.kind == .host)
  }

  @Test func `answers to nothing are dropped`() {
    let network = ICENetwork.completed(.public, .public)
    let key = IntegrityKey(shortTerm: network.peers[1].credentials.password)
    for low in 0..<100 as Range<UInt64> {
      let answer = [UInt8](capacity: 256) { output in
        var writer = MessageWriter(.success, .binding, TransactionID(high: 1, low: low), to: &output)
        writer.append(.xorMappedAddress, endpoint("198.51.100.66:6666"), to: &output)
        writer.appendIntegrity(.sha1, key, to: &output)
      }
      #expect(handle(network, answer) == .dropped(.unknownTransaction))
    }
    #expect(network.areCompleted)
  }

  @Test func `an authentic answer from elsewhere fails its pair`() throws {
    let network = ICENetwork(.public, .public)
    network.gather(0, relays: false)
    network.run(for: .seconds(1))
    network.exchangeCredentials(of: [0])
    let key = IntegrityKey(shortTerm: network.peers[1].credentials.password)
    network.filter = { _, _, bytes in
      guard let message = try? STUNMessage(bytes.bytes) else { return false }
      let id = message.transactionID
      let answer = [UInt8](capacity: 256) { output in
        var writer = MessageWriter(.success, .binding, id, to: &output)
        writer.append(.xorMappedAddress, network.peers[0].bases[0], to: &output)
        writer.appendIntegrity(.sha1, key, to: &output)
        writer.appendFingerprint(to: &output)
      }
      _ = self.handle(network, answer, from: "198.51.100.77:1")
      return false
    }
    let candidate = Candidate(foundation: "1", priority: 5, address: endpoint("198.51.100.66:1"), kind: .host)
    try network.peers[0].box.agent.addRemoteCandidate(candidate, now: network.clock.now)
    network.run(for: .seconds(1))
    #expect(network.peers[0].box.agent.pairCounts == (1, 1))
    #expect(network.peers[0].box.agent.validPairs.isEmpty)
  }

  static let forbidden = [
    "0.0.0.0:1", "0.1.2.3:1", "224.0.0.1:1", "239.1.1.1:1", "240.0.0.1:1", "255.255.255.255:1", "192.0.2.1:0",
    "169.254.169.254:80", "[::]:1", "[ff02::1]:1", "[::ffff:224.0.0.1]:1", "[::ffff:169.254.169.254]:80",
    "[fd00:ec2::254]:80", "[::192.0.2.1]:1",
  ]

  @Test(arguments: forbidden) func `an address that is no host's is not taken`(address: String) {
    let network = ICENetwork(.public, .public)
    network.gather(0, relays: false)
    network.exchangeCredentials(of: [0])
    let candidate = Candidate(foundation: "1", priority: 5, address: endpoint(address), kind: .host)
    #expect(throws: CandidateError.forbiddenAddress) {
      try network.peers[0].box.agent.addRemoteCandidate(candidate, now: network.clock.now)
    }
    #expect(network.peers[0].box.agent.pairCounts.all == 0)
  }

  @Test func `loopback and link-local addresses are checked only from their like`() throws {
    let network = ICENetwork(.public, .public)
    network.gather(0, relays: false)
    network.exchangeCredentials(of: [0])
    for address in ["127.0.0.1:9", "[::1]:9", "169.254.7.7:9", "[fe80::7]:9"] {
      let candidate = Candidate(foundation: "1", priority: 5, address: endpoint(address), kind: .host)
      try network.peers[0].box.agent.addRemoteCandidate(candidate, now: network.clock.now)
    }
    #expect(network.peers[0].box.agent.pairCounts.all == 0)
    let loopback = endpoint("127.0.0.1:50000")
    network.peers[0].box.agent.addLocalCandidate(.host, address: loopback, base: loopback)
    let linked = SocketAddress(IPAddress("fe80::1")!, port: 50_000, scope: 3)
    network.peers[0].box.agent.addLocalCandidate(.host, address: linked, base: linked)
    #expect(network.peers[0].box.agent.pairCounts.all == 2)
    network.run(for: .milliseconds(300))
    let destinations = network.peers[0].sent.map(\.destination).filter { $0.port == 9 }
    #expect(Set(destinations) == [endpoint("127.0.0.1:9"), SocketAddress(IPAddress("fe80::7")!, port: 9, scope: 3)])
  }

  @Test func `candidates that point at third parties get few packets, and slowly`() throws {
    let network = ICENetwork(.public, .public)
    network.gather(0, relays: false)
    network.run(for: .seconds(1))
    network.exchangeCredentials(of: [0])
    func listed(_ number: Int) -> Candidate {
      Candidate(
        foundation: "f\(number)", priority: 5,
        address: SocketAddress(IPAddress("198.51.100.66")!, port: UInt16(number + 1)), kind: .host)
    }
    for number in 0..<16 {
      try network.peers[0].box.agent.addRemoteCandidate(listed(number), now: network.clock.now)
    }
    for number in 16..<1000 {
      #expect(throws: CandidateError.tooMany) {
        try network.peers[0].box.agent.addRemoteCandidate(listed(number), now: network.clock.now)
      }
    }
    network.run(for: .seconds(120))
    let sent = network.peers[0].sent
    #expect(sent.count == 16 * 7)
    expectPaced(sent)
    var begun: Set<SocketAddress> = []
    let starts = sent.filter { begun.insert($0.destination).inserted }.map(\.time)
    #expect(zip(starts, starts.dropFirst()).allSatisfy { $1 - $0 >= .milliseconds(50) })
  }

  private func expectPaced(_ sent: [(destination: SocketAddress, time: Instant, bytes: [UInt8])]) {
    let checks = sent.filter { (try? STUNMessage($0.bytes.bytes))?.messageClass == .request }
    for (index, first) in checks.enumerated() {
      let inSecond = checks[index...].prefix { $0.time < first.time + .seconds(1) }.count
      #expect(inSecond <= 50)
    }
  }

  @Test func `a peer that checks from a thousand addresses gets a bounded number of checks back`() {
    let network = ICENetwork.completed(.public, .public)
    network.peers[0].sent = []
    for round in 0..<20 {
      for number in 0..<1000 {
        _ = handle(
          network, check(of: network, id: UInt64(round * 1000 + number)),
          from: "198.51.100.66:\(1000 + number)")
        if number % 100 == 0 { network.drain() }
      }
      network.run(for: .seconds(1))
    }
    let agent = network.peers[0].box
    #expect(agent.agent.remoteCandidates.count { $0.kind == .peerReflexive } == 16)
    #expect(agent.agent.pairCounts.all <= 100)
    #expect(agent.agent.drops[.tableFull] > 0)
    expectPaced(network.peers[0].sent)
    #expect(network.areCompleted)
  }

  @Test func `what is no STUN is the application's`() {
    let network = ICENetwork.completed(.public, .public)
    #expect(handle(network, []) == .data)
    #expect(handle(network, [0xFF, 0]) == .data)
    #expect(handle(network, [1, 0, 0, 0] + Array(repeating: 0, count: 144)) == .data)
  }

  @Test(arguments: 1...5 as ClosedRange<UInt64>) func `random changes to all that is sent never trap`(seed: UInt64) {
    let network = ICENetwork(.portRestricted, .addressRestricted, seed: seed)
    var entropy = SeededEntropy(seed: seed)
    network.filter = { index, destination, bytes in
      for _ in 0..<4 {
        var broken = bytes
        for _ in 0...entropy.upTo(3) {
          broken[Int(entropy.upTo(Int64(broken.count - 1)))] = UInt8(truncatingIfNeeded: entropy.next())
        }
        if entropy.chance(0.2) { broken.removeLast(Int(entropy.upTo(Int64(broken.count)))) }
        let victim = network.peers[1 - index]
        _ = victim.box.agent.handle(
          broken.bytes, from: network.peers[index].bases[0], on: victim.bases[0], now: network.clock.now)
      }
      return true
    }
    network.connect()
    #expect(network.run(for: .seconds(20)) { network.areCompleted })
  }
}
