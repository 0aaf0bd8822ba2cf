public import MeshPrimitives
internal import MeshSTUN

extension ICEAgent {
  // MARK: Our own

  /// Adds a candidate of ours and pairs it with what is known of the peer.
  ///
  /// - Parameters:
  ///   - base: the address that is sent from: the host candidate's own, that of the socket which asked the STUN server, or,
  ///     of a relayed candidate, the relayed address itself.
  ///   - localPreference: for hosts with several addresses, see ``LocalPreference``.
  ///   - server: the STUN or TURN server that it is from.
  ///   - related: of a relayed candidate, what its server sees of the host.
  /// - Returns: what to tell the peer; `nil` when it says nothing new, is no address of a host, or the list is full.
  /// - Precondition: `component` is among those of the configuration.
  @discardableResult
  public mutating func addLocalCandidate(
    _ kind: Candidate.Kind, address: SocketAddress, base: SocketAddress, component: UInt16 = 1,
    localPreference: UInt16 = .max, server: IPAddress? = nil, related: SocketAddress? = nil
  ) -> Candidate? {
    precondition((1...configuration.components).contains(component), "the component is one of the configuration's")
    precondition(kind != .peerReflexive, "peer-reflexive candidates come from checks")
    guard state != .closed, AddressRules.isAllowed(address), AddressRules.isAllowed(base) else { return nil }
    // The same address from the same base is redundant (RFC 8445 §5.1.3), and so is a reflexive one that is its base.
    let listed = locals.filter { $0.candidate.kind != .peerReflexive }
    guard !listed.contains(where: { $0.candidate.address == address && $0.base == base }),
      listed.count < configuration.maximumLocalCandidates
    else { return nil }
    let number = foundation(of: FoundationSource(kind: kind, base: base.address, server: server))
    let candidate = Candidate(
      foundation: String(number), component: component,
      priority: Candidate.priority(kind: kind, localPreference: localPreference, component: component),
      address: address, kind: kind, related: kind == .host ? nil : kind == .serverReflexive ? base : related)
    locals.append(LocalCandidate(candidate: candidate, base: base, foundation: number))
    guard current.remote != nil || !remotes.isEmpty else { return candidate }
    for remote in remotes.indices { makePair(locals.count - 1, remote) }
    return candidate
  }

  /// Nothing more is being gathered (RFC 8838 §13): from now on it may turn out that nothing works.
  public mutating func endOfLocalCandidates(now: Instant) {
    localsEnded = true
    advance(now: now)
  }

  // MARK: The peer's

  /// The name and the password that the peer has sent; checks begin.
  ///
  /// - Parameter isLite: whether the peer is a lite agent; then we are controlling (RFC 8445 §6.1.1).
  public mutating func setRemote(_ credentials: ICECredentials, isLite: Bool = false, now: Instant) {
    guard state != .closed else { return }
    precondition(current.remote == nil, "the peer's credentials are set once; new ones come with a restart")
    current.setRemote(credentials)
    current.remoteIsLite = isLite
    if isLite, !configuration.isLite { setRole(.controlling) }
    if !isLite, configuration.isLite { setRole(.controlled) }
    startedAt = now
    enter(.checking)
    for check in early {
      receive(check, now: now)
    }
    early = []
    advance(now: now)
  }

  /// Adds a candidate that the peer has listed, at any time (RFC 8838), and pairs it with ours.
  ///
  /// - Returns: whether it was new.
  /// - Throws: `.forbiddenAddress`, `.unknownComponent` or `.tooMany`; nothing has changed then.
  @discardableResult
  public mutating func addRemoteCandidate(_ candidate: Candidate, now: Instant) throws(CandidateError) -> Bool {
    guard state != .closed else { return false }
    guard (1...configuration.components).contains(candidate.component) else { throw .unknownComponent }
    guard AddressRules.isAllowed(candidate.address) else { throw .forbiddenAddress }
    var candidate = candidate
    candidate.address = candidate.address.unmapped
    candidate.priority = min(max(candidate.priority, 1), 0x7FFF_FFFF)
    if let known = remotes.firstIndex(where: {
      $0.candidate.address == candidate.address && $0.candidate.component == candidate.component
    }) {
      // What was met in a check gets its true kind once it is listed (RFC 8445 §7.3.1.3).
      guard remotes[known].candidate.kind == .peerReflexive, candidate.kind != .peerReflexive else { return false }
      remotes[known].candidate = candidate
      renewPriorities()
      return false
    }
    guard remotes.count(where: { $0.candidate.kind != .peerReflexive }) < configuration.maximumRemoteCandidates else {
      throw .tooMany
    }
    remotes.append(RemoteCandidate(candidate: candidate, foundation: foundation(named: candidate.foundation)))
    for local in locals.indices where locals[local].candidate.kind != .peerReflexive {
      makePair(local, remotes.count - 1)
    }
    advance(now: now)
    return true
  }

  /// The peer lists no more (RFC 8838 §14).
  public mutating func endOfRemoteCandidates(now: Instant) {
    remotesEnded = true
    advance(now: now)
  }

