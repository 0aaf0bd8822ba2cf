public import MeshPrimitives
internal import MeshSTUN

extension ICEAgent {
  /// When ``handleTimeout(now:)`` is to be called next; `nil`: when something else happens.
  public var deadline: Instant? {
    guard state != .closed else { return nil }
    if repliesHead < replies.count { return Instant(nanoseconds: .min) }
    var next: Instant?
    if hasNewCheck { next = max(nextCheck, gate) }
    for pair in checklist.pairs {
      if let check = pair.check {
        next = earliest(next, check.sent < configuration.requests ? max(check.due, gate) : check.due)
      }
    }
    if let consent = nextConsentDue() { next = earliest(next, max(consent.due, gate)) }
    for selection in current.selections { next = earliest(next, selection.expiry) }
    for selection in previous?.selections ?? [] { next = earliest(next, selection.expiry) }
    for component in 1...configuration.components { next = earliest(next, nominationTime(component)) }
    if let failure = failureTime { next = earliest(next, failure) }
    return next
  }

  /// Does what is due by `now`.
  public mutating func handleTimeout(now: Instant) { advance(now: now) }

  /// Lets all that depends on time or on what has just changed take its course.
  mutating func advance(now: Instant) {
    guard state != .closed else { return }
    for index in checklist.pairs.indices {
      guard let check = checklist[index].check, check.sent >= configuration.requests, check.due <= now else { continue }
      checklist[index].check = nil
      fail(index)
    }
    expireConsent(now: now)
    if configuration.isLite, current.remoteIsLite { selectLite(now: now) }
    for component in 1...configuration.components {
      if let time = nominationTime(component), time <= now, let best = bestValid(component) {
        checklist[best].nominates = true
        trigger(checklist[best].id)
      }
    }
    updateState(now: now)
  }

  private mutating func updateState(now: Instant) {
    guard current.remote != nil else { return }
    let components = 1...configuration.components
    if components.allSatisfy({ current.selection($0) != nil }) {
      enter(.completed)
    } else if state == .disconnected {
      // Until a restart.
    } else if components.allSatisfy({ component in
      current.selection(component) != nil || bestValid(component) != nil
    }) {
      enter(.connected)
    } else if let failure = failureTime, failure <= now {
      enter(.failed)
    } else if state == .connected || state == .completed || state == .new {
      enter(.checking)
    } else if state == .failed, checklist.pairs.contains(where: \.isPending) {
      enter(.checking)
    }
  }

  /// When it is certain that nothing works; `nil`: not as things stand.
  private var failureTime: Instant? {
    guard let startedAt, localsEnded, remotesEnded, state == .checking, !configuration.isLite else { return nil }
    let isHopeless = (1...configuration.components).contains { component in
      current.selection(component) == nil
        && !checklist.pairs.contains { $0.component == component && ($0.isPending || $0.state == .succeeded) }
    }
    return isHopeless ? startedAt + configuration.failurePatience : nil
  }

  // MARK: Nomination (RFC 8445 §8.1.1)

  func bestValid(_ component: UInt16) -> Int? {
    checklist.pairs.firstIndex { $0.component == component && $0.state == .succeeded }
  }

  /// When the best pair of a component that works is to be nominated by us; `nil`: not as things stand.
  private func nominationTime(_ component: UInt16) -> Instant? {
    guard role == .controlling, !configuration.isLite, current.selection(component) == nil,
      let first = firstValid[Int(component) - 1], let best = bestValid(component),
      !checklist.pairs.contains(where: { $0.component == component && $0.nominates && $0.state != .failed })
    else { return nil }
    let pair = checklist[best]
    let isBetterPending =
      !localsEnded || !remotesEnded
      || checklist.pairs.contains { $0.component == component && $0.isPending && $0.priority > pair.priority }
    guard isBetterPending else { return Instant(nanoseconds: .min) }
    return first + (describe(pair).isRelayed ? configuration.relayedPatience : configuration.directPatience)
  }

  /// The pair was chosen, by us or by the peer.
  mutating func nominate(_ index: Int, now: Instant) {
    checklist[index].nominates = false
    let wasNominated = checklist[index].isNominated
    checklist[index].isNominated = true
    let pair = describe(checklist[index])
    let id = checklist[index].id
    if let selection = current.selection(pair.component) {
      // A peer by RFC 5245 may nominate several; the best of them holds.
      guard !wasNominated, selection.id != id, selection.pair.priority < pair.priority else { return }
    }
    select(pair, id: id, now: now)
    // What has not begun is not begun, what is under way is not repeated (§8.1.2).
    let gone = checklist.pairs.filter { $0.component == pair.component && $0.isPending }.map(\.id)
    triggered.removeAll { gone.contains($0) }
    checklist.removeAll { $0.component == pair.component && $0.isPending }
  }

  mutating func select(_ pair: CandidatePair, id: UInt32, now: Instant) {
    let isAsking = asksForConsent
    let selection = Selection(
      pair: pair, id: id, expiry: isAsking ? now + configuration.consentLifetime : nil,
      due: isAsking ? nextConsent(now: now) : now + configuration.keepaliveInterval)
    current.selections.removeAll { $0.pair.component == pair.component }
    current.selections.append(selection)
    current.selections.sort { $0.pair.component < $1.pair.component }
    previous?.selections.removeAll { $0.pair.component == pair.component }
    if previous?.selections.isEmpty == true { previous = nil }
    events.append(.selected(pair))
  }

  /// Two lite agents choose by priority alone (RFC 8445 §8.2.2).
  private mutating func selectLite(now: Instant) {
    for component in 1...configuration.components where current.selection(component) == nil && remotesEnded {
      var best: CandidatePair?
      for local in locals where local.candidate.component == component && local.candidate.kind == .host {
        for remote in remotes
        where remote.candidate.component == component && AddressRules.canPair(local.base, remote.candidate.address) {
          let (ours, theirs) = (local.candidate, remote.candidate)
          let priority =
            role == .controlling
            ? CandidatePair.priority(controlling: ours.priority, controlled: theirs.priority)
            : CandidatePair.priority(controlling: theirs.priority, controlled: ours.priority)
          if let best, best.priority >= priority { continue }
          best = CandidatePair(
            component: component, local: ours, remote: theirs, base: local.base, destination: theirs.address,
            priority: priority, isNominated: true, roundTrip: nil)
        }
      }
      if let best { select(best, id: .max, now: now) }
    }
  }
}
