public import MeshPrimitives

/// Finds how large datagrams a path carries, by probing (RFC 8899), and notices when it carries less than it did.
///
/// It begins with a size that is known to pass everywhere, and goes up: to what is common first, and then, between a size
/// that passed and one that did not, by halves. A probe that is lost says nothing of congestion. Sizes are bytes of UDP
/// payload, and multiples of 16, as WireGuard pads.
///
///     if let size = discovery.nextProbe(token: random, now: now) { send(probe(token), filling: size) }
///     if discovery.handleReply(token, now: now) { packets.size = discovery.current }
public struct MTUDiscovery: Sendable {
  /// MIN_PLPMTU: passes wherever a tunnel may be (1,052 bytes with IPv4's headers).
  public static let minimum = 1_024
  /// BASE_PLPMTU: what nearly every path carries.
  public static let base = 1_200
  /// The longest datagram of all, over IPv4.
  public static let maximum = 65_504
  /// MAX_PROBES.
  private static let attempts = 3
  /// The least that PROBE_TIMER waits; three round trips otherwise.
  private static let leastWait: Int64 = 300_000_000
  /// PMTU_RAISE_TIMER (RFC 8899 §5.1.1): what did not pass is tried again so much later.
  private static let raiseAfter: Int64 = 600_000_000_000
  /// Sizes are not told apart finer than this.
  private static let granularity = 16
  /// Bytes that a layer takes: WireGuard's header and tag, and what frames its content.
  public static let layerOverhead = 48
  /// Reports that a second has at most; anybody can forge one who guesses the ports.
  private static let reportsPerSecond = 4

  /// What is known to pass.
  public private(set) var current: Int
  /// When ``nextProbe(token:now:)`` is to be asked.
  public private(set) var due = Instant.distantFuture
  /// Whether larger sizes are being looked for.
  public var isSearching: Bool { probe != nil || (due != .distantFuture && !isRaising) }

  /// What did not pass; nothing above is tried.
  private var failed: Int
  private var limit: Int
  /// The most that the peer takes.
  private let peerLimit: Int
  /// What passes in any case.
  private let floor: Int
  private let common: [Int]
  /// What passed before everything ceased to.
  private var before: Int?
  private var reports = 0
  private var reportsSince = Instant(nanoseconds: .min)
  private var probe: (size: Int, token: UInt64)?
  private var tries = 0
  private var isRaising = false
  /// Round-trip time in nanoseconds.
  private var roundTrip: Int64 = 0

  /// - Parameters:
  ///   - family: of the path.
  ///   - limit: the most that the peer takes, in bytes.
  public init(_ family: IPAddress.Family, limit: Int = maximum) {
    // Bytes of IP and UDP header.
    let header = family == .v4 ? 28 : 48
    peerLimit = max(Self.minimum, min(limit, 65_535 - header, Self.maximum) & ~15)
    self.limit = peerLimit
    floor = Self.minimum
    current = floor
    failed = self.limit + 16
    // Ethernet, jumbo frames, loopback.
    common = [Self.base] + [1_500, 9_000, 65_536].map { ($0 - header) & ~15 }
  }

  /// For a path inside another one: relayed under a label, or nested in a session. It begins with what the carrier carries,
  /// less one layer, and follows it (``carrierChanged(to:now:)``).
  /// - Parameters:
  ///   - carrier: bytes of UDP payload that are known to pass there.
  ///   - limit: the most that the peer takes, in bytes.
  public init(inside carrier: Int, limit: Int = maximum) {
    peerLimit = max(Self.granularity, min(limit, Self.maximum))
    self.limit = max(Self.granularity, min(peerLimit, carrier - Self.layerOverhead) & ~15)
    floor = min(Self.minimum - Self.layerOverhead, self.limit) & ~15
    current = self.limit
    failed = self.limit + 16
    common = []
  }

