public import MeshPrimitives
public import MeshSTUN

/// A TURN server (RFC 8656) without I/O: it says which relayed sockets to open and close, and where each datagram goes.
///
/// Data is relayed in place: the header of ChannelData or of an indication is taken off by returning a shorter range, and put
/// on before the data, in the room that the caller leaves there. Relaying allocates nothing.
///
/// ```swift
/// import MeshPrimitives
/// import MeshSTUN
/// import MeshTURN
///
/// func makeServer(_ entropy: any Entropy, now: Instant) -> TURNServer {
///   var configuration = TURNServer.Configuration()
///   configuration.relayV4 = IPAddress("192.0.2.1")
///   var users = UserDirectory(realm: "example.org")
///   users.add("alice", password: "secret")
///   return TURNServer(configuration, users: users, entropy: entropy, now: now)
/// }
///
/// /// A datagram that lies at `range` of `buffer`; 48 bytes before it and 3 behind it are free.
/// func handle(_ server: inout TURNServer, _ buffer: inout MutableRawSpan, _ range: Range<Int>, from path: ClientPath, now: Instant) {
///   switch server.handleClient(&buffer, range, from: path, now: now, wallSeconds: 0) {
///   case .toPeer(let bytes, let relay, let peer): print("send", bytes.count, "bytes from", relay, "to", peer)
///   case .toClient(let bytes, let path): print("send", bytes.count, "bytes to", path)
///   case .none: break
///   }
///   // Then: act on `nextEvent()`, send what `nextTransmit` gives, sleep until `deadline`.
/// }
/// ```
public struct TURNServer: Sendable {
  /// Bytes that must be free before a datagram of a peer.
  public static let headroom = DataIndication.headroom
  /// Bytes that must be free behind it.
  public static let tailroom = 3
  /// The free capacity that ``nextTransmit(into:)`` needs, in bytes.
  public static let maximumSize = 1500
  static let maximumAnswers = 1024
  static let maximumAttempts = 20

  struct Answer {
    let path: ClientPath
    let bytes: [UInt8]
  }

  public let configuration: Configuration
  /// Who may use the server. Changes hold for requests from now on.
  public var users: UserDirectory {
    get { authentication.users }
    set { authentication.users = newValue }
  }
  public internal(set) var drops = ReasonCounters<Drop>()
  /// Datagrams relayed to peers and to clients.
  public internal(set) var packetsToPeers: UInt64 = 0
  public internal(set) var packetsToClients: UInt64 = 0

  var authentication: ServerAuthentication
  var entropy: any Entropy
  var limiter: SourceRateLimiter
  var binding: BindingServer

  var allocations: [Allocation?] = []
  var freeAllocations: [Int] = []
  var byPath: [ClientPath: Int] = [:]
  var byUser: [[UInt8]: Int] = [:]
  var expiries = DeadlineQueue()

  var relays: [Relay?] = []
  var freeRelays: [Int] = []
  var relayGenerations: [UInt32] = []
  var byRelayAddress: [SocketAddress: RelayID] = [:]
  var reservations: [Reservation] = []

  var answers = Outbox<Answer>()
  var events = Outbox<Event>()
  var indications: UInt64

  public init(
    _ configuration: Configuration = Configuration(), users: UserDirectory, entropy: any Entropy, now: Instant
  ) {
    precondition(configuration.maximumAllocations <= 1 << 18, "a server has at most 262,144 allocations")
    precondition(configuration.ports.lowerBound > 0, "port 0 cannot be relayed from")
    precondition(configuration.relayV4.map { $0.family == .v4 } ?? true, "relayV4 is an IPv4 address")
    precondition(configuration.relayV6.map { $0.family == .v6 } ?? true, "relayV6 is an IPv6 address")
    self.configuration = configuration
    self.entropy = entropy
    authentication = ServerAuthentication(users, nonceLifetime: configuration.nonceLifetime, entropy: &self.entropy)
    limiter = SourceRateLimiter(
      perSecond: configuration.requestsPerSecond, burst: configuration.burst, capacity: configuration.sources,
      entropy: &self.entropy)
    var binding = BindingServer.Configuration()
    (binding.requestsPerSecond, binding.burst) = (configuration.requestsPerSecond, configuration.burst)
    binding.sources = configuration.sources
    self.binding = BindingServer(binding, entropy: &self.entropy)
    indications = self.entropy.nextUInt64()
  }

  public var allocationCount: Int { byPath.count }

  // MARK: Data from clients

  /// Takes in a datagram, or a frame of a stream, of a client.
  /// - Parameters:
  ///   - range: where it lies in `bytes`.
  ///   - wallSeconds: seconds since 1970, for time-limited credentials.
  public mutating func handleClient(
    _ bytes: inout MutableRawSpan, _ range: Range<Int>, from path: ClientPath, now: Instant, wallSeconds: Int64
  ) -> Action {
    guard range.count >= 4 else { return drop(.notTURN) }
    if ChannelData.isChannelData(firstByte: bytes.bytes.byte(at: range.lowerBound)) {
      return channelData(bytes.bytes.extracting(range), range.lowerBound, path, now)
    }
    return message(bytes.bytes.extracting(range), range.lowerBound, path, now, wallSeconds)
  }

