public import MeshPrimitives
internal import MeshSTUN

extension ICEAgent {
  /// Whether selected pairs ask for consent.
  var asksForConsent: Bool { configuration.usesConsent && !configuration.isLite }

  /// A packet that the application has authenticated came over a selected pair: that is consent too.
  ///
  /// - Parameters:
  ///   - base: the address that it came to.
  ///   - source: where it came from.
  public mutating func confirmConsent(base: SocketAddress, source: SocketAddress, now: Instant) {
    let expiry = now + configuration.consentLifetime
    for index in current.selections.indices
    where current.selections[index].pair.base == base
      && current.selections[index].pair.destination.isSameEndpoint(as: source)
    {
      current.selections[index].renew(expiry)
    }
    guard previous != nil else { return }
    for index in previous!.selections.indices
    where previous!.selections[index].pair.base == base
      && previous!.selections[index].pair.destination.isSameEndpoint(as: source)
    {
      previous!.selections[index].renew(expiry)
    }
  }

  /// When to ask next: 80 to 120 % of the interval, by chance (RFC 7675 §5.1).
  mutating func nextConsent(now: Instant) -> Instant {
    let interval = configuration.consentInterval.wholeNanoseconds
    let part = Int64(truncatingIfNeeded: entropy.nextUInt64() % 401)
    return now.advanced(nanoseconds: interval / 1000 * (800 + part))
  }

  mutating func receiveConsent(
    _ message: STUNMessage, from source: SocketAddress, on base: SocketAddress, now: Instant
  ) throws(ICEDropReason) {
    let id = message.transactionID
    func isAsked(_ selection: Selection) -> Bool {
      selection.asked.contains(id) && selection.pair.base == base
        && selection.pair.destination.isSameEndpoint(as: source)
    }
    if let index = current.selections.firstIndex(where: isAsked) {
      try check(message, with: current.remoteKey)
      current.selections[index].asked.removeAll { $0 == id }
      if message.messageClass == .success { current.selections[index].expiry = now + configuration.consentLifetime }
    } else if let index = previous?.selections.firstIndex(where: isAsked) {
      try check(message, with: previous!.remoteKey)
      previous!.selections[index].asked.removeAll { $0 == id }
      if message.messageClass == .success { previous!.selections[index].expiry = now + configuration.consentLifetime }
    } else {
      throw .unknownTransaction
    }
  }

  private func check(_ message: STUNMessage, with key: IntegrityKey?) throws(ICEDropReason) {
    guard message.fingerprint != .wrong else { throw .wrongFingerprint }
    guard let key, message.integrity(with: key) == .valid else { throw .wrongIntegrity }
  }

  /// Takes back what has lost consent by `now`.
  mutating func expireConsent(now: Instant) {
    if previous != nil {
      let gone = previous!.selections.filter { $0.expiry.map { $0 <= now } ?? false }
      previous!.selections.removeAll { $0.expiry.map { $0 <= now } ?? false }
      for selection in gone { events.append(.consentExpired(selection.pair)) }
      if previous!.selections.isEmpty { previous = nil }
    }
    let gone = current.selections.filter { $0.expiry.map { $0 <= now } ?? false }
    guard !gone.isEmpty else { return }
    current.selections.removeAll { $0.expiry.map { $0 <= now } ?? false }
    for selection in gone {
      if let index = checklist.index(of: selection.id) { fail(index) }
      events.append(.consentExpired(selection.pair))
    }
    enter(.disconnected)
  }

  /// The selection that asks, or keeps its NATs awake, next.
  func nextConsentDue() -> (isPrevious: Bool, index: Int, due: Instant)? {
    var found: (isPrevious: Bool, index: Int, due: Instant)?
    for (index, selection) in current.selections.enumerated() where found == nil || selection.due < found!.due {
      found = (false, index, selection.due)
    }
    guard let previous else { return found }
    for (index, selection) in previous.selections.enumerated() where found == nil || selection.due < found!.due {
      found = (true, index, selection.due)
    }
    return found
  }
}
