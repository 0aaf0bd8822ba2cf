public import MeshPacket
public import MeshPrimitives

/// What two nodes say to each other: ordered streams, whole messages and datagrams, over packets that may be lost, with
/// acknowledgements, loss recovery (RFC 9002), congestion control, pacing and flow control.
///
/// It lives above sessions and paths and survives changes of both: it sees whole `Packet` messages, decrypted, and makes
/// whole messages to be encrypted. Like every layer it has three doors, and opens no socket and reads no clock:
///
///     // in
///     let outcome = try connection.handle(message, ecn: .notECT, now: now)
///     if let deadline = connection.deadline, deadline <= now { connection.handleTimeout(now: now) }
///     // out, after every input
///     while connection.nextPacket(into: &output, now: now) { seal(output) … }
///     while let event = connection.nextEvent() { … }
///     // use
///     let id = try connection.openStream(service: "echo")
///     let accepted = try connection.write(bytes, to: id)
///     let chat = try connection.messageChannel(for: "chat")
///     try connection.send(message, on: chat)
///
/// Packets carry numbers of the connection's own, from 1 on; what was lost is sent again in a new packet. What it leaves to
/// its caller: sealing and paths, the `Hello` that agrees on the limits, telling the peer of the end (`Close`), and every
/// frame that is not about any of these: those of an accepted packet are delivered by whoever reads it after this.
///
/// Memory is capped whatever the peer does: received bytes by the windows and the pool, gaps per connection, ranges of
/// acknowledgements, records of sent packets. In steady state a packet allocates nothing.
public struct Connection: ~Copyable {
  enum State {
    case open
    case closed(CloseReason)
  }

  /// The greatest number of gaps in the received data of all streams together.
  static let mostGaps = 4096
  /// The greatest number of packets whose fate is open.
  static let mostRecords = 1 << 16
  /// The least capacity that ``nextPacket(into:now:)`` makes a packet for: room for a long acknowledgement or service name.
  public static let smallestCapacity = 512

  let configuration: Configuration
  let pool: ChunkShare
  /// The peer's, in nanoseconds.
  let maximumAckDelay: Int64
  var state = State.open
  var table: StreamTable
  var events = Ring<ConnectionEvent>()
  var counters = ConnectionStatistics()

  // Receiving.
  var acks: AckTracker
  /// Bytes up to the highest offsets of all streams; what the peer has used of ``dataAllowed``.
  var dataReceived: UInt64 = 0
  /// Of these, bytes that were read or will never be.
  var dataConsumed: UInt64 = 0
  /// Bytes that the peer was told that it may send.
  var dataAllowed: UInt64
  /// Bytes that it may still send.
  var dataRoom: UInt64 { dataAllowed > dataReceived ? dataAllowed - dataReceived : 0 }
  var gaps = 0
  var dataWindow: ReceiveWindow
  var lastReceived: Instant
  /// Whether the last packet that was accepted is the newest of all and says something, besides acknowledging: where it came
  /// from is where the peer is.
  public internal(set) var newestAsked = false
  /// Messages that came whole, by number.
  var receivedMessages = RangeSet()
  /// Messages that came in part, by number.
  var incomingMessages: [UInt64: IncomingMessage] = [:]
  /// Not in use now.
  var spareMessages: [IncomingMessage] = []
  var incomingChannels = IncomingChannels()
  /// Bytes in datagrams that wait to be read.
  var datagramBytes = 0

  // Sending.
  var sent: SentPackets
  var skipper: NumberSkipper
  /// Bytes sent for the first time on all streams.
  var dataSent: UInt64 = 0
  /// Bytes that the peer allows.
  var dataLimit: UInt64
  /// Bytes of the peer's window that are kept for the control lane.
  let controlReserve: UInt64
  var lanes = Lane.allCases.map { _ in LaneQueue() }
  /// What limits the background lane; `nil`: nobody has used it.
  var background: BackgroundFlow?
  /// The lane whose turn it is, from the last question whether there is anything to send.
  var foundLane: Lane?
  let messages = Lane.allCases.map { _ in MessageQueue() }
  let datagrams = DatagramQueue()
  /// Bytes of a `Packet` that the path carries now: a datagram may not be longer. What packets are made for is the
  /// caller's to say, each time.
  public var packetCapacity: Int
  var outgoingChannels: [OutgoingChannel] = []
  var nextMessageID: UInt64 = 0
  /// The application waits for the peer to have every message.
  var wantsDelivered = false
  var blockedByConnection: [Stream] = []
  /// Streams that found no memory for what they were to take.
  var starving: [Stream] = []
  var controlList = Ring<Stream>()
  var needsMaxData = false
  var needsMaxStreams = false
  /// Some channel has a ``IncomingChannel/refusal``.
  var needsRefusals = false
  var wantsStreams = false
  /// Packets of acknowledgements only since one that asked for an acknowledgement.
  var silentPackets = 0
  /// When the first of them left.
  var silentSince = Instant(nanoseconds: 0)
  var planned: [PlannedControl] = []
  var plannedPieces: [PlannedPiece] = []

