public import MeshCrypto
public import MeshPrimitives

/// One WireGuard device with its peers, as a machine without I/O: the complete protocol of the paper, byte for byte.
///
/// Bytes come in through ``handle(_:from:now:)``; handshake messages among them wait in a short queue and are worked off by
/// ``serveHandshake(now:)``, so that the caller decides how much time they get. Bytes go out through
/// ``seal(_:to:now:)`` for data and ``nextTransmit(into:now:wall:)`` for all else. Between inputs the caller sleeps until
/// ``deadline`` and then calls ``handleTimeout(now:)``. After each input, drain ``nextTransmit(into:now:wall:)`` and
/// ``nextEvent()`` until both give `nil`.
///
/// What it leaves to the caller: sockets, clocks, which inner packets a peer may send (allowed IPs), and what the
/// plaintext means.
///
/// ```swift
/// var device = try Device(privateKey: key, entropy: SystemEntropy(), provider: CipherProvider())
/// let peer = try device.addPeer(PeerConfiguration(publicKey: theirs, endpoint: address), now: now)
/// device.send(packet, to: peer, now: now)                              // starts the handshake
/// while let transmit = device.nextTransmit(into: &output, now: now, wall: .init(secondsSince1970: 0, nanoseconds: 0)) {
///   socket.send(output.bytes, to: transmit.destination)
/// }
/// switch device.handle(&datagram, from: source, now: now) {
/// case .data(let peer, let payload): use(datagram, payload, peer)
/// case .keepalive, .queued, .dropped: break
/// }
/// while device.serveHandshake(now: now) {}
/// ```
///
/// Source: J. Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel", §5 and §6.
public struct Device: ~Copyable {
  /// What may be set once for a device.
  public struct Configuration: Sendable {
    /// The number of the worker that the device belongs to, 0 to 15: the top four bits of all its receiver indices.
    public var worker: UInt8 = 0
    /// Most peers, listed ones and strangers together.
    public var maximumPeers = 131_072
    /// Most peers that are not listed, where ``acceptance`` lets them in.
    public var maximumStrangers = 1024
    /// Whose handshakes are answered.
    public var acceptance = Acceptance.listed
    /// The greatest timestamp that was ever sent with this key. Later ones are made greater, or peers would refuse them.
    public var lastTimestamp = TAI64N.zero

    public init() {}
  }

  /// Whose handshakes a device answers.
  public enum Acceptance: Sendable {
    /// Listed peers only.
    case listed
    /// Whoever knows our public key.
    case any
    /// Whomever the closure, called with the verified public key, returns `true` for.
    case predicate(@Sendable (PublicKey) -> Bool)
  }

  /// What became of a datagram.
  public enum Received: Equatable, Sendable {
    /// A packet with content: the plaintext, padding included, lies at these offsets of the datagram.
    case data(PeerID, payload: Range<Int>)
    case keepalive(PeerID)
    /// A handshake message waits for ``Device/serveHandshake(now:)``.
    case queued
    case dropped(DropReason)
  }

  public enum Event: Equatable, Sendable {
    /// A handshake was completed: there is a new key pair, and packets may be sent.
    case established(PeerID, isInitiator: Bool)
    /// No answer for 90 s. What was staged is gone; the next packet starts again.
    case handshakeFailed(PeerID)
    /// All keys were erased, since no handshake took place for 540 s or the caller asked.
    case erased(PeerID)
    /// An authenticated packet came from another address, and the endpoint follows it.
    case endpointChanged(PeerID, SocketAddress)
    /// The acceptance policy let in a peer that is not listed.
    case strangerAdded(PeerID, PublicKey)
    /// A stranger's session has lapsed; its handle is no longer valid.
    case strangerRemoved(PeerID, PublicKey)
  }

  public let publicKey: PublicKey
  public let configuration: Configuration
  /// Packets dropped, by reason.
  public internal(set) var drops = ReasonCounters<DropReason>()
  /// What all peers together sent and received, those that are gone included.
  public internal(set) var traffic = Traffic()
  /// The greatest timestamp sent so far: to be kept, and given to the next device with the same key.
  public internal(set) var lastTimestamp: TAI64N

  let privateKey: PrivateKey
  let provider: CipherProvider
  var entropy: any Entropy

  /// Where the plaintexts of the last ``open(_:segmentSize:from:now:)`` lie in its run, in order.
  public internal(set) var opened: [Range<Int>] = []
  /// The index of the key pair that opened what came last.
  var lastIndex: UInt32 = 0

  var peers: [Peer?] = []
  var freeSlots: [UInt32] = []
  var generation: UInt32 = 0
  var slotsByKey: [PublicKey: UInt32] = [:]
  var strangers = 0
  var indices = IndexTable()
  var deadlines = DeadlineQueue()

