public import MeshPrimitives
internal import MeshSTUN

/// A TURN allocation from the client's side (RFC 8656), without I/O: made, kept alive with its permissions and channels, and
/// freed. Of any transport: datagrams, or the frames of a stream (``StreamDeframer``).
///
/// Data lies in the caller's buffers: ``handle(_:from:now:)`` says where in the datagram it is, ``wrap(_:_:for:now:)`` puts
/// the header before it. Neither allocates.
///
/// ```swift
/// import MeshPrimitives
/// import MeshTURN
///
/// func makeClient(_ server: SocketAddress, _ entropy: any Entropy, now: Instant) -> TURNClient {
///   TURNClient(
///     TURNClient.Configuration(server: server, username: "alice", password: "secret"), entropy: entropy, now: now)
/// }
///
/// func handle(_ client: inout TURNClient, _ datagram: [UInt8], from source: SocketAddress, now: Instant) {
///   if case .data(let range, let peer) = client.handle(datagram.bytes, from: source, now: now) {
///     print(range.count, "bytes from", peer)
///   }
///   while let event = client.nextEvent() {
///     if case .allocated(let relayed) = event { print("relayed at", relayed.addresses) }
///   }
///   // Then: send what `nextTransmit` gives, sleep until `deadline`, call `handleTimeout`.
/// }
/// ```
public struct TURNClient: Sendable {
  /// The free capacity that ``nextTransmit(into:now:)`` needs, in bytes.
  public static let maximumSize = 2048
  /// Bytes that must be free before data for ``wrap(_:_:for:now:)``, and behind it.
  public static let headroom = DataIndication.headroom
  public static let tailroom = 3
  static let maximumRedirections = 3
  /// A permission is asked for again after four of its five minutes, a channel after nine of its ten.
  static let permissionInterval = Duration.seconds(240)
  static let channelInterval = Duration.seconds(540)
  /// Peers that one CreatePermission names.
  static let peersPerRequest = 16

  enum Task: Equatable {
    case allocate
    /// Frees what an older allocation left on this 5-tuple, before Allocate is tried again.
    case clear
    case refresh
    case free
    case permit([IPAddress])
    case bind(Int)
  }

  struct Peer {
    let address: IPAddress
    var isPermitted = false
    /// When to ask (again).
    var due: Instant
  }

  struct Channel {
    let peer: SocketAddress
    let number: UInt16
    var isBound = false
    var due: Instant
    var expiry: Instant
  }

  enum Stage { case allocating, allocated, freeing, ended }

  public let configuration: Configuration
  /// The server in use: another one after a redirection.
  public internal(set) var server: SocketAddress
  public internal(set) var relayed: Relayed?
  var stage = Stage.allocating
  var entropy: any Entropy
  var authentication: ClientAuthentication
  var task: Task?
  var transaction: ClientTransaction?
  var sawForgery = false
  var servers: [SocketAddress]
  var hasCleared = false
  var wantsToFree = false
  var refreshDue = Instant.distantFuture
  var peers: [Peer] = []
  /// Peers that are asked for one by one, since a request for several was refused.
  var isCautious = false
  var channels: [Channel] = []
  var events: [Event] = []
  var indications: UInt64

  public init(_ configuration: Configuration, entropy: any Entropy, now: Instant) {
    precondition(configuration.reservationToken.map { $0.count == 8 } ?? true, "a reservation token has 8 bytes")
    self.configuration = configuration
    self.entropy = entropy
    server = configuration.server
    servers = [configuration.server]
    authentication = ClientAuthentication(.longTerm(username: configuration.username, password: configuration.password))
    indications = self.entropy.nextUInt64()
    begin(.allocate, now)
  }

  /// Whether there is an allocation.
  public var isAllocated: Bool { stage == .allocated }

  // MARK: Commands

  /// Lets data pass to and from an address: kept up until ``forget(_:)``. What is told later: `.permitted` or `.refusedPeer`.
  /// - Returns: `false` when there are as many peers as the configuration allows.
  @discardableResult
  public mutating func permit(_ address: IPAddress, now: Instant) -> Bool {
    if peers.contains(where: { $0.address == address }) { return true }
    guard peers.count < configuration.maximumPeers else { return false }
    peers.append(Peer(address: address, due: now))
    proceed(now)
    return true
  }

  /// Lets a permission and its channels run out.
  public mutating func forget(_ address: IPAddress) {
    peers.removeAll { $0.address == address }
    // A channel's number is not used again before the server has forgotten it, so the channel stays, unrefreshed.
    for index in channels.indices where channels[index].peer.address == address { channels[index].due = .distantFuture }
  }

