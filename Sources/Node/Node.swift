public import MeshCrypto
internal import MeshPacket
public import MeshPrimitives
public import MeshReliability
public import MeshRouting
public import MeshSession

/// A whole mesh node as a machine without I/O: one UDP port's worth of datagrams in and out, streams to peers by key,
/// under whatever clock and randomness the caller gives.
///
/// It composes the layers. A datagram is told apart (``DatagramKind``), opened by the session (`Device`), and its payload
/// goes to the connection of the peer (`Connection`) when it is ours, or through cryptokey routing when it is an IP
/// packet. What a peer is, plain WireGuard or a mesh node, the exchange of `Hello` tells.
///
/// ```swift
/// var node = Node(privateKey: key, entropy: SystemEntropy(), provider: CipherProvider(), now: now)
/// let peer = try node.addPeer(PeerConfiguration(publicKey: theirs, endpoint: address), now: now)
/// node.connect(to: peer, now: now)                       // then .connected(peer), .plain or .unreachable
/// let stream = try node.openStream(to: peer, service: "echo")
/// _ = try node.write(bytes, to: stream)
/// while let burst = node.nextTransmit(into: &output, now: now, wall: wall) { socket.send(output.bytes, burst) }
/// node.handle(&datagram, from: source, ecn: .notECT, now: now)
/// while node.serveHandshake(now: now) {}
/// while let event = node.nextEvent() { … }
/// ```
///
/// After each input: drain ``nextTransmit(into:now:wall:)`` and ``nextEvent()`` until both give `nil`; sleep until
/// ``deadline``; then ``handleTimeout(now:)``.
public struct Node: ~Copyable {
  /// What may be set once for a node.
  public struct Configuration: Sendable {
    /// Of the session layer: whose handshakes are answered, how many peers there may be.
    public var device = Device.Configuration()
    /// The node's own addresses inside the tunnel, besides the one derived from its key.
    public var addresses: [IPAddress] = []
    /// The MTU of the tunnel in bytes.
    public var mtu = 1420
    /// How connections behave; the peer's limits are its own affair.
    public var connection = MeshReliability.Configuration()
    /// Bytes of UDP payload that packets grow to at most, both ways: what the path and the peer carry decides below that.
    public var largestPacket = 65_507
    /// Memory for the data of all streams together, in bytes.
    public var bufferMemory = 64 << 20
    /// What the node calls itself in `Hello`: for people, at most 64 bytes.
    public var software = "pnet-mesh"
    /// How long ``Node/connect(to:now:)`` waits before it says `.unreachable`.
    public var connectTimeout = Duration.seconds(10)

    public init() {}
  }

  /// Bytes of the longest IP packet that fits into a datagram.
  static var longestTunnelMTU: Int { (65_507 - WireGuard.transportOverhead) & ~15 }

  /// As it was given.
  public let configuration: Configuration
  /// Tells peers whether this is still the node that they know. Drawn at start, and again for peers to come when one is
  /// forgotten: that one may have a connection under the old value, and would go on with it when it is listed again. Never 0.
  public private(set) var incarnation: UInt64
  /// Of the first packet to a peer to come: above all that were sent to peers that are forgotten.
  var firstNumber: UInt64 = 1
  /// The IPv6 address that belongs to the node's key.
  public let derivedAddress: IPAddress
  /// Datagrams and packets dropped above the session layer, by reason.
  public internal(set) var drops = ReasonCounters<NodeDropReason>()
  /// Bytes of the longest datagram that ``nextTransmit(into:now:wall:)`` may write next: it grows as paths turn out to
  /// carry more.
  public internal(set) var longestPacket: Int
  var localAddresses = LocalAddresses()
  /// Bytes that the buffer has which is being filled.
  var transmitRoom = 0
  /// Echo requests answered.
  public internal(set) var echoesAnswered: UInt64 = 0

  var device: Device
  var entropy: any Entropy
  let pool: ChunkPool
  /// By the slot of the session layer's handle.
  var peers: [NodePeer?] = []
  var allowedIPs = AllowedIPs()
  var ownAddresses: Set<IPAddress>
  var services: [String: ServiceAccess] = [:]
  var deadlines = DeadlineQueue()
  /// Slots of peers that may have something to send, in turn.
  var ready: [UInt32] = []
  var readyHead = 0
  var events: [NodeEvent] = []
  var eventsHead = 0

  /// - Parameters:
  ///   - privateKey: the identity of the node.
  ///   - entropy: random bytes fit for keys.
  ///   - provider: which implementations encrypt packets.
  public init(
    privateKey: consuming PrivateKey, configuration: Configuration = Configuration(), entropy: any Entropy,
    provider: CipherProvider, now: Instant
  ) {
    self.configuration = configuration
    self.entropy = entropy
    incarnation = max(self.entropy.nextUInt64(), 1)
    derivedAddress = IPAddress(derivedFromAddressHash: privateKey.publicKey.addressHash().bytes)
    ownAddresses = Set(configuration.addresses + [derivedAddress])
    pool = ChunkPool(capacity: configuration.bufferMemory)
    longestPacket = max(2_048, min(configuration.mtu, Self.longestTunnelMTU) + WireGuard.transportOverhead)
    device = Device(
      privateKey: privateKey, configuration: configuration.device, entropy: entropy, provider: provider)
  }