  // Recovery.
  var path: PathState
  var bytesInFlight = 0
  /// Packets in flight that ask for an acknowledgement.
  var unanswered = 0
  var unansweredSince: Instant?
  /// Nanoseconds without a packet before that.
  var waited: Int64 = 0
  var lastAskedAt = Instant(nanoseconds: 0)
  /// When the last packet with data came, and the bytes of all that came without a pause of two seconds.
  var lastContent = Instant(nanoseconds: 0)
  var contentBytes = 0
  /// When the probe timer ran out, or began anew on another path.
  var probeTimerBegin = Instant(nanoseconds: .min)
  var largestAcked: UInt64 = 0
  var ackedNumbers = RangeSet()
  /// Packets below are acknowledged or lost.
  var firstOpen: UInt64
  /// Packets below were sent while the window or the pacer set the speed.
  var limitedBelow: UInt64 = 0
  var lossTime: Instant?
  var timeouts = 0
  var probes = 0

  /// When the memory that a burst has left behind is given back.
  var trimAt: Instant?

  /// - Parameters:
  ///   - opensOddStreams: whether this is the side whose streams have odd numbers: the one with the greater public key.
  ///   - pool: where buffers take their memory from; shared by the connections of a node.
  public init(configuration: Configuration, opensOddStreams: Bool, pool: ChunkPool, now: Instant) {
    precondition(configuration.packetSize >= 256, "a full packet must have at least 256 bytes")
    precondition(
      (1...PacketLimits.maxNumber).contains(configuration.firstNumber), "a packet's number is 1 to 2^62 - 1")
    precondition(configuration.packetsPerAck >= 1, "at least one packet per acknowledgement")
    self.configuration = configuration
    self.pool = ChunkShare(of: pool)
    maximumAckDelay = max(0, min(configuration.peerMaximumAckDelay.wholeNanoseconds, 1_000_000_000))
    table = StreamTable(opensOdd: opensOddStreams, local: configuration.local, peer: configuration.peer)
    acks = AckTracker(
      every: configuration.packetsPerAck,
      maximumDelay: max(0, min(configuration.maximumAckDelay.wholeNanoseconds, 1_000_000_000)))
    dataAllowed = configuration.local.data
    dataLimit = configuration.peer.data
    dataWindow = ReceiveWindow(size: configuration.local.data, largest: configuration.largestWindow)
    packetCapacity = max(Self.smallestCapacity, configuration.packetSize - configuration.overheadPerPacket)
    controlReserve = min(64 << 10, configuration.peer.data / 8)
    sent = SentPackets(from: configuration.firstNumber)
    firstOpen = configuration.firstNumber
    path = PathState(configuration)
    skipper = NumberSkipper(seed: configuration.skipSeed, from: configuration.firstNumber)
    lastReceived = now
  }

  deinit {
    for stream in table.all {
      stream.send.discard(pool: pool)
      stream.receive.discard(pool: pool)
    }
    for lane in messages.indices { messages[lane].discard(pool: pool) }
    datagrams.discard(pool: pool)
    for channel in incomingChannels.all { channel.discard(pool: pool) }
    for id in incomingMessages.keys { incomingMessages[id]?.buffer.discard(pool: pool) }
  }

  /// Why the connection has ended; `nil` while it goes on.
  public var closeReason: CloseReason? {
    if case .closed(let reason) = state { reason } else { nil }
  }