  /// Sends data to `peer` over a channel from when it is bound: 4 bytes of header in place of 36 or 48.
  /// - Returns: `false` when there are as many channels as the configuration allows.
  @discardableResult
  public mutating func bindChannel(to peer: SocketAddress, now: Instant) -> Bool {
    if let index = channels.firstIndex(where: { $0.peer == peer }) {
      if channels[index].due == .distantFuture { channels[index].due = now }
    } else {
      guard channels.count < configuration.maximumChannels else { return false }
      let number = ChannelData.numbers.lowerBound + UInt16(channels.count)
      channels.append(Channel(peer: peer, number: number, due: now, expiry: now))
    }
    guard permit(peer.address, now: now) else { return false }
    proceed(now)
    return true
  }

  /// Gives the allocation back. What is told later: `.freed`.
  public mutating func free(now: Instant) {
    guard stage == .allocating || stage == .allocated else { return }
    wantsToFree = true
    if stage == .allocating, transaction?.requestsSent ?? 0 == 0 {
      end(.freed)
    } else {
      proceed(now)
    }
  }

  // MARK: Data

  /// Writes the header of a Send indication or of ChannelData before `payload`, for the server.
  /// - Parameters:
  ///   - bytes: a buffer with ``headroom`` bytes free before the payload and ``tailroom`` behind it.
  /// - Returns: what to send to ``server``; `nil` without permission for the peer, or without room.
  public mutating func wrap(
    _ bytes: inout MutableRawSpan, _ payload: Range<Int>, for peer: SocketAddress, now: Instant
  ) -> Range<Int>? {
    guard stage == .allocated else { return nil }
    for channel in channels where channel.peer == peer && channel.isBound && channel.expiry > now {
      return ChannelData.wrap(
        &bytes, payload, number: channel.number, isPadded: configuration.transport == .stream)
    }
    guard isPermitted(peer.address) else { return nil }
    indications &+= 1
    let id = TransactionID(high: UInt32(truncatingIfNeeded: indications &* 0x9E37_79B9), low: indications)
    return DataIndication.wrap(&bytes, payload, method: .send, peer: peer, id: id)
  }

  func isPermitted(_ address: IPAddress) -> Bool {
    for peer in peers where peer.address == address { return peer.isPermitted }
    return false
  }

  /// Takes in a datagram (or a frame of the stream) that came from `source`.
  public mutating func handle(_ bytes: RawSpan, from source: SocketAddress, now: Instant) -> Received {
    guard source == server, bytes.byteCount >= 4, stage != .ended else { return .ignored }
    if ChannelData.isChannelData(firstByte: bytes.byte(at: 0)) {
      guard let header = ChannelData(bytes) else { return .ignored }
      for channel in channels where channel.number == header.number {
        return .data(4..<4 + header.length, from: channel.peer)
      }
      return .ignored
    }
    guard let message = try? STUNMessage(bytes), message.fingerprint != .wrong else { return .ignored }
    if message.messageClass == .indication { return indication(message) }
    guard let transaction, transaction.matches(message, from: source) else { return .ignored }
    respond(to: message, now)
    return .control
  }

  private mutating func indication(_ message: borrowing STUNMessage) -> Received {
    guard message.method == .data, let peer = try? message.value(.xorPeerAddress), isPermitted(peer.address),
      message.unknownAttributes(knowing: .turn).isEmpty
    else { return .ignored }
    if let data = message.range(of: .data) { return .data(data, from: peer) }
    guard let icmp = (try? message.value(UInt64Key(.icmp))) ?? nil else { return .ignored }
    if events.count < 64 {
      events.append(
        .unreachable(
          peer, type: UInt8(truncatingIfNeeded: icmp >> 40), code: UInt8(truncatingIfNeeded: icmp >> 32)))
    }
    return .control
  }

  // MARK: Doors

  public mutating func nextEvent() -> Event? { events.isEmpty ? nil : events.removeFirst() }

  /// Appends a request to `output` and returns its destination, or `nil` when none is due at `now`.
  /// - Precondition: `output` has room for ``maximumSize`` bytes.
  public mutating func nextTransmit(into output: inout OutputRawSpan, now: Instant) -> SocketAddress? {
    transaction?.nextTransmit(into: &output, now: now)
  }

  public var deadline: Instant? {
    if let transaction { return transaction.deadline }
    guard stage == .allocated else { return nil }
    var next = refreshDue
    for peer in peers { next = min(next, peer.due) }
    for channel in channels { next = min(next, channel.due) }
    return next == .distantFuture ? nil : next
  }

  public mutating func handleTimeout(now: Instant) {
    transaction?.handleTimeout(now: now)
    if transaction?.state == .timedOut { timedOut(now) }
    proceed(now)
  }
}