  /// The key that the node is known by.
  public var publicKey: PublicKey { device.publicKey }
  /// Packets that the session layer dropped, by reason.
  public var sessionDrops: ReasonCounters<DropReason> { device.drops }
  /// The greatest timestamp sent: to be kept for the next node with this key.
  public var lastTimestamp: TAI64N { device.lastTimestamp }

  /// Whether ``nextEvent()`` has something to tell. Sending can make events too.
  public var hasEvents: Bool { eventsHead < events.count }

  /// The next thing that happened, oldest first.
  public mutating func nextEvent() -> NodeEvent? {
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

  /// Lists a peer. Its derived address is routed to it, and so are `allowedIPs`, taken from whoever had them.
  public mutating func addPeer(
    _ peer: consuming PeerConfiguration, allowedIPs prefixes: [IPPrefix] = [], now: Instant
  ) throws(PeerError) -> PeerID {
    let key = peer.publicKey
    if let known = device.peer(for: key), device.isStranger(known) { removePeer(known, now: now) }
    let id = try device.addPeer(peer, now: now)
    store(NodePeer(id: id, publicKey: key, isStranger: false, incarnation: incarnation, firstNumber: firstNumber))
    try? allowedIPs.reserve(IPAddress(derivedFromAddressHash: key.addressHash().bytes), peer: id.slot)
    for prefix in prefixes { try? allowedIPs.insert(prefix, peer: id.slot) }
    return id
  }

  /// Forgets a peer: its session, its routes and its streams end now, and it is told.
  public mutating func removePeer(_ id: PeerID, now: Instant) {
    guard let peer = self[id] else { return }
    if let connection = peer.connection {
      connection.machine.close(code: .peerRemoved, reason: "")
      sendClose(to: peer, .closedLocally(code: .peerRemoved, reason: ""), now: now)
    }
    disconnect(peer, .peerRemoved)
    forget(peer)
    device.sealStaged(for: id, now: now)
    device.removePeer(id)
    pumpDevice(now: now)
  }

  /// The handle of the peer with this key.
  public func peer(for key: PublicKey) -> PeerID? { device.peer(for: key) }

  /// Handles of all peers, listed and not, in the order of their slots.
  public var peerIDs: [PeerID] { peers.compactMap { $0?.id } }

  /// Starts a session with the peer and waits for its `Hello`. The answer is one event: `.connected`, `.plain` or
  /// `.unreachable`. A peer that is connected already is told of at once.
  public mutating func connect(to id: PeerID, now: Instant) {
    guard let peer = self[id] else { return }
    if peer.isConnected { return events.append(.connected(id)) }
    if peer.hello.kind == .plain {
      if device.canSend(to: id, now: now), !device.isHandshaking(with: id, now: now) {
        return events.append(.plain(id))
      }
      peer.hello.reconsider()
    }
    if peer.connectDeadline == .distantFuture { peer.connectDeadline = now + configuration.connectTimeout }
    if peer.hasLostKeys || !device.canSend(to: id, now: now) {
      device.startHandshake(with: id, isUrgent: peer.hasLostKeys, now: now)
    } else if peer.hello.due == .distantFuture {
      peer.hello.begin(now: now)
    }
    markReady(peer)
  }

  /// Sends a probe over the path in use; the answer is `.pong` with the same token. Nothing is sent to plain peers.
  /// - Returns: whether a probe was sent.
  public mutating func ping(_ id: PeerID, token: UInt64, now: Instant) -> Bool {
    guard let peer = self[id], peer.hello.kind == .mesh else { return false }
    if peer.pings.count >= 16 { peer.pings.removeFirst() }
    peer.pings.append((token, now))
    device.send(Payload.pathProbe(token, filling: 0).bytes, to: id, now: now)
    return true
  }

  // MARK: - Services

  /// Lets those that `access` names open streams to the service. Open streams stay as they are.
  public mutating func setService(_ name: String, access: ServiceAccess) { services[name] = access }

  /// Refuses new streams to the service.
  public mutating func removeService(_ name: String) { services[name] = nil }

  // MARK: - Inside

  subscript(id: PeerID) -> NodePeer? {
    guard Int(id.slot) < peers.count, let peer = peers[Int(id.slot)], peer.id == id else { return nil }
    return peer
  }

  mutating func store(_ peer: NodePeer) {
    let slot = Int(peer.id.slot)
    while peers.count <= slot { peers.append(nil) }
    peers[slot] = peer
  }

  mutating func forget(_ peer: NodePeer) {
    allowedIPs.removeAll(of: peer.id.slot)
    deadlines.cancel(peer.id.slot)
    peers[Int(peer.id.slot)] = nil
    incarnation = max(entropy.nextUInt64(), 1)
    firstNumber = max(firstNumber, peer.firstNumber)
  }

  mutating func markReady(_ peer: NodePeer) {
    guard !peer.isReady else { return }
    peer.isReady = true
    ready.append(peer.id.slot)
  }
}
