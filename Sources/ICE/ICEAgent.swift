public import MeshPrimitives
internal import MeshSTUN

/// One end of an ICE session (RFC 8445) as a machine without I/O: it finds the addresses between which two hosts can talk,
/// NATs or not, and watches the pair that was chosen.
///
/// What it leaves to its caller: sockets; gathering, that is host addresses, asking STUN servers and allocating on TURN
/// servers (`MeshSTUN`, `MeshTURN`); and signalling: names, passwords and candidates reach the other end by a channel that
/// both trust. One agent serves one data stream of one or more components.
///
/// ```swift
/// import MeshICE
/// import MeshPrimitives
///
/// func run(_ agent: inout ICEAgent, theirs: ICECredentials, candidates: [Candidate], on base: SocketAddress, now: Instant) {
///   agent.addLocalCandidate(.host, address: base, base: base)
///   agent.endOfLocalCandidates(now: now)
///   agent.setRemote(theirs, now: now)
///   for candidate in candidates { _ = try? agent.addRemoteCandidate(candidate, now: now) }
///   agent.endOfRemoteCandidates(now: now)
///   // After each datagram (`handle`) and each timeout, until both give nil:
///   while let (transmit, bytes) = agent.nextTransmit(now: now) {
///     print("send", bytes.count, "bytes from", transmit.base, "to", transmit.destination)
///   }
///   while let event = agent.nextEvent() {
///     if case .selected(let pair) = event { print(pair.base, pair.destination) }
///   }
///   // Sleep until agent.deadline, then agent.handleTimeout(now:).
/// }
/// ```
///
/// A datagram that does not authenticate changes nothing and is counted in ``drops``. Checks are paced, and never sent to
/// addresses that are no host's; lists are capped (``ICEConfiguration``).
public struct ICEAgent: ~Copyable {
  /// Where the session stands.
  public enum State: Equatable, Sendable {
    /// The other end's name and password are not known.
    case new
    /// Pairs are being tried.
    case checking
    /// Each component has a pair that works.
    case connected
    /// Each component has a pair that was chosen.
    case completed
    /// A chosen pair has lost consent: nothing may be sent on it. ``ICEAgent/restart(_:keepsLocalCandidates:now:)`` begins anew.
    case disconnected
    /// All pairs have failed, and there was time enough.
    case failed
    case closed
  }

  public enum Event: Equatable, Sendable {
    case stateChanged(State)
    /// Both ends had thought the same of themselves.
    case roleChanged(ICERole)
    /// A pair works: data may be sent on it until one is selected.
    case validated(CandidatePair)
    /// The pair of its component, from now on.
    case selected(CandidatePair)
    /// A selected pair must not be used any more.
    case consentExpired(CandidatePair)
  }

  /// What became of a datagram.
  public enum Received: Equatable, Sendable {
    /// Not STUN by its first bytes: the application's.
    case data
    /// A check, an answer or a keepalive, dealt with.
    case consumed
    case dropped(ICEDropReason)
  }

  /// Where a datagram goes.
  public struct Transmit: Equatable, Sendable {
    /// The base to send it from.
    public let base: SocketAddress
    public let destination: SocketAddress
  }

  /// The room that ``nextTransmit(into:now:)`` needs, in bytes.
  public static let maximumDatagram = 720

  public let configuration: ICEConfiguration
  public internal(set) var role: ICERole
  public internal(set) var state = State.new
  /// STUN messages that were dropped, by reason.
  public internal(set) var drops = ICEDrops()

  var entropy: any Entropy
  /// 64 random bits: the greater one keeps its role in a conflict.
  var tieBreaker: UInt64

  var current: Generation
  /// Until a restart has led to a new pair, the old one goes on.
  var previous: Generation?

  var locals: [LocalCandidate] = []
  var remotes: [RemoteCandidate] = []
  var localsEnded = false
  var remotesEnded = false
  /// Numbers of foundations, by text, and of what our own are made of.
  var foundations: [String: UInt32] = [:]
  var foundationSources: [FoundationSource: UInt32] = [:]

  var checklist = Checklist()
  /// Ids of pairs to be checked before others (RFC 8445 §6.1.4.1), first come, first served.
  var triggered: [UInt32] = []
  /// Checks of the peer that came before its name and password did.
  var early: [EarlyCheck] = []
  var replies: [Reply] = []
  var repliesHead = 0
  var events: [Event] = []
  var eventsHead = 0

