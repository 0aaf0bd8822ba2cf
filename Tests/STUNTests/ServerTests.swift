import MeshPrimitives
import MeshSTUN
import MeshSimulation
import Testing

@Suite("Binding server") struct ServerTests {
  static let addresses = ["192.0.2.1:3478", "192.0.2.1:3479", "192.0.2.2:3478", "192.0.2.2:3479"].map(address)
  let source = address("203.0.113.9:40000")
  let now = TransactionTests.start

  private func server(discovery: Bool = true, perSecond: Int = 1_000_000, burst: Int = 1_000_000) -> BindingServer {
    var configuration = BindingServer.Configuration()
    if discovery { configuration.addresses = Self.addresses }
    configuration.requestsPerSecond = perSecond
    configuration.burst = burst
    var entropy = SeededEntropy(seed: 8)
    return BindingServer(configuration, entropy: &entropy)
  }

  private func ask(
    _ server: inout BindingServer, _ request: [UInt8], from source: SocketAddress? = nil, on socket: Int = 0
  ) -> (bytes: [UInt8], reply: BindingServer.Reply)? {
    var reply: BindingServer.Reply?
    let bytes = [UInt8](capacity: 1500) { output in
      reply = server.respond(to: request.bytes, from: source ?? self.source, on: socket, now: now, into: &output)
    }
    return reply.map { (bytes, $0) }
  }

  static let sources = ["203.0.113.9:40000", "[2001:db8::9]:40000", "[::ffff:203.0.113.9]:40000"]
  @Test(arguments: sources) func `a client is told its address, unmapped`(_ source: String) throws {
    var server = server(discovery: false)
    let (bytes, reply) = ask(&server, message(.request), from: address(source))!
    let read = try STUNMessage(bytes.bytes)
    let expected = SocketAddress(address(source).address.unmapped, port: 40000)
    #expect(try read.value(.xorMappedAddress) == expected)
    #expect(reply.destination == address(source) && reply.socket == 0)
    #expect(bytes.count - 20 <= BindingServer.maximumGrowth)
    #expect(server.answered == 1)
  }

  @Test func `what is no Binding request is not answered, and counted by its reason`() {
    var server = server(discovery: false)
    #expect(ask(&server, [1, 2, 3]) == nil)
    #expect(ask(&server, message(.success)) == nil)
    #expect(ask(&server, message(.indication)) == nil)
    #expect(ask(&server, message(.request, .allocate)) == nil)
    var broken = message(.request) { $0.appendFingerprint(to: &$1) }
    broken[10] ^= 1
    #expect(ask(&server, broken) == nil)
    #expect(ask(&server, message(.request), from: SocketAddress(source.address, port: 0)) == nil)
    #expect(server.drops[.notSTUN] == 1)
    #expect(server.drops[.notRequest] == 3)
    #expect(server.drops[.wrongFingerprint] == 1)
    #expect(server.drops[.badPort] == 1)
    #expect(server.answered == 0)
  }

  @Test func `unknown attributes get 420 and a list`() throws {
    var server = server(discovery: false)
    let unknown = [AttributeType(rawValue: 0x7F01), .changeRequest]
    let request = message(.request) { writer, output in
      for type in unknown { writer.append(raw: type, [0, 0, 0, 0].bytes, to: &output) }
    }
    let (bytes, _) = ask(&server, request)!
    let read = try STUNMessage(bytes.bytes)
    #expect(try read.errorCode() == .unknownAttribute)
    #expect(try read.listedUnknownAttributes() == unknown)
    #expect(server.drops[.unknownAttribute] == 1)
  }