  // MARK: Foundations

  private mutating func foundation(of source: FoundationSource) -> UInt32 {
    if let known = foundationSources[source] { return known }
    let number = UInt32(foundationSources.count + 1)
    foundationSources[source] = number
    return number
  }

  private mutating func foundation(named text: String) -> UInt32 {
    if let known = foundations[text] { return known }
    // The peer's texts are as many as its candidates, in all restarts; older ones may share a number with newer ones.
    if foundations.count >= 4096 { foundations = [:] }
    let number = UInt32(foundations.count + 1)
    foundations[text] = number
    return number
  }

  // MARK: Pairs

  /// - Returns: the pair's id; `nil` when nothing can pass between the two, the pair is there already, or the list is full.
  @discardableResult
  mutating func makePair(_ local: Int, _ remote: Int) -> UInt32? {
    let (ours, theirs) = (locals[local], remotes[remote])
    guard !configuration.isLite, ours.candidate.component == theirs.candidate.component else { return nil }
    // The peer does not know by which of our links its link-local address is reached; the base does.
    let destination = SocketAddress(
      theirs.candidate.address.address, port: theirs.candidate.address.port,
      scope: theirs.candidate.address.address.isLinkLocal ? ours.base.scope : 0)
    guard AddressRules.canPair(ours.base, destination),
      // From one base, one destination is checked once (RFC 8445 §6.1.2.4).
      checklist.index(base: ours.base, destination: destination) == nil
    else { return nil }
    return checklist.insert(
      component: ours.candidate.component, local: local, remote: remote, base: ours.base, destination: destination,
      foundation: Pair.Foundation(local: ours.foundation, remote: theirs.foundation),
      priority: priority(ours.candidate, theirs.candidate), maximum: configuration.maximumPairs)
  }

  private func priority(_ local: Candidate, _ remote: Candidate) -> UInt64 {
    role == .controlling
      ? CandidatePair.priority(controlling: local.priority, controlled: remote.priority)
      : CandidatePair.priority(controlling: remote.priority, controlled: local.priority)
  }

  func renewPriorities(_ checklist: inout Checklist) {
    checklist.setPriorities { priority(locals[$0.local].candidate, remotes[$0.remote].candidate) }
  }

  mutating func renewPriorities() {
    var list = Checklist()
    swap(&list, &checklist)
    renewPriorities(&list)
    swap(&list, &checklist)
  }

  mutating func setRole(_ new: ICERole) {
    guard role != new else { return }
    role = new
    events.append(.roleChanged(new))
    renewPriorities()
    // What was to be nominated was by the former role.
    for index in checklist.pairs.indices { checklist[index].nominates = false }
  }

  /// The peer-reflexive candidate of the peer at `address`, made when it is new; `nil` at the cap.
  mutating func peerReflexiveRemote(_ address: SocketAddress, component: UInt16, priority: UInt32) -> Int? {
    if let known = remotes.firstIndex(where: {
      $0.candidate.address.isSameEndpoint(as: address) && $0.candidate.component == component
    }) {
      return known
    }
    guard remotes.count(where: { $0.candidate.kind == .peerReflexive }) < configuration.maximumPeerReflexive else {
      return nil
    }
    // A foundation of its own, which no other candidate has (RFC 8445 §7.3.1.3): texts from the peer have no dash.
    let name = "p-\(remotes.count)"
    let candidate = Candidate(
      foundation: "p\(remotes.count)", component: component, priority: min(max(priority, 1), 0x7FFF_FFFF),
      address: address.unmapped, kind: .peerReflexive)
    remotes.append(RemoteCandidate(candidate: candidate, foundation: foundation(named: name)))
    return remotes.count - 1
  }

  /// The local candidate that the peer sees at `mapped`, made when nobody knew of it; `nil` at the cap.
  mutating func validLocal(_ mapped: SocketAddress, of pair: Pair, priority: UInt32) -> Int? {
    if let known = locals.firstIndex(where: {
      $0.candidate.address.isSameEndpoint(as: mapped) && $0.base == pair.base
        && $0.candidate.component == pair.component
    }) {
      return known
    }
    guard locals.count(where: { $0.candidate.kind == .peerReflexive }) < configuration.maximumPeerReflexive else {
      return nil
    }
    let number = foundation(of: FoundationSource(kind: .peerReflexive, base: pair.base.address, server: nil))
    let candidate = Candidate(
      foundation: String(number), component: pair.component, priority: priority, address: mapped.unmapped,
      kind: .peerReflexive, related: pair.base)
    locals.append(LocalCandidate(candidate: candidate, base: pair.base, foundation: number))
    return locals.count - 1
  }
}

extension SocketAddress {
  var unmapped: SocketAddress { SocketAddress(address.unmapped, port: port, scope: scope) }

  /// Whatever the scope, which only one end knows.
  func isSameEndpoint(as other: SocketAddress) -> Bool {
    port == other.port && address.unmapped == other.address.unmapped
  }
}