  /// When the next new check may begin (Ta).
  var nextCheck = Instant(nanoseconds: .min)
  /// When the next check of any kind may leave.
  var gate = Instant(nanoseconds: .min)
  /// When checks began.
  var startedAt: Instant?
  /// When the first pair of each component worked.
  var firstValid: [Instant?]

  /// - Parameters:
  ///   - role: as the signalling has it, by convention controlling for who began. Conflicts resolve themselves.
  ///   - credentials: our own, fresh for each session.
  ///   - entropy: for transactions and tie-breaking; fit for keys.
  public init(
    role: ICERole, credentials: ICECredentials, configuration: ICEConfiguration = ICEConfiguration(),
    entropy: any Entropy
  ) {
    precondition((1...8).contains(configuration.components), "an agent sets up 1 to 8 components")
    precondition(configuration.pace >= .milliseconds(5), "checks begin 5 ms apart at least")
    precondition(configuration.maximumChecksPerSecond > 0 && configuration.requests > 0, "some checks must be allowed")
    self.configuration = configuration
    self.role = role
    self.entropy = entropy
    tieBreaker = self.entropy.nextUInt64()
    current = Generation(local: credentials)
    firstValid = Array(repeating: nil, count: Int(configuration.components))
  }

  public var credentials: ICECredentials { current.local }

  /// What we list for the peer, peer-reflexive ones left out.
  public var localCandidates: [Candidate] { locals.map(\.candidate).filter { $0.kind != .peerReflexive } }

  /// What is known of the peer, peer-reflexive ones included.
  public var remoteCandidates: [Candidate] { remotes.map(\.candidate) }

  /// The pair that was chosen for a component; while none was chosen, the best one that works. After a restart, the old one
  /// until there is a new one. `nil`: nothing may be sent.
  public func pair(component: UInt16 = 1) -> CandidatePair? {
    if let selection = current.selection(component) ?? previous?.selection(component) { return selection.pair }
    guard state != .closed, state != .disconnected else { return nil }
    return bestValid(component).map { describe(checklist[$0]) }
  }

  /// All pairs that work, best first.
  public var validPairs: [CandidatePair] { checklist.pairs.filter { $0.state == .succeeded }.map { describe($0) } }

  /// Pairs of the checklist and how many of them have failed, for people who look for faults.
  public var pairCounts: (all: Int, failed: Int) {
    (checklist.pairs.count, checklist.pairs.count { $0.state == .failed })
  }

  /// The next event; drain after each input until `nil`.
  public mutating func nextEvent() -> Event? {
    guard eventsHead < events.count else {
      events.removeAll(keepingCapacity: true)
      eventsHead = 0
      return nil
    }
    defer { eventsHead += 1 }
    return events[eventsHead]
  }

  /// Ends the session: nothing is sent or answered any more.
  public mutating func close() {
    checklist.reset()
    triggered = []
    early = []
    replies = []
    repliesHead = 0
    previous = nil
    current.selections = []
    locals = []
    remotes = []
    enter(.closed)
  }

  /// Begins anew with other credentials, for example since the host has moved (RFC 8445 §9). The peer must do the same.
  ///
  /// Selected pairs go on working until new ones take their place. Remote candidates are forgotten, and local ones too
  /// unless `keepsLocalCandidates`: gather again, and exchange everything again.
  public mutating func restart(_ credentials: ICECredentials, keepsLocalCandidates: Bool, now: Instant) {
    guard state != .closed else { return }
    precondition(credentials.ufrag != current.local.ufrag, "a restart takes new credentials")
    let old = current
    current = Generation(local: credentials)
    if !old.selections.isEmpty { previous = old }
    checklist.reset()
    triggered = []
    early = []
    remotes = []
    remotesEnded = false
    if keepsLocalCandidates {
      locals.removeAll { $0.candidate.kind == .peerReflexive }
    } else {
      locals = []
      localsEnded = false
    }
    startedAt = nil
    for index in firstValid.indices { firstValid[index] = nil }
    enter(.new)
  }

  func describe(_ pair: Pair) -> CandidatePair {
    CandidatePair(
      component: pair.component, local: locals[pair.validLocal ?? pair.local].candidate,
      remote: remotes[pair.remote].candidate, base: pair.base, destination: pair.destination, priority: pair.priority,
      isNominated: pair.isNominated, roundTrip: pair.roundTrip)
  }

  mutating func enter(_ new: State) {
    guard state != new else { return }
    state = new
    events.append(.stateChanged(new))
  }
}

/// How often each reason occurred.
public typealias ICEDrops = ReasonCounters<ICEDropReason>
