import MeshPrimitives
import MeshSTUN
import MeshSimulation
import Testing

/// What a client sends, one at a time.
func nextRequest(_ client: inout BindingClient, _ now: Instant) -> (bytes: [UInt8], to: SocketAddress)? {
  var destination: SocketAddress?
  let bytes = [UInt8](capacity: 2048) { destination = client.nextTransmit(into: &$0, now: now) }
  return destination.map { (bytes, $0) }
}

func idOf(_ bytes: [UInt8]) -> TransactionID { try! STUNMessage(bytes.bytes).transactionID }

@Suite("Binding client") struct ClientTests {
  static let start = TransactionTests.start
  let server = address("192.0.2.1:3478")
  let mapped = address("203.0.113.9:40000")
  let now = Self.start

  private func client(_ credentials: STUNCredentials = .none) -> BindingClient {
    BindingClient(to: server, credentials: credentials, entropy: SeededEntropy(seed: 5), now: now)
  }

  private func success(
    to request: [UInt8], _ body: (inout MessageWriter, inout OutputRawSpan) -> Void = { _, _ in }
  ) -> [UInt8] {
    message(.success, .binding, idOf(request)) { writer, output in
      writer.append(.xorMappedAddress, mapped, to: &output)
      body(&writer, &output)
    }
  }