  var queue: HandshakeQueue
  var checker: CookieChecker
  var limiter = RateLimiter()
  /// A tenth of a core's time at the most goes to the first handshakes of strangers.
  var strangerLimiter = RateLimiter(overall: RateLimiter.Bucket(perSecond: 500, burst: 100))
  /// Room for one handshake message.
  var scratch: [UInt8] = []
  /// State of the generator of jitter. Jitter needs no secrecy.
  var jitterState: UInt64

  /// Responses and cookie replies to be sent.
  var outbox: [(transmit: Transmit, message: [UInt8])] = []
  var outboxHead = 0
  /// Slots of peers that ``nextTransmit(into:now:wall:)`` owes something.
  var ready: [UInt32] = []
  var readyHead = 0
  var events: [Event] = []
  var eventsHead = 0

  static let outboxCapacity = 1024

  /// - Parameters:
  ///   - privateKey: the static key of the device.
  ///   - entropy: random bytes for ephemeral keys, indices, nonces and cookies.
  ///   - provider: which implementations encrypt packets.
  public init(
    privateKey: consuming PrivateKey, configuration: Configuration = Configuration(), entropy: any Entropy,
    provider: CipherProvider
  ) {
    precondition(configuration.worker < 16, "a worker's number is 0 to 15: it has four bits of the index")
    publicKey = privateKey.publicKey
    self.privateKey = privateKey
    self.configuration = configuration
    self.entropy = entropy
    self.provider = provider
    lastTimestamp = configuration.lastTimestamp
    checker = CookieChecker(publicKey: publicKey)
    queue = HandshakeQueue(seed: self.entropy.nextUInt64())
    jitterState = self.entropy.nextUInt64() | 1
  }

  /// When ``handleTimeout(now:)`` is to be called next.
  public var deadline: Instant? { deadlines.earliest }

  /// The next thing that happened, oldest first.
  public mutating func nextEvent() -> Event? {
    guard eventsHead < events.count else { return nil }
    defer {
      eventsHead += 1
      if eventsHead == events.count {
        events.removeAll(keepingCapacity: true)
        eventsHead = 0
      }
    }
    return events[eventsHead]
  }

  // MARK: - Peers

  /// Lists a peer. A stranger of the same key becomes listed, and its session is dropped.
  public mutating func addPeer(_ peer: consuming PeerConfiguration, now: Instant) throws(PeerError) -> PeerID {
    if let slot = slotsByKey[peer.publicKey], let known = peers[Int(slot)] {
      guard known.isStranger else { throw .alreadyListed }
      removePeer(known.id)
    }
    return try insert(peer, isStranger: false, now: now).id
  }

  /// Forgets a peer: its keys are wiped, its packets dropped.
  public mutating func removePeer(_ id: PeerID) {
    guard let peer = self[id] else { return }
    erase(peer)
    deadlines.cancel(id.slot)
    slotsByKey[peer.publicKey] = nil
    peers[Int(id.slot)] = nil
    freeSlots.append(id.slot)
    if peer.isStranger {
      strangers -= 1
      events.append(.strangerRemoved(id, peer.publicKey))
    }
  }

  /// The handle of the peer with this key, listed or not.
  public func peer(for key: PublicKey) -> PeerID? {
    guard let slot = slotsByKey[key] else { return nil }
    return peers[Int(slot)]?.id
  }

  /// The key of a peer; `nil` when the handle is no longer valid.
  public func publicKey(of id: PeerID) -> PublicKey? { self[id]?.publicKey }

  public func endpoint(of id: PeerID) -> SocketAddress? { self[id]?.endpoint }

  public func statistics(of id: PeerID) -> PeerStatistics? { self[id]?.statistics }

  public func isStranger(_ id: PeerID) -> Bool { self[id]?.isStranger ?? false }

  /// Sends to `endpoint` from now on.
  public mutating func setEndpoint(_ endpoint: SocketAddress?, of id: PeerID) { self[id]?.endpoint = endpoint }

  /// Whether authenticated packets from another address move the endpoint (they do at first).
  public mutating func setRoaming(_ roams: Bool, of id: PeerID) { self[id]?.roams = roams }

  /// The key is used from the next handshake on.
  public mutating func setPresharedKey(_ key: consuming PresharedKey, of id: PeerID) {
    guard let peer = self[id] else { return }
    peer.presharedKey = key
  }

  /// Refuses packets under the key pair before the present one, which WireGuard takes for a while: what came last tells that the
  /// peer has started again, and nothing that it is waited for comes by it any more.
  ///
  /// Does nothing when that came by it, or the handshakes of the two crossed: then each side sends under the one that it began.
  public mutating func dropPreviousKeys(of id: PeerID) {
    guard let peer = self[id], let current = peer.current, let previous = peer.previous,
      previous.localIndex != lastIndex, previous.created < current.began
    else { return }
    drop(previous)
    peer.previous = nil
  }