  /// The path that carries this one, made with ``init(inside:limit:)``, carries so many bytes now.
  /// - Returns: whether ``current`` is another one.
  public mutating func carrierChanged(to carrier: Int, now: Instant) -> Bool {
    let size = max(Self.granularity, min(peerLimit, carrier - Self.layerOverhead) & ~15)
    guard size != limit else { return false }
    // Whoever relays says what is beyond it; only a narrower carrier is a certain fact about this path.
    let fell = current > size
    let grew = size > limit && failed > limit
    limit = size
    failed = grew ? size + 16 : min(failed, size + 16)
    if fell { current = size }
    begin(now: now)
    return fell
  }

  /// Begins to look for more than ``current``.
  public mutating func begin(now: Instant) {
    isRaising = false
    probe = nil
    tries = 0
    due = next == nil ? .distantFuture : now
  }

  /// There is nobody to ask any more.
  public mutating func end() {
    due = .distantFuture
    probe = nil
  }

  /// The next size to be tried; `nil` when the search is over.
  public var next: Int? {
    if let before, before > current, before < failed { return before }
    if let step = common.first(where: { $0 > current && $0 < failed }) { return step }
    if failed > limit { return current < limit ? limit : nil }
    guard failed - current > Self.granularity else { return nil }
    return ((current + failed) / 2) & ~15
  }

  /// The size to be probed now, if one is due.
  /// - Parameters:
  ///   - token: 64 random bits, by which the answer is known.
  ///   - roundTrip: of the path, if it is known.
  public mutating func nextProbe(token: UInt64, roundTrip: Duration = .zero, now: Instant) -> Int? {
    guard due <= now else { return nil }
    self.roundTrip = roundTrip.wholeNanoseconds
    if isRaising {
      isRaising = false
      failed = limit + 16
    }
    if let probe, tries >= Self.attempts {
      failed = min(failed, probe.size)
      self.probe = nil
      tries = 0
    }
    guard let size = next else {
      rest(now: now)
      return nil
    }
    tries += 1
    probe = (size, token)
    due = now.advanced(nanoseconds: max(Self.leastWait, 3 * self.roundTrip))
    return size
  }

  /// A probe was answered: `true` when it was the one that is under way, and ``current`` has grown.
  public mutating func handleReply(_ token: UInt64, now: Instant) -> Bool {
    guard let probe, probe.token == token else { return false }
    current = max(current, probe.size)
    if let before, before <= current { self.before = nil }
    begin(now: now)
    if due == .distantFuture { rest(now: now) }
    return true
  }

  /// Packets of the current size do not arrive any more (a black hole, RFC 8899 §4.3): back to what passes everywhere, and up
  /// again.
  /// - Parameter othersPass: whether shorter ones do. Else nothing may pass at all, which says nothing of sizes: the present
  ///   one is tried first when something does again.
  /// - Returns: whether there was a way down.
  public mutating func collapse(othersPass: Bool, now: Instant) -> Bool {
    guard current > floor else { return false }
    if othersPass { failed = min(failed, current) } else { before = current }
    current = floor
    begin(now: now)
    return true
  }

  /// Nothing gets an answer at present: a probe that is lost now says nothing, and none is sent for a while.
  public mutating func putOff(now: Instant) {
    guard due != .distantFuture else { return }
    probe = nil
    tries = 0
    due = now.advanced(nanoseconds: Self.leastWait)
  }

  /// A router, or a relay, has said that it passes no more than `size` bytes of UDP payload (RFC 8899 §4.6).
  ///
  /// It is believed at once when it lies below ``current`` and is a size that paths have; then larger ones are probed again,
  /// so that a forged report costs some probes. At most four a second count.
  /// - Returns: whether ``current`` has fallen.
  public mutating func packetTooBig(_ size: Int, now: Instant) -> Bool {
    let size = size & ~15
    guard size >= floor, size < current else { return false }
    if now.nanoseconds(since: reportsSince) >= 1_000_000_000 {
      reportsSince = now
      reports = 0
    }
    guard reports < Self.reportsPerSecond else { return false }
    reports += 1
    current = size
    begin(now: now)
    return true
  }

  /// The search is over; what did not pass is tried again much later.
  private mutating func rest(now: Instant) {
    probe = nil
    guard failed <= limit else {
      due = .distantFuture
      return
    }
    isRaising = true
    due = now.advanced(nanoseconds: Self.raiseAfter)
  }
}
