import MeshICE
import MeshPrimitives
import MeshSTUN
import MeshSimulation

extension Fuzzing {
  /// A candidate line: what is read must be written as a line that reads the same.
  public static func candidate(_ input: [UInt8]) {
    guard let candidate = try? Candidate(parsing: String(decoding: input, as: UTF8.self)) else { return }
    require((try? Candidate(parsing: candidate.description)) == candidate, "a candidate must be read as it is written")
    require((1...256).contains(candidate.component), "a component has its range")
    require((1...0x7FFF_FFFF).contains(candidate.priority), "a priority has its range")
  }

  /// An agent under a sequence of steps: datagrams (raw, or signed as the peer's), candidates, time, restarts. Whatever
  /// comes, lists stay capped, checks stay paced, and nothing goes to an address that is no host's.
  public static func ice(_ input: [UInt8]) {
    var choices = Choices(input)
    var entropy = SeededEntropy(seed: 1)
    let peer = ICECredentials(random: &entropy)
    let base = SocketAddress(IPAddress(v4: 0xCB00_7101), port: 5000)
    var now = VirtualClock().now
    var agent = ICEAgent(
      role: choices.byte() & 1 == 0 ? .controlling : .controlled, credentials: ICECredentials(random: &entropy),
      entropy: entropy.fork())
    agent.addLocalCandidate(.host, address: base, base: base)
    agent.setRemote(peer, now: now)
    var last: [UInt8] = []
    var sent: [Instant] = []
    var steps = 0
    while !choices.isAtEnd, steps < 512 {
      steps += 1
      let step = choices.byte()
      let source = SocketAddress(
        IPAddress(v4: UInt32(choices.byte()) << 24 | 0x0033_6400 | UInt32(choices.byte() & 3)),
        port: UInt16(choices.byte()))
      switch step & 7 {
      case 0: _ = agent.handle(choices.take(choices.word() & 1023).bytes, from: source, on: base, now: now)
      case 1:
        let flags = choices.byte()
        let request = check(agent.credentials, id: UInt64(choices.byte()), flags: flags)
        _ = agent.handle(request.bytes, from: source, on: base, now: now)
      case 2:
        _ = agent.handle(
          answer(to: last, peer, code: choices.byte(), mapped: source).bytes, from: source, on: base, now: now)
      case 3:
        let candidate = Candidate(
          foundation: "f\(step >> 3)", priority: UInt32(choices.word()) + 1, address: source, kind: .host)
        _ = try? agent.addRemoteCandidate(candidate, now: now)
      case 4: now = now + .milliseconds(choices.word())
      case 5: agent.endOfRemoteCandidates(now: now)
      case 6: agent.endOfLocalCandidates(now: now)
      default:
        if step == 0xFF {
          agent.restart(ICECredentials(random: &entropy), keepsLocalCandidates: true, now: now)
          agent.setRemote(peer, now: now)
        }
      }
      agent.handleTimeout(now: now)
      while let (transmit, bytes) = agent.nextTransmit(now: now) {
        require(
          transmit.destination.port != 0 && !transmit.destination.address.isMulticast
            && !transmit.destination.address.isUnspecified, "nothing goes to an address that is no host's")
        guard bytes[0] == 0, bytes[1] == 1 else { continue }
        last = bytes
        sent.append(now)
      }
      while agent.nextEvent() != nil {}
      require(agent.remoteCandidates.count <= 32 && agent.pairCounts.all <= 100, "lists have their caps")
    }
    for (index, first) in sent.enumerated() where index + 50 < sent.count {
      require(sent[index + 50] >= first + .seconds(1), "at most 50 checks leave in a second")
    }
  }

  private static func check(_ credentials: ICECredentials, id: UInt64, flags: UInt8) -> [UInt8] {
    [UInt8](capacity: 512) { output in
      var writer = MessageWriter(.request, .binding, TransactionID(high: 1, low: id), to: &output)
      writer.append(.username, "\(credentials.ufrag):peer", to: &output)
      if flags & 1 == 0 { writer.append(.priority, UInt32(flags) << 20, to: &output) }
      if flags & 2 == 0 { writer.append(flags & 4 == 0 ? .iceControlling : .iceControlled, UInt64(flags), to: &output) }
      if flags & 8 == 0 { writer.append(.useCandidate, to: &output) }
      writer.appendIntegrity(.sha1, IntegrityKey(shortTerm: credentials.password), to: &output)
      writer.appendFingerprint(to: &output)
    }
  }

  private static func answer(
    to request: [UInt8], _ peer: ICECredentials, code: UInt8, mapped: SocketAddress
  ) -> [UInt8] {
    guard let id = (try? STUNMessage(request.bytes))?.transactionID else { return [] }
    return [UInt8](capacity: 512) { output in
      var writer = MessageWriter(code & 1 == 0 ? .success : .error, .binding, id, to: &output)
      if code & 1 == 0 { writer.append(.xorMappedAddress, mapped, to: &output) }
      if code & 3 == 1 { writer.append(.roleConflict, to: &output) }
      writer.appendIntegrity(.sha1, IntegrityKey(shortTerm: peer.password), to: &output)
      writer.appendFingerprint(to: &output)
    }
  }
}