  private mutating func channelData(_ bytes: RawSpan, _ start: Int, _ path: ClientPath, _ now: Instant) -> Action {
    guard let header = ChannelData(bytes) else { return drop(.notTURN) }
    guard let slot = byPath[path] else { return drop(.noAllocation) }
    guard let peer = allocations[slot]?.peer(of: header.number, now.nanoseconds) else { return drop(.unknownChannel) }
    return relay(start + 4..<start + 4 + header.length, slot, to: peer, now)
  }

  /// Data of a client to a peer that it may send to.
  mutating func relay(_ range: Range<Int>, _ slot: Int, to peer: SocketAddress, _ now: Instant) -> Action {
    guard let id = allocations[slot]?.relay(peer.address.family) else { return drop(.noAllocation) }
    if isOwn(peer.address), byRelayAddress[peer] == nil { return drop(.noPermission) }
    let limit = configuration.bytesPerSecond
    guard allocations[slot]?.spendToPeer(range.count, now.nanoseconds, perSecond: limit) ?? false else {
      return drop(.overRate)
    }
    packetsToPeers &+= 1
    return .toPeer(range, from: id, to: peer)
  }

  /// Whether `address` is the server's: such peers are reached only at sockets that the server relays for.
  func isOwn(_ address: IPAddress) -> Bool {
    address == configuration.relayV4 || address == configuration.relayV6
      || !configuration.ownAddresses.isEmpty && configuration.ownAddresses.contains(address)
  }

  // MARK: Data from peers

  /// Takes in a datagram that came to a relayed socket.
  /// - Parameter range: where it lies in `bytes`; ``headroom`` bytes before it and ``tailroom`` behind it are overwritten.
  public mutating func handlePeer(
    _ bytes: inout MutableRawSpan, _ range: Range<Int>, from peer: SocketAddress, to relay: RelayID, now: Instant
  ) -> Action {
    guard let slot = self.relay(relay)?.owner, let path = allocations[slot]?.path else { return drop(.noAllocation) }
    let peer = SocketAddress(peer.address.unmapped, port: peer.port)
    let limit = configuration.bytesPerSecond
    let admission = allocations[slot]?.admit(peer, range.count, now.nanoseconds, perSecond: limit) ?? .closed
    let channel: UInt16?
    switch admission {
    case .channel(let number): channel = number
    case .indication: channel = nil
    case .closed: return drop(.noAllocation)
    case .noPermission: return drop(.noPermission)
    case .overRate: return drop(.overRate)
    }
    let wrapped: Range<Int>?
    if let channel {
      wrapped = ChannelData.wrap(&bytes, range, number: channel, isPadded: path.transport == .stream)
    } else {
      indications &+= 1
      wrapped = DataIndication.wrap(
        &bytes, range, method: .data, peer: peer,
        id: TransactionID(high: UInt32(truncatingIfNeeded: indications &* 0x9E37_79B9), low: indications))
    }
    guard let wrapped else { return drop(.noRoom) }
    packetsToClients &+= 1
    return .toClient(wrapped, path)
  }

  /// An ICMP error came for what a relayed socket sent: the client is told, if it has permission for the peer (RFC 8656 §11.5).
  /// - Parameter data: what the ICMP message carries beside, such as the MTU of type 3, code 4.
  public mutating func handleICMP(
    type: UInt8, code: UInt8, data: UInt32 = 0, from peer: SocketAddress, to relay: RelayID, now: Instant
  ) {
    guard let slot = self.relay(relay)?.owner, let allocation = allocations[slot],
      allocation.isPermitted(peer.address, now.nanoseconds)
    else { return }
    indications &+= 1
    let id = TransactionID(high: UInt32(truncatingIfNeeded: indications &* 0x9E37_79B9), low: indications)
    let message = [UInt8](capacity: 128) { output in
      var writer = MessageWriter(.indication, .data, id, to: &output)
      writer.append(.xorPeerAddress, peer, to: &output)
      writer.append(UInt64Key(.icmp), UInt64(type) << 40 | UInt64(code) << 32 | UInt64(data), to: &output)
    }
    enqueue(message, allocation.path)
  }

  // MARK: Doors

  /// What to do about sockets, and what happened.
  public mutating func nextEvent() -> Event? { events.next() }

  /// Appends an answer to `output` and returns whose it is.
  /// - Precondition: `output` has room for ``maximumSize`` bytes.
  public mutating func nextTransmit(into output: inout OutputRawSpan) -> ClientPath? {
    guard let answer = answers.next() else { return nil }
    output.append(answer.bytes.bytes)
    return answer.path
  }

  public var deadline: Instant? {
    reservations.reduce(expiries.earliest) { earliest($0, Instant(nanoseconds: $1.expiry)) }
  }

  /// Frees what has expired.
  public mutating func handleTimeout(now: Instant) {
    while let slot = expiries.popDue(at: now) { free(Int(slot)) }
    for reservation in reservations where reservation.expiry <= now.nanoseconds { close(reservation.relay) }
    reservations.removeAll { $0.expiry <= now.nanoseconds }
  }

  /// A client's connection has ended: its allocation goes with it.
  public mutating func disconnected(_ path: ClientPath) {
    if let slot = byPath[path] { free(slot) }
  }

  // MARK: Common

  mutating func drop(_ reason: Drop) -> Action {
    drops.count(reason)
    return .none
  }

  mutating func enqueue(_ bytes: [UInt8], _ path: ClientPath) {
    guard answers.count < Self.maximumAnswers else { return drops.count(.answersFull) }
    answers.append(Answer(path: path, bytes: bytes))
  }
}