  public var statistics: ConnectionStatistics {
    var result = counters
    result.smoothedRTT = .nanoseconds(path.rtt.hasSample ? path.rtt.smoothed : 0)
    result.minimumRTT = .nanoseconds(path.rtt.minimum)
    result.congestionWindow = path.congestion.window
    result.bytesInFlight = bytesInFlight
    result.backgroundWindow = background?.congestion.window ?? 0
    result.backgroundBytesInFlight = background?.bytesInFlight ?? 0
    result.usesECN = path.marksECN
    result.datagramsDropped += datagrams.dropped
    return result
  }

  /// Whether there is something to be read on a connection that has ended.
  public var hasUnread: Bool {
    closeReason != nil
      && (table.count > 0
        || incomingChannels.all.contains { !$0.messages.isEmpty || !$0.datagrams.isEmpty })
  }

  /// Streams that have not ended in both directions.
  public var streamCount: Int { table.count }

  /// Probe timeouts since the last acknowledgement.
  public var consecutiveProbeTimeouts: Int { timeouts }

  /// The number of the next packet: above all that were sent.
  public var nextNumber: UInt64 { sent.next }

  /// Packets of the peer below `first` are of an earlier connection, and count as known. Does nothing once a packet has come.
  public mutating func ignoreNumbers(below first: UInt64) {
    acks.ignore(below: min(first, PacketLimits.maxNumber))
  }

  /// Whether there is something to say, apart from whether it may be said now.
  public mutating func wantsToSend() -> Bool { findContent() || probes > 0 || acks.isDue && acks.hasReport }

  /// How the packets that ``nextPacket(into:now:)`` makes now are to be marked.
  public var outgoingECN: ECN { marksPackets ? path.outgoingECN : .notECT }

  /// Whether packets are marked. While it is not known that the path lets marked ones pass, probes are not (RFC 9000
  /// §13.4.2), and acknowledgements that nobody acknowledges neither. Changes with inputs, never with a packet that is made.
  var marksPackets: Bool { path.marksECN && (path.markedArrived || timeouts == 0 && !path.holdsMarks) }

  /// What happened, oldest first; `nil` when nothing is left.
  public mutating func nextEvent() -> ConnectionEvent? { events.popFirst() }

  /// Ends the connection here: no packet is made any more. The caller tells the peer.
  public mutating func close(code: ErrorCode, reason: String) {
    end(.closedLocally(code: code, reason: reason))
  }

  /// Appends an acknowledgement of all that has come, for the packet that tells the peer of the end: so that it knows what
  /// arrived. Nothing, when nothing has come. The connection may have ended already.
  /// - Parameter output: with at least 256 bytes free.
  public func writeLastAck(into output: inout OutputRawSpan, now: Instant) {
    guard acks.hasReport else { return }
    _ = PacketWriter.writeAck(
      AckReport(acks, most: 16), delayMicroseconds: UInt64(acks.delay(now: now) / 1000), ect0: acks.ect0,
      ect1: acks.ect1, ce: acks.ce, to: &output)
  }

  /// Takes the acknowledgement that came with the peer's last words. One that is wrong changes nothing.
  public mutating func handleLastAck(_ ack: AckFrame, in message: RawSpan, now: Instant) {
    guard case .open = state else { return }
    try? receive(ack, in: message, now: now)
    reportDelivered()
  }

  /// The peer has said that the connection is over.
  public mutating func peerClosed(code: ErrorCode, reason: String) {
    end(.closedByPeer(code: code, reason: reason))
  }

  /// The peer is gone, or has started again without its state.
  public mutating func peerVanished() { end(.peerVanished) }

  /// Ends everything. Every call on a stream throws `reason` from now on, but for reading what had come in order: it is
  /// the application's, unless the connection was ended here.
  mutating func end(_ reason: CloseReason) {
    guard case .open = state else { return }
    state = .closed(reason)
    let keepsReceived =
      switch reason {
      case .closedByPeer, .timedOut, .peerVanished: true
      case .closedLocally, .violation: false
      }
    for stream in table.all {
      stream.send.discard(pool: pool)
      stream.isRemoved = true
      if !keepsReceived || !stream.hasUnread { forget(stream) }
    }
    for lane in lanes.indices {
      lanes[lane] = LaneQueue()
      messages[lane].discard(pool: pool)
    }
    datagrams.discard(pool: pool)
    for id in incomingMessages.keys { incomingMessages[id]?.buffer.discard(pool: pool) }
    incomingMessages = [:]
    receivedMessages = RangeSet()
    for channel in incomingChannels.all {
      if keepsReceived { channel.discardHeld(pool: pool) } else { channel.discard(pool: pool) }
    }
    controlList.removeAll()
    blockedByConnection = []
    starving = []
    background = nil
    sent = SentPackets(from: sent.next)
    ackedNumbers = RangeSet()
    bytesInFlight = 0
    unanswered = 0
    events.append(.closed(reason))
  }

