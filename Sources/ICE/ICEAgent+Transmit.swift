public import MeshPrimitives
internal import MeshSTUN

extension ICEAgent {
  /// Whether a check could begin, if it were time.
  var hasNewCheck: Bool {
    guard current.remote != nil, !configuration.isLite else { return false }
    return !triggered.isEmpty || checklist.hasWaiting
  }

  /// Appends one datagram to `output` and says where it goes; `nil` when nothing is due at `now`. Drain after each input.
  ///
  /// - Precondition: `output` has room for ``maximumDatagram`` bytes.
  public mutating func nextTransmit(into output: inout OutputRawSpan, now: Instant) -> Transmit? {
    precondition(output.freeCapacity >= Self.maximumDatagram, "a datagram needs \(Self.maximumDatagram) bytes of room")
    guard state != .closed else { return nil }
    if let reply = nextReply(into: &output) { return reply }
    guard gate <= now else { return nil }
    guard let check = nextCheck(into: &output, now: now) ?? nextConsent(into: &output, now: now) else { return nil }
    gate = now.advanced(nanoseconds: 1_000_000_000 / Int64(configuration.maximumChecksPerSecond))
    return check
  }

  /// The same, for callers that keep datagrams as arrays.
  public mutating func nextTransmit(now: Instant) -> (transmit: Transmit, bytes: [UInt8])? {
    var transmit: Transmit?
    let bytes = [UInt8](capacity: Self.maximumDatagram) { output in
      transmit = nextTransmit(into: &output, now: now)
    }
    return transmit.map { ($0, bytes) }
  }

  // MARK: Answers

  private mutating func nextReply(into output: inout OutputRawSpan) -> Transmit? {
    while repliesHead < replies.count {
      let reply = replies[repliesHead]
      repliesHead += 1
      if repliesHead == replies.count {
        replies.removeAll(keepingCapacity: true)
        repliesHead = 0
      }
      guard let key = reply.isPrevious ? previous?.localKey : current.localKey else { continue }
      var writer: MessageWriter
      switch reply.content {
      case .success:
        writer = MessageWriter(.success, .binding, reply.id, to: &output)
        writer.append(.xorMappedAddress, reply.destination, to: &output)
      case .roleConflict:
        writer = MessageWriter(.error, .binding, reply.id, to: &output)
        writer.append(.roleConflict, to: &output)
      case .badRequest:
        writer = MessageWriter(.error, .binding, reply.id, to: &output)
        writer.append(.badRequest, to: &output)
      case .unknownAttributes(let types):
        writer = MessageWriter(.error, .binding, reply.id, to: &output)
        writer.append(.unknownAttribute, to: &output)
        writer.append(unknownAttributes: types, to: &output)
      }
      writer.appendIntegrity(.sha1, key, to: &output)
      writer.appendFingerprint(to: &output)
      return Transmit(base: reply.base, destination: reply.destination)
    }
    return nil
  }

  // MARK: Checks

  private mutating func nextCheck(into output: inout OutputRawSpan, now: Instant) -> Transmit? {
    guard current.remoteKey != nil else { return nil }
    if let index = dueRepetition(now: now) { return sendCheck(index, into: &output, now: now) }
    guard nextCheck <= now, hasNewCheck, let index = takeNewCheck() else { return nil }
    nextCheck = now + configuration.pace
    let active = checklist.activity + triggered.count
    let timeout = max(
      configuration.minimumTimeout.wholeNanoseconds,
      configuration.pace.wholeNanoseconds * Int64(min(max(active, 1), 1000)))
    checklist[index].check = Check(
      id: TransactionID(random: &entropy), role: role, nominates: role == .controlling && checklist[index].nominates,
      priority: locals[checklist[index].local].candidate.peerReflexivePriority, firstSent: now, due: now,
      timeout: .nanoseconds(timeout))
    if checklist[index].state != .succeeded { checklist[index].state = .inProgress }
    return sendCheck(index, into: &output, now: now)
  }

  private func dueRepetition(now: Instant) -> Int? {
    var found: Int?
    var earliest = Instant.distantFuture
    for index in checklist.pairs.indices {
      guard let check = checklist[index].check, check.sent < configuration.requests, check.due <= now,
        check.due < earliest
      else { continue }
      earliest = check.due
      found = index
    }
    return found
  }

  private mutating func takeNewCheck() -> Int? {
    while !triggered.isEmpty {
      let id = triggered.removeFirst()
      guard let index = checklist.index(of: id) else { continue }
      switch checklist[index].state {
      case .waiting, .frozen: return index
      // What has succeeded is checked again only to be nominated.
      case .succeeded: if checklist[index].nominates, checklist[index].check == nil { return index }
      case .inProgress, .failed: break
      }
    }
    return checklist.nextWaiting()
  }

  private mutating func sendCheck(_ index: Int, into output: inout OutputRawSpan, now: Instant) -> Transmit? {
    guard var check = checklist[index].check, let key = current.remoteKey else { return nil }
    check.sent += 1
    if check.sent == configuration.requests {
      let last = configuration.minimumTimeout.wholeNanoseconds.multipliedReportingOverflow(
        by: Int64(configuration.lastTimeoutFactor))
      check.due = now.advanced(nanoseconds: last.overflow ? .max : last.partialValue)
    } else {
      check.due = now + check.timeout
      check.timeout *= 2
    }
    checklist[index].check = check
    writeRequest(
      check.id, role: check.role, priority: check.priority, nominates: check.nominates, username: current.username,
      key: key, to: &output)
    return Transmit(base: checklist[index].base, destination: checklist[index].destination)
  }

  private func writeRequest(
    _ id: TransactionID, role: ICERole, priority: UInt32, nominates: Bool, username: [UInt8], key: IntegrityKey,
    to output: inout OutputRawSpan
  ) {
    var writer = MessageWriter(.request, .binding, id, to: &output)
    writer.append(.username, username.bytes, to: &output)
    writer.append(.priority, priority, to: &output)
    if role == .controlling {
      writer.append(.iceControlling, tieBreaker, to: &output)
      if nominates { writer.append(.useCandidate, to: &output) }
    } else {
      writer.append(.iceControlled, tieBreaker, to: &output)
    }
    writer.appendIntegrity(.sha1, key, to: &output)
    writer.appendFingerprint(to: &output)
  }

  // MARK: Consent and keepalives

  private mutating func nextConsent(into output: inout OutputRawSpan, now: Instant) -> Transmit? {
    guard let (isPrevious, index, due) = nextConsentDue(), due <= now else { return nil }
    let generation = isPrevious ? previous! : current
    var selection = generation.selections[index]
    let transmit = Transmit(base: selection.pair.base, destination: selection.pair.destination)
    let id = TransactionID(random: &entropy)
    if asksForConsent, let key = generation.remoteKey {
      selection.due = nextConsent(now: now)
      if selection.asked.count >= Selection.maximumAsked { selection.asked.removeFirst() }
      selection.asked.append(id)
      writeRequest(
        id, role: role, priority: selection.pair.local.peerReflexivePriority, nominates: false,
        username: generation.username, key: key, to: &output)
    } else {
      selection.due = now + configuration.keepaliveInterval
      var writer = MessageWriter(.indication, .binding, id, to: &output)
      writer.appendFingerprint(to: &output)
    }
    if isPrevious { previous!.selections[index] = selection } else { current.selections[index] = selection }
    return transmit
  }
}