  @Test func `no answer is more than 24 bytes longer than its request`() {
    var server = server()
    var entropy = SeededEntropy(seed: 99)
    for _ in 0..<20_000 {
      let request = [UInt8](capacity: 1400) { output in
        var writer = MessageWriter(.request, .binding, TransactionID(random: &entropy), to: &output)
        for _ in 0..<entropy.upTo(6) {
          switch entropy.upTo(7) {
          case 0: writer.append(ChangeRequest(rawValue: UInt32(entropy.upTo(7))), to: &output)
          case 1: writer.append(responsePort: UInt16(entropy.upTo(65_535)), to: &output)
          case 2: writer.append(zeroPadding: Int(entropy.upTo(200)), to: &output)
          case 3: writer.append(.software, "x", to: &output)
          case 4:
            writer.append(raw: AttributeType(rawValue: UInt16(0x7F00 + entropy.upTo(20))), RawSpan(), to: &output)
          case 5: writer.append(raw: .changeRequest, [1].bytes, to: &output)
          default: writer.append(raw: .responsePort, [1].bytes, to: &output)
          }
        }
        if entropy.chance(0.5) { writer.appendFingerprint(to: &output) }
      }
      let source = entropy.chance(0.5) ? source : address("[2001:db8::9]:40000")
      guard let (bytes, _) = ask(&server, request, from: source, on: Int(entropy.upTo(3))) else { continue }
      #expect(bytes.count <= request.count + BindingServer.maximumGrowth, "\(request)")
      #expect((try? STUNMessage(bytes.bytes).method) == .binding)
    }
    #expect(server.answered > 1000)
  }

  @Test func `a change request chooses the socket, and the answer names both addresses`() throws {
    var server = server()
    for socket in 0..<4 {
      for (change, flip) in [(ChangeRequest([]), 0), (.changePort, 1), (.changeIP, 2), ([.changeIP, .changePort], 3)] {
        let request = message(.request) { writer, output in
          writer.append(.software, "long enough for all there is to say", to: &output)
          writer.append(change, to: &output)
        }
        let (bytes, reply) = ask(&server, request, on: socket)!
        #expect(reply.socket == socket ^ flip)
        let read = try STUNMessage(bytes.bytes)
        #expect(try read.value(.responseOrigin) == Self.addresses[socket ^ flip])
        #expect(try read.value(.otherAddress) == Self.addresses[socket ^ 3])
      }
    }
  }

  @Test func `a response port changes the port and never the address`() {
    var server = server()
    let (_, reply) = ask(&server, message(.request) { $0.append(responsePort: 9, to: &$1) })!
    #expect(reply.destination == SocketAddress(source.address, port: 9))
    #expect(ask(&server, message(.request) { $0.append(responsePort: 0, to: &$1) }) == nil)
  }

  @Test func `response port and padding together are a bad request`() throws {
    var server = server()
    let request = message(.request) { writer, output in
      writer.append(responsePort: 9, to: &output)
      writer.append(zeroPadding: 100, to: &output)
    }
    let (bytes, reply) = ask(&server, request)!
    #expect(try STUNMessage(bytes.bytes).errorCode() == .badRequest)
    #expect(reply.destination == source)
  }

  @Test func `a source has its burst, then its rate, and others have theirs`() {
    var server = server(discovery: false, perSecond: 10, burst: 5)
    var clock = now
    func count(_ source: String, _ tries: Int) -> Int {
      var answered = 0
      for _ in 0..<tries {
        _ = [UInt8](capacity: 1500) { output in
          if server.respond(to: message(.request).bytes, from: address(source), now: clock, into: &output) != nil {
            answered += 1
          }
        }
      }
      return answered
    }
    #expect(count("203.0.113.9:1", 100) == 5)
    #expect(count("203.0.113.9:2", 100) == 0)
    #expect(count("203.0.113.10:1", 100) == 5)
    #expect(count("[2001:db8::1]:1", 100) == 5)
    #expect(count("[2001:db8::2]:1", 100) == 0)
    #expect(count("[2001:db8:0:1::1]:1", 100) == 5)
    clock = clock + .milliseconds(250)
    #expect(count("203.0.113.9:1", 100) == 2)
    #expect(server.drops[.rateLimited] == 95 + 100 + 95 + 95 + 100 + 95 + 98)
  }

  @Test func `a flood of forged sources leaves the limit in force`() {
    var entropy = SeededEntropy(seed: 3)
    var limiter = SourceRateLimiter(perSecond: 10, burst: 5, capacity: 64, entropy: &entropy)
    var allowed = 0
    for _ in 0..<100_000 where limiter.allow(IPAddress(v4: UInt32(truncatingIfNeeded: entropy.next())), now: now) {
      allowed += 1
    }
    // Never more than all buckets' bursts.
    #expect(allowed <= 64 * 5)
    #expect(allowed >= 64)
    // Once they have refilled, a source has its own again.
    let later = now + .seconds(1)
    let victim = IPAddress(v4: 0xC000_0264)
    #expect((0..<5).allSatisfy { _ in limiter.allow(victim, now: later) })
    #expect(limiter.allow(victim, now: later) == false)
  }
}
