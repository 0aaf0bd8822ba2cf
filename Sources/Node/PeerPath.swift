internal import MeshPrimitives
internal import MeshReliability
internal import MeshRouting

/// One way to a peer: an address of the peer's, what is known of it, and the challenge that is under way on it.
///
/// A path is used for nothing but probes, and those for no more than three times the bytes that came by it, until a probe
/// was answered (RFC 9000 §8.1 and §8.2): an address in a packet proves nothing.
struct PeerPath {
  /// Probes without an answer before the path counts as dead.
  private static let attempts = 3
  private static let leastWait: Int64 = 100_000_000
  /// How long the last one is waited for where nothing is known of the path: it may lead around the world twice.
  private static let lastWait: Int64 = 1_000_000_000
  /// Bytes of a datagram with a probe.
  static let probeSize = 64
  /// Bytes that may be sent for each one that came, before the path is validated.
  private static let amplification = 3

  let address: SocketAddress
  private(set) var isValidated: Bool
  /// The last challenge was answered, or is under way.
  private(set) var isAnswering = true
  /// What may still be sent before it is validated, in bytes.
  private var budget: Int
  /// As the last probe measured it, in nanoseconds.
  private(set) var roundTrip: Int64 = 0
  /// When an authenticated packet came by it while it was not in use.
  var lastReceived: Instant
  /// The peer's newest packet with something to say came by it, before the path was validated.
  var isWanted = false
  var mtu: MTUDiscovery

  /// The data of the first probe of a challenge; the others count on from it.
  private var challenge: UInt64 = 0
  /// When each was sent. An answer to any of them counts, and late: until the next challenge.
  private var challenged: [Instant] = []
  private var isChallenging = false
  /// When ``nextChallenge(token:now:)`` is to be asked.
  private(set) var due = Instant.distantFuture

  /// - Parameter isValidated: whether the session has shown already that the peer is there.
  init(to address: SocketAddress, isValidated: Bool, budget: Int, limit: Int, now: Instant) {
    self.address = address
    self.isValidated = isValidated
    self.budget = budget
    lastReceived = now
    mtu = MTUDiscovery(address.address.family, limit: limit)
  }

  /// An authenticated datagram of so many bytes came by it.
  mutating func received(_ bytes: Int, now: Instant) {
    lastReceived = now
    if !isValidated { budget = min(budget + Self.amplification * bytes, 1 << 20) }
  }

  /// Takes so many bytes of what may be sent; `false`, and nothing may, when that is too little.
  mutating func spend(_ bytes: Int) -> Bool {
    guard !isValidated else { return true }
    guard budget >= bytes else { return false }
    budget -= bytes
    return true
  }

  /// Asks whether the path carries packets both ways. Goes on with a challenge that is under way.
  mutating func check(now: Instant) {
    guard !isChallenging else { return }
    isChallenging = true
    challenged.removeAll(keepingCapacity: true)
    due = now
  }

  /// The probe to send now: the data that its answer must carry. `nil`: none, or the path turned out to be dead.
  mutating func nextChallenge(token: UInt64, now: Instant) -> UInt64? {
    guard due <= now else { return nil }
    guard challenged.count < Self.attempts, spend(Self.probeSize) else {
      isChallenging = false
      isAnswering = false
      due = .distantFuture
      return nil
    }
    if challenged.isEmpty { challenge = token }
    challenged.append(now)
    var wait = max(Self.leastWait, 3 * roundTrip)
    if roundTrip == 0, challenged.count == Self.attempts { wait = Self.lastWait }
    due = now.advanced(nanoseconds: wait)
    return challenge &+ UInt64(challenged.count - 1)
  }

  /// Whether `data` answers the challenge; then the path is validated.
  mutating func handleReply(_ data: UInt64, now: Instant) -> Bool {
    let probe = data &- challenge
    guard probe < UInt64(challenged.count) else { return false }
    roundTrip = max(1, now.nanoseconds(since: challenged[Int(probe)]))
    challenged.removeAll(keepingCapacity: true)
    isChallenging = false
    due = .distantFuture
    isValidated = true
    isAnswering = true
    return true
  }

  var estimate: PathEstimate {
    PathEstimate(
      roundTrip: roundTrip > 0 ? .nanoseconds(roundTrip) : nil, family: address.address.family,
      isAnswering: isValidated && isAnswering)
  }
}
