public import MeshPrimitives
internal import MeshSTUN

extension ICEAgent {
  /// What checks and their answers may say besides what all STUN messages may.
  private static let known = AttributeSet.stun.union([.priority, .useCandidate])
  /// Answers that wait for ``nextTransmit(into:now:)``.
  private static let maximumReplies = 256

  /// Takes in one datagram.
  ///
  /// - Parameters:
  ///   - base: the address that it came to: a socket's own, or the relayed address that a TURN server forwarded it from.
  ///   - source: where it came from, as seen there.
  public mutating func handle(
    _ datagram: RawSpan, from source: SocketAddress, on base: SocketAddress, now: Instant
  ) -> Received {
    guard STUNMessage.isSTUN(datagram) else { return .data }
    do throws(ICEDropReason) {
      try receive(datagram, from: source.unmapped, on: base, now: now)
      return .consumed
    } catch {
      drops.count(error)
      return error == .keepalive ? .consumed : .dropped(error)
    }
  }

  private mutating func receive(
    _ datagram: RawSpan, from source: SocketAddress, on base: SocketAddress, now: Instant
  ) throws(ICEDropReason) {
    guard state != .closed else { throw .closed }
    let message: STUNMessage
    do throws(STUNError) { message = try STUNMessage(datagram) } catch { throw .malformed }
    guard message.method == .binding else { throw .notBinding }
    switch message.messageClass {
    case .indication: throw .keepalive
    case .request: try receiveRequest(message, from: source, on: base, now: now)
    case .success, .error: try receiveResponse(message, from: source, on: base, now: now)
    }
    advance(now: now)
  }

  // MARK: Requests (RFC 8445 §7.3)

  private mutating func receiveRequest(
    _ message: STUNMessage, from source: SocketAddress, on base: SocketAddress, now: Instant
  ) throws(ICEDropReason) {
    guard let component = locals.first(where: { $0.base == base })?.candidate.component else { throw .unknownBase }
    guard AddressRules.isAllowed(source) else { throw .forbiddenSource }
    guard message.hasIntegrity, let name = value(message, .username) else { throw .noCredentials }
    let isPrevious: Bool
    if current.isNamed(in: message.bytes.extracting(name)) {
      isPrevious = false
    } else if previous?.isNamed(in: message.bytes.extracting(name)) == true {
      isPrevious = true
    } else {
      throw .unknownName
    }
    // The checksum is cheap; the code is not. All checks have one (RFC 8445 §7.1).
    guard message.fingerprint == .valid else { throw .wrongFingerprint }
    let key = isPrevious ? previous!.localKey : current.localKey
    guard message.integrity(with: key) == .valid else { throw .wrongIntegrity }
    guard replies.count - repliesHead < Self.maximumReplies else { throw .tableFull }

    let id = message.transactionID
    func reply(_ content: Reply.Content) -> Reply {
      Reply(id: id, base: base, destination: source, content: content, isPrevious: isPrevious)
    }
    let unknown = message.unknownAttributes(knowing: Self.known)
    guard unknown.isEmpty else {
      replies.append(reply(.unknownAttributes(unknown)))
      throw .unknownAttribute
    }
    // Of a former session only consent is answered.
    if isPrevious {
      replies.append(reply(.success))
      return
    }
    let priority = value(message, .priority)
    let (controlling, controlled) = (value(message, .iceControlling), value(message, .iceControlled))
    guard let priority, let theirs = controlling ?? controlled else {
      replies.append(reply(.badRequest))
      throw .missingAttribute
    }
    guard settleRoles(peerIsControlling: controlling != nil, theirs) else {
      replies.append(reply(.roleConflict))
      return
    }
    replies.append(reply(.success))
    let nominates: Bool
    do throws(STUNError) { nominates = try message.value(.useCandidate) } catch { nominates = false }
    let check = EarlyCheck(base: base, source: source, component: component, priority: priority, nominates: nominates)
    guard current.remote != nil else {
      if let known = early.firstIndex(where: { $0.base == base && $0.source == source }) {
        early[known].nominates = early[known].nominates || nominates
      } else if early.count < configuration.maximumPeerReflexive {
        early.append(check)
      }
      return
    }
    receive(check, now: now)
  }

  /// - Returns: whether the request may go on; if not, it is to be answered with 487 (RFC 8445 §7.3.1.1).
  private mutating func settleRoles(peerIsControlling: Bool, _ theirs: UInt64) -> Bool {
    guard peerIsControlling == (role == .controlling) else { return true }
    if configuration.isLite {
      // A lite agent has no say beside a full one.
      setRole(role.opposite)
      return true
    }
    if role == .controlling {
      guard tieBreaker < theirs else { return false }
      setRole(.controlled)
    } else {
      guard tieBreaker >= theirs else { return false }
      setRole(.controlling)
    }
    return true
  }

