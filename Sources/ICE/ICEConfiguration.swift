/// What may be set once for an ``ICEAgent``. The defaults are RFC 8445's.
public struct ICEConfiguration: Sendable {
  /// How many components are set up together, 1 to 8.
  public var components: UInt16 = 1
  /// A lite agent checks nothing and only answers; for hosts with a public address (RFC 8445 §2.5).
  public var isLite = false

  // Pace.

  /// Ta: the least time between the starts of two checks (§14.2); 5 ms at least.
  public var pace = Duration.milliseconds(50)
  /// Checks that leave in a second at most, repetitions and consent included: what a third party gets from a peer that
  /// lists it among its candidates.
  public var maximumChecksPerSecond = 50
  /// Rc: how often a check is sent in all.
  public var requests = 7
  /// The least time until a check is first repeated; doubled for each further one (§14.3).
  public var minimumTimeout = Duration.milliseconds(500)
  /// Rm: how many first timeouts the answer to the last of them may take (RFC 8489 §6.2.1).
  public var lastTimeoutFactor = 16

  // Patience.

  /// How long a controlling agent waits for better pairs once a direct one works.
  public var directPatience = Duration.milliseconds(500)
  /// How long it waits once a relayed one works.
  public var relayedPatience = Duration.seconds(2)
  /// How long nothing counts as a failure, since the peer may yet be heard of (RFC 8863 §4).
  public var failurePatience = Duration.milliseconds(39_500)

  // Life of a selected pair.

  /// Whether consent is asked for (RFC 7675). Without it, and in a lite agent, indications keep the NATs awake.
  public var usesConsent = true
  /// How long consent lasts.
  public var consentLifetime = Duration.seconds(30)
  /// How often it is asked for, ± 20 % (RFC 7675 §5.1).
  public var consentInterval = Duration.seconds(5)
  /// Tr: how long a pair may be silent (RFC 8445 §11).
  public var keepaliveInterval = Duration.seconds(15)

  // Caps.

  /// Candidates of our own, peer-reflexive ones not counted.
  public var maximumLocalCandidates = 32
  /// Candidates that the peer lists.
  public var maximumRemoteCandidates = 16
  /// Peer-reflexive candidates, of our own and of the peer each.
  public var maximumPeerReflexive = 16
  /// Pairs (§6.1.2.5).
  public var maximumPairs = 100

  public init() {}
}