  // MARK: Time

  /// When ``handleTimeout(now:)`` is to be called at the latest; `nil` when nothing waits for time.
  public var deadline: Instant? {
    guard case .open = state else { return nil }
    var result = earliest(recoveryDeadline, acks.isDue ? nil : acks.deadline)
    result = earliest(result, path.pacer.deadline)
    if unanswered == 0 { result = earliest(result, trimAt) }
    if let vanishing = vanishingAt { result = earliest(result, vanishing) }
    if let idle = configuration.idleTimeout { result = earliest(result, lastReceived + idle) }
    return earliest(earliest(result, keepaliveAt), inquiryAt)
  }

  /// When an idle connection with open streams asks whether the peer is still there, so that it does not end.
  private var keepaliveAt: Instant? {
    guard let idle = configuration.idleTimeout, table.count > 0, unanswered == 0 else { return nil }
    return max(lastReceived, lastAskedAt) + idle / 2
  }

  /// When a peer that sent much has fallen silent since, and is asked for it. Perhaps it has more to say and does not reach us,
  /// for our address or a NAT's has changed, and only we can tell it; or it is gone.
  var inquiryAt: Instant? {
    guard contentBytes >= 16_384, unanswered == 0, lastAskedAt < lastContent,
      table.count > 0 || !incomingChannels.all.isEmpty
    else { return nil }
    let timeout = path.rtt.probeTimeout(maximumAckDelay: maximumAckDelay)
    return lastReceived.advanced(nanoseconds: max(2 * timeout, 500_000_000))
  }

  /// Only after a few probes went unanswered: a machine that slept must have had the chance to ask.
  private var vanishingAt: Instant? {
    guard timeouts >= 3, let unansweredSince else { return nil }
    return (unansweredSince + configuration.vanishedAfter).advanced(nanoseconds: -waited)
  }

  /// To be called before the first packet after a time in which nothing could be sent at all, for want of keys: that time
  /// says nothing against the peer.
  public mutating func resumed(now: Instant) {
    if unansweredSince != nil { unansweredSince = now }
    waited = 0
    timeouts = 0
    lastAskedAt = now
    probeTimerBegin = now
  }

  /// Does what is due at `now`. Harmless when nothing is.
  public mutating func handleTimeout(now: Instant) {
    guard case .open = state else { return }
    if let idle = configuration.idleTimeout, lastReceived + idle <= now { return end(.timedOut) }
    if let vanishingAt, vanishingAt <= now { return end(.timedOut) }
    path.pacer.expire(now: now)
    acks.handleTimeout(now: now)
    if let keepaliveAt, keepaliveAt <= now { probes = max(probes, 1) }
    if let inquiryAt, inquiryAt <= now { probes = max(probes, 1) }
    if let due = recoveryDeadline, due <= now { recoveryTimeout(now: now) }
    if let trimAt, trimAt <= now, unanswered == 0 {
      self.trimAt = nil
      trim()
    }
  }

  /// Gives back memory that only a busy connection needs.
  private mutating func trim() {
    forgetSilentPackets()
    sent.trim()
    ackedNumbers.trim()
    for stream in table.all {
      stream.send.trim()
      stream.receive.trim()
    }
    for lane in lanes.indices {
      lanes[lane].trim()
      messages[lane].trim()
    }
    datagrams.trim()
    receivedMessages.trim()
    for channel in incomingChannels.all {
      channel.messages.trim()
      channel.datagrams.trim()
    }
    if controlList.isEmpty { controlList.removeAll() }
    if events.isEmpty { events.removeAll() }
    planned = []
    plannedPieces = []
    spareMessages = []
  }
}