  /// An authenticated check of the peer: it is checked back (RFC 8445 §7.3.1.3 to §7.3.1.5).
  mutating func receive(_ check: EarlyCheck, now: Instant) {
    guard let remote = peerReflexiveRemote(check.source, component: check.component, priority: check.priority) else {
      drops.count(.tableFull)
      return
    }
    if configuration.isLite {
      receiveLite(check, remote: remote, now: now)
      return
    }
    var index = checklist.index(base: check.base, destination: check.source)
    if index == nil {
      guard
        let local = locals.indices.filter({ locals[$0].base == check.base }).max(by: {
          locals[$0].candidate.priority < locals[$1].candidate.priority
        }), let id = makePair(local, remote)
      else {
        drops.count(.tableFull)
        return
      }
      index = checklist.index(of: id)
    }
    guard let index else { return }
    let nominates = check.nominates && role == .controlled
    switch checklist[index].state {
    case .succeeded:
      if nominates { nominate(index, now: now) }
      return
    case .inProgress:
      // Its answer still counts, but a fresh check goes out: the peer's may have opened the way.
      if let running = checklist[index].check, running.sent > 0 {
        checklist[index].superseded = running
        checklist[index].check = nil
      }
    case .waiting, .frozen, .failed: break
    }
    if nominates { checklist[index].nominates = true }
    checklist[index].state = .waiting
    trigger(checklist[index].id)
  }

  private mutating func receiveLite(_ check: EarlyCheck, remote: Int, now: Instant) {
    guard let local = locals.firstIndex(where: { $0.base == check.base }) else { return }
    let (ours, theirs) = (locals[local].candidate, remotes[remote].candidate)
    guard check.nominates else { return }
    let pair = CandidatePair(
      component: check.component, local: ours, remote: theirs, base: check.base, destination: check.source,
      priority: CandidatePair.priority(controlling: theirs.priority, controlled: ours.priority), isNominated: true,
      roundTrip: nil)
    if let selected = current.selection(check.component)?.pair {
      guard selected.destination != pair.destination || selected.base != pair.base,
        selected.priority < pair.priority
      else { return }
    }
    select(pair, id: .max, now: now)
  }

  mutating func trigger(_ id: UInt32) {
    if !triggered.contains(id) { triggered.append(id) }
  }

  // MARK: Responses (RFC 8445 §7.2.5)

  private mutating func receiveResponse(
    _ message: STUNMessage, from source: SocketAddress, on base: SocketAddress, now: Instant
  ) throws(ICEDropReason) {
    let id = message.transactionID
    if let index = checklist.pairs.firstIndex(where: { $0.check?.id == id || $0.superseded?.id == id }) {
      guard message.fingerprint != .wrong else { throw .wrongFingerprint }
      guard let key = current.remoteKey, message.integrity(with: key) == .valid else { throw .wrongIntegrity }
      try receiveAnswer(message, from: source, on: base, of: index, now: now)
      return
    }
    try receiveConsent(message, from: source, on: base, now: now)
  }

  private mutating func receiveAnswer(
    _ message: STUNMessage, from source: SocketAddress, on base: SocketAddress, of index: Int, now: Instant
  ) throws(ICEDropReason) {
    let pair = checklist[index]
    let isSuperseded = pair.check?.id != message.transactionID
    guard let check = isSuperseded ? pair.superseded : pair.check else { throw .unknownTransaction }

    func finish(_ agent: inout ICEAgent) {
      if isSuperseded { agent.checklist[index].superseded = nil } else { agent.checklist[index].check = nil }
    }
    guard source.isSameEndpoint(as: pair.destination), base == pair.base else {
      // An answer from elsewhere means that the way back is another (§7.2.5.2.1).
      finish(&self)
      fail(index)
      return
    }
    if message.messageClass == .error {
      let code: STUNErrorCode?
      do throws(STUNError) { code = try message.errorCode() } catch { throw .malformed }
      finish(&self)
      if code == .roleConflict {
        setRole(check.role.opposite)
        tieBreaker = entropy.nextUInt64()
        checklist[index].state = .waiting
        trigger(pair.id)
      } else {
        fail(index)
      }
      return
    }
    let mapped: SocketAddress?
    do throws(STUNError) { mapped = try message.value(.xorMappedAddress) } catch { throw .malformed }
    guard let mapped else { throw .missingAttribute }
    finish(&self)
    if let valid = validLocal(mapped, of: pair, priority: check.priority) { checklist[index].validLocal = valid }
    let isFirst = pair.state != .succeeded
    checklist[index].state = .succeeded
    if isFirst {
      // One answer is enough, whichever check it is to.
      checklist[index].check = nil
      checklist[index].superseded = nil
    }
    // A check that was put up meanwhile has its answer, unless it was to say more.
    if isFirst, !(pair.nominates && role == .controlling) { triggered.removeAll { $0 == pair.id } }
    if check.sent == 1 { checklist[index].roundTrip = now - check.firstSent }
    if isFirst {
      checklist.thaw(pair.foundation)
      if firstValid[Int(pair.component) - 1] == nil { firstValid[Int(pair.component) - 1] = now }
      events.append(.validated(describe(checklist[index])))
    }
    switch role {
    case .controlling: if check.nominates, check.role == .controlling { nominate(index, now: now) }
    case .controlled: if pair.nominates { nominate(index, now: now) }
    }
  }

  /// The pair does not work.
  mutating func fail(_ index: Int) {
    checklist[index].state = .failed
    checklist[index].nominates = false
    checklist[index].superseded = nil
    let id = checklist[index].id
    triggered.removeAll { $0 == id }
  }

  private func value(_ message: STUNMessage, _ key: BytesKey) -> Range<Int>? {
    do throws(STUNError) { return try message.value(key) } catch { return nil }
  }

  private func value(_ message: STUNMessage, _ key: UInt32Key) -> UInt32? {
    do throws(STUNError) { return try message.value(key) } catch { return nil }
  }

  private func value(_ message: STUNMessage, _ key: UInt64Key) -> UInt64? {
    do throws(STUNError) { return try message.value(key) } catch { return nil }
  }
}