  /// Counters that replay windows span, from now on: 8,128 as WireGuard has it, more where packets take paths of
  /// different delay. Those of present key pairs grow if need be, and never shrink.
  public mutating func setReplayWindow(_ capacity: Int, of id: PeerID) {
    guard let peer = self[id] else { return }
    peer.replayWindow = capacity
    for pair in [peer.current, peer.previous, peer.next] { pair?.widenWindow(to: capacity) }
  }

  /// Whether a packet to the peer can be sealed at `now`.
  public func canSend(to id: PeerID, now: Instant) -> Bool { self[id]?.current?.canSend(at: now) ?? false }

  /// Whether an initiation to the peer is owed or has no answer yet: keys are old, or nothing came back for 15 s.
  public func isHandshaking(with id: PeerID, now: Instant) -> Bool {
    guard let peer = self[id] else { return false }
    return peer.owesInitiation || peer.pending?.isOpen(at: now) ?? false
  }

  /// Erases all keys and all handshake state: to be called when the machine slept, or the process was stopped, for long.
  public mutating func eraseAllKeys(now: Instant) {
    for case let peer? in peers { lapse(peer) }
  }

  // MARK: - Inside

  subscript(id: PeerID) -> Peer? {
    guard Int(id.slot) < peers.count, let peer = peers[Int(id.slot)], peer.id == id else { return nil }
    return peer
  }

  mutating func insert(
    _ configuration: consuming PeerConfiguration, isStranger: Bool, now: Instant
  ) throws(PeerError) -> Peer {
    guard configuration.publicKey != publicKey else { throw .ownKey }
    guard isStranger || (try? privateKey.sharedSecret(with: configuration.publicKey)) != nil else { throw .lowOrderKey }
    guard slotsByKey.count < self.configuration.maximumPeers else {
      throw .tableFull(limit: self.configuration.maximumPeers)
    }
    let slot: UInt32
    if let free = freeSlots.popLast() {
      slot = free
    } else {
      slot = UInt32(peers.count)
      peers.append(nil)
    }
    generation &+= 1
    let peer = Peer(
      id: PeerID(slot: slot, generation: generation), configuration: configuration, isStranger: isStranger)
    peers[Int(slot)] = peer
    slotsByKey[peer.publicKey] = slot
    if isStranger { strangers += 1 }
    if peer.persistentKeepalive > 0 { oweKeepalive(peer) }
    return peer
  }

  /// Wipes all keys and handshake state of `peer`, and what waits for them.
  mutating func erase(_ peer: Peer) {
    for pair in [peer.current, peer.previous, peer.next] { drop(pair) }
    peer.current = nil
    peer.previous = nil
    peer.next = nil
    dropPending(of: peer)
    peer.answered = nil
    peer.timers.disarmAll()
    peer.statistics.droppedStaged &+= UInt64(peer.staged.count)
    peer.staged.removeAll()
    (peer.owesInitiation, peer.owesCopy, peer.owesKeepalive) = (false, false, false)
    peer.retries = 0
    peer.sentLastMinuteHandshake = false
  }

  /// Erases, tells, and forgets the peer if it was a stranger.
  mutating func lapse(_ peer: Peer) {
    erase(peer)
    events.append(.erased(peer.id))
    if peer.isStranger {
      removePeer(peer.id)
    } else if peer.persistentKeepalive > 0 {
      oweKeepalive(peer)
    }
  }

  /// Gives up a key pair: packets with its index are no longer accepted.
  mutating func drop(_ pair: KeyPair?) {
    if let pair { indices.remove(pair.localIndex) }
  }

  mutating func dropPending(of peer: Peer) {
    if let index = peer.pending?.localIndex { indices.remove(index) }
    peer.pending = nil
    peer.timers.copy = .distantFuture
    peer.timers.retransmit = .distantFuture
  }

  /// A new receiver index for `peer`, drawn at random below the worker's number.
  mutating func makeIndex(for peer: Peer) -> UInt32 {
    while true {
      let random = UInt32(truncatingIfNeeded: entropy.nextUInt64()) & 0x0FFF_FFFF
      let index = UInt32(configuration.worker) << 28 | random
      if indices.insert(index, slot: peer.id.slot) { return index }
    }
  }

  /// A random time below 334 ms.
  mutating func jitter() -> Int64 {
    jitterState ^= jitterState << 13
    jitterState ^= jitterState >> 7
    jitterState ^= jitterState << 17
    return Int64(jitterState % WireGuard.jitter)
  }

  mutating func markReady(_ peer: Peer) {
    guard !peer.isReady else { return }
    peer.isReady = true
    ready.append(peer.id.slot)
  }

  mutating func oweKeepalive(_ peer: Peer) {
    peer.owesKeepalive = true
    markReady(peer)
  }
}