  @Test func `an answer gives the mapped address and the round trip`() {
    var client = client()
    let (request, destination) = nextRequest(&client, now)!
    #expect(destination == server)
    client.handle(success(to: request).bytes, from: server, now: now + .milliseconds(20))
    guard case .mapped(let mapping)? = client.nextEvent() else { return #expect(Bool(false)) }
    #expect(mapping.address == mapped)
    #expect(mapping.roundTrip == .milliseconds(20))
    #expect(client.deadline == nil)
    #expect(client.nextEvent() == nil)
  }

  @Test func `answers that are spoofed, late or broken change nothing`() {
    var client = client()
    let request = nextRequest(&client, now)!.bytes
    let good = success(to: request)
    client.handle(good.bytes, from: address("192.0.2.2:3478"), now: now)
    client.handle(message(.success, .binding, TransactionID(high: 9, low: 9)).bytes, from: server, now: now)
    client.handle(good.bytes.extracting(first: 24), from: server, now: now)
    var broken = success(to: request) { $0.appendFingerprint(to: &$1) }
    broken[27] ^= 1
    client.handle(broken.bytes, from: server, now: now)
    #expect(client.nextEvent() == nil)
    client.handle(good.bytes, from: server, now: now)
    #expect(client.nextEvent() != nil)
    client.handle(good.bytes, from: server, now: now)
    #expect(client.nextEvent() == nil)
  }

  @Test func `an unknown attribute that must be understood fails the request`() {
    var client = client()
    let request = nextRequest(&client, now)!.bytes
    let type = AttributeType(rawValue: 0x7F00)
    client.handle(success(to: request) { $0.append(raw: type, RawSpan(), to: &$1) }.bytes, from: server, now: now)
    #expect(client.nextEvent() == .failed(.unknownAttributes([type])))
  }

  @Test func `a redirection is followed once, and a circle is not`() {
    var client = client()
    let other = address("192.0.2.7:3478")
    func redirect(_ request: [UInt8], to server: SocketAddress) -> [UInt8] {
      message(.error, .binding, idOf(request)) { writer, output in
        writer.append(.tryAlternate, to: &output)
        writer.append(.alternateServer, server, to: &output)
      }
    }
    let first = nextRequest(&client, now)!.bytes
    client.handle(redirect(first, to: other).bytes, from: server, now: now)
    let (second, destination) = nextRequest(&client, now)!
    #expect(destination == other)
    #expect(idOf(second) != idOf(first))
    client.handle(redirect(second, to: server).bytes, from: other, now: now)
    #expect(client.nextEvent() == .failed(.badRedirection))
  }

  @Test func `a server that answers with nothing but forgeries is told from one that is silent`() {
    var client = client(.shortTerm(username: "u", password: "p"))
    var now = now
    let wrong = IntegrityKey(shortTerm: "q")
    while let deadline = client.deadline {
      now = max(now, deadline)
      client.handleTimeout(now: now)
      guard let request = nextRequest(&client, now)?.bytes else { continue }
      client.handle(success(to: request).bytes, from: server, now: now)
      client.handle(
        success(to: request) { $0.appendIntegrity(.sha1, wrong, to: &$1) }.bytes, from: server, now: now)
    }
    #expect(client.nextEvent() == .failed(.integrityCheckViolated))
  }

  @Test func `the first short-term request has both codes`() throws {
    var client = client(.shortTerm(username: "u", password: "p"))
    let request = nextRequest(&client, now)!.bytes
    let key = IntegrityKey(shortTerm: "p")
    let read = try STUNMessage(request.bytes)
    #expect(read.integrity(.sha1, with: key) == .valid)
    #expect(read.integrity(.sha256, with: key) == .valid)
    #expect(read.fingerprint == .valid)
    client.handle(success(to: request) { $0.appendIntegrity(.sha1, key, to: &$1) }.bytes, from: server, now: now)
    #expect(client.nextEvent() != nil)
  }

  // MARK: Long-term credentials

  private func authentication(timeLimited: Bool = false) -> ServerAuthentication {
    var entropy = SeededEntropy(seed: 77)
    var users = UserDirectory(realm: "example.org")
    users.add("alice", password: "secret")
    if timeLimited { users.acceptTimeLimited(secret: "north") }
    return ServerAuthentication(users, nonceLifetime: .seconds(60), entropy: &entropy)
  }

  /// Answers a request as a server does that wants long-term credentials.
  private func answer(
    _ server: ServerAuthentication, _ request: [UInt8], from source: SocketAddress? = nil, _ now: Instant,
    wallSeconds: Int64 = 1_000
  ) -> [UInt8] {
    let read = try! STUNMessage(request.bytes)
    let source = source ?? mapped
    switch server.judge(read, from: source, now: now, wallSeconds: wallSeconds) {
    case .accept(let found, let algorithm):
      return success(to: request) { $0.appendIntegrity(algorithm, found.key, to: &$1) }
    case .challenge(let code):
      return message(.error, .binding, idOf(request)) { writer, output in
        writer.append(code, to: &output)
        server.appendChallenge(to: &writer, for: source, now: now, &output)
      }
    case .badRequest: return message(.error, .binding, idOf(request)) { $0.append(.badRequest, to: &$1) }
    }
  }

  @Test func `a challenge is answered with SHA-256, a hidden name and a right code`() throws {
    var client = client(.longTerm(username: "alice", password: "secret"))
    let authentication = authentication()
    let first = nextRequest(&client, now)!.bytes
    #expect(try STUNMessage(first.bytes).hasIntegrity == false)
    client.handle(answer(authentication, first, now).bytes, from: server, now: now)
    let second = nextRequest(&client, now)!.bytes
    let read = try STUNMessage(second.bytes)
    #expect(read.contains(.username) == false)
    #expect(try read.copy(.userhash) == Userhash.compute(username: "alice", realm: "example.org"))
    #expect(try read.passwordAlgorithm() == .sha256)
    #expect(read.hasMessageIntegritySHA256 == true)
    client.handle(answer(authentication, second, now).bytes, from: server, now: now)
    guard case .mapped(let mapping)? = client.nextEvent() else { return #expect(Bool(false)) }
    #expect(mapping.address == mapped)
  }

  @Test func `a stale nonce is replaced, a wrong password is not tried again`() {
    let authentication = authentication()
    var client = client(.longTerm(username: "alice", password: "secret"))
    client.handle(answer(authentication, nextRequest(&client, now)!.bytes, now).bytes, from: server, now: now)
    // The nonce ends before the request is there.
    let later = now + .seconds(61)
    client.handle(answer(authentication, nextRequest(&client, now)!.bytes, later).bytes, from: server, now: later)
    client.handle(answer(authentication, nextRequest(&client, later)!.bytes, later).bytes, from: server, now: later)
    guard case .mapped? = client.nextEvent() else { return #expect(Bool(false)) }

    var stranger = self.client(.longTerm(username: "alice", password: "guess"))
    stranger.handle(answer(authentication, nextRequest(&stranger, now)!.bytes, now).bytes, from: server, now: now)
    stranger.handle(answer(authentication, nextRequest(&stranger, now)!.bytes, now).bytes, from: server, now: now)
    #expect(stranger.nextEvent() == .failed(.refused(.wrongCredentials)))
  }

  @Test func `a nonce of another address is stale`() {
    let authentication = authentication()
    var client = client(.longTerm(username: "alice", password: "secret"))
    client.handle(answer(authentication, nextRequest(&client, now)!.bytes, now).bytes, from: server, now: now)
    let request = nextRequest(&client, now)!.bytes
    let read = try! STUNMessage(request.bytes)
    guard
      case .challenge(let code) = authentication.judge(
        read, from: address("198.51.100.1:1"), now: now, wallSeconds: 0)
    else { return #expect(Bool(false)) }
    #expect(code == .staleNonce)
    guard case .accept = authentication.judge(read, from: mapped, now: now, wallSeconds: 0) else {
      return #expect(Bool(false))
    }
  }

  @Test func `a challenge whose algorithms were taken out is refused`() {
    var client = client(.longTerm(username: "alice", password: "secret"))
    let request = nextRequest(&client, now)!.bytes
    let challenge = message(.error, .binding, idOf(request)) { writer, output in
      writer.append(.unauthenticated, to: &output)
      writer.append(.realm, "example.org", to: &output)
      writer.append(.nonce, SecurityFeatures.passwordAlgorithms.cookie.bytes, to: &output)
    }
    client.handle(challenge.bytes, from: server, now: now)
    #expect(client.nextEvent() == .failed(.refused(.bidDown)))
  }

  @Test func `a request with other algorithms than were offered is bad`() throws {
    let authentication = authentication()
    let key = IntegrityKey(longTerm: "alice", realm: "example.org", password: "secret", algorithm: .md5)
    let challenge = message(.error) { writer, output in
      authentication.appendChallenge(to: &writer, for: mapped, now: now, &output)
    }
    let nonce = try STUNMessage(challenge.bytes).copy(.nonce)!
    func verdict(_ list: [PasswordAlgorithm]?, _ chosen: PasswordAlgorithm?) -> String {
      let request = message(.request) { writer, output in
        writer.append(.username, "alice", to: &output)
        writer.append(.realm, "example.org", to: &output)
        writer.append(.nonce, nonce.bytes, to: &output)
        if let list { writer.append(passwordAlgorithms: list, to: &output) }
        if let chosen { writer.append(passwordAlgorithm: chosen, to: &output) }
        writer.appendIntegrity(.sha1, key, to: &output)
      }
      switch authentication.judge(try! STUNMessage(request.bytes), from: mapped, now: now, wallSeconds: 0) {
      case .accept: return "accept"
      case .challenge(let code): return "\(code.rawValue)"
      case .badRequest: return "400"
      }
    }
    #expect(verdict(nil, nil) == "accept")
    #expect(verdict([.sha256, .md5], .md5) == "accept")
    #expect(verdict([.md5], .md5) == "400")
    #expect(verdict([.md5, .sha256], .md5) == "400")
    #expect(verdict(nil, .md5) == "400")
    #expect(verdict([.sha256, .md5], nil) == "400")
    #expect(verdict([.sha256, .md5], PasswordAlgorithm(rawValue: 9)) == "400")
    // The key is that of another algorithm.
    #expect(verdict([.sha256, .md5], .sha256) == "401")
  }

  @Test func `an old client that knows no algorithms is served with MD5 and SHA-1`() {
    // A nonce without the cookie, as servers before RFC 8489 give.
    var client = client(.longTerm(username: "alice", password: "secret"))
    let first = nextRequest(&client, now)!.bytes
    let challenge = message(.error, .binding, idOf(first)) { writer, output in
      writer.append(.unauthenticated, to: &output)
      writer.append(.realm, "example.org", to: &output)
      writer.append(.nonce, "old", to: &output)
    }
    client.handle(challenge.bytes, from: server, now: now)
    let second = nextRequest(&client, now)!.bytes
    let key = IntegrityKey(longTerm: "alice", realm: "example.org", password: "secret")
    let read = try! STUNMessage(second.bytes)
    #expect(read.integrity(.sha1, with: key) == .valid)
    #expect(read.hasMessageIntegritySHA256 == false)
    #expect(try! read.text(.username) == "alice")
  }

  @Test func `time-limited credentials are taken until their time`() throws {
    let authentication = authentication(timeLimited: true)
    let username = "2000:bob"
    let password = UserDirectory.timeLimitedPassword(for: username, secret: "north")
    for (wall, isTaken) in [(Int64(1999), true), (2000, false)] {
      var client = client(.longTerm(username: username, password: password))
      let challenge = answer(authentication, nextRequest(&client, now)!.bytes, now)
      client.handle(challenge.bytes, from: server, now: now)
      let request = nextRequest(&client, now)!.bytes
      // The hash of such a name leads nowhere, so the server does not ask for it.
      #expect(try STUNMessage(request.bytes).text(.username) == username)
      let read = try STUNMessage(request.bytes)
      let verdict = authentication.judge(read, from: mapped, now: now, wallSeconds: wall)
      if case .accept(let found, _) = verdict {
        #expect(isTaken)
        #expect(found.user == Array("bob".utf8))
      } else {
        #expect(!isTaken)
      }
    }
  }
}
