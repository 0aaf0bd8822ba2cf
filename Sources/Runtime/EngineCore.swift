internal import Logging
internal import MeshCrypto
internal import MeshNode
internal import MeshPacket
internal import MeshPrimitives
internal import MeshReliability
internal import MeshSession

/// What the engine thread owns: the node, its socket, and the edges of all streams. Only that thread touches it.
///
/// The loop runs to completion: a batch is received, opened, handled, answered and sent before the next is read.
final class EngineCore {
  var node: Node
  var socket: UDPSocket
  var poller: Poller
  var received: ReceiveBatch
  var outgoing: SendBatch
  let mailbox: Mailbox
  let readyPipes: ReadyList
  private let timestamps: TimestampFile?
  let logger: Logger
  var now: Instant

  /// Streams by the token of their pipe, and tokens by stream.
  var streams: [UInt64: EngineStream] = [:]
  var tokens: [StreamHandle: UInt64] = [:]
  var nextToken: UInt64 = 1
  var incoming: [String: IncomingService] = [:]
  /// Senders of messages by the token of their box, and tokens by channel; inboxes of services likewise.
  var senders: [UInt64: EngineSender] = [:]
  var senderTokens: [ChannelHandle: UInt64] = [:]
  var inboxes: [UInt64: EngineInbox] = [:]
  var inboxTokens: [InboxKey: UInt64] = [:]
  /// Who waits for everything to be delivered before the end, and how long.
  var draining: (deadline: Instant, gates: [Gate<Void>])?
  /// Who waits until a peer has every message.
  var deliveries: [PeerID: (key: PublicKey, gates: [Gate<Void>])] = [:]
  /// Calls that wait for a connection.
  var opening: [PendingCall] = []
  var pings: [UInt64: PendingPing] = [:]
  var nextPing: UInt64

  /// When to look for pipes that have gone quiet.
  var quietCheck: Instant?

  private var drained: [UInt64] = []
  private var isSocketBlocked = false
  /// Runs whose source the kernel refused, as far as the node knows.
  private var refusedSources: UInt64 = 0
  private(set) var isStopping = false
  private var handshakeCredit: Int64 = 0
  private var clocks: (monotonic: Instant, wall: Instant)
  private var lastTimestamp: TAI64N

  private static let socketToken: UInt64 = 1

  init(
    node: consuming Node, socket: consuming UDPSocket, poller: consuming Poller, mailbox: Mailbox, readyList: ReadyList,
    timestamps: TimestampFile?, logger: Logger
  ) throws(SocketError) {
    self.mailbox = mailbox
    self.timestamps = timestamps
    lastTimestamp = node.lastTimestamp
    self.logger = logger
    readyPipes = readyList
    try poller.add(socket.descriptor, token: Self.socketToken)
    received = try ReceiveBatch()
    outgoing = try SendBatch()
    self.node = node
    self.socket = socket
    self.poller = poller
    var entropy = SystemEntropy()
    nextPing = entropy.nextUInt64()
    now = MonotonicClock.now
    clocks = (now, WallTime.now.instant)
  }

  // MARK: - The loop

  func run() {
    while !isStopping {
      poller.wait(until: deadline)
      now = MonotonicClock.now
      watchClocks()
      let began = now
      let gotData = receive()
      for act in mailbox.drain() { act(self) }
      attendPipes()
      if let due = node.deadline, due <= now { node.handleTimeout(now: now) }
      expireCalls()
      releaseQuietPipes()
      drain()
      finishDraining()
      serveHandshakes(gotData: gotData, began: began)
      keepTimestamp()
    }
    // What was asked for until now still happens; after that nothing can be asked for.
    mailbox.close()
    for act in mailbox.drain() { act(self) }
    for gate in opening.map(\.gate) { gate.settle(.failure(MeshError.closed)) }
    for ping in pings.values { ping.gate.settle(.failure(MeshError.closed)) }
    for service in incoming.values { service.continuation.finish() }
    for stream in streams.values { stream.fail(.disconnected(.closed(.closedLocally(code: .goingAway, reason: "")))) }
    for sender in senders.values {
      sender.sender.box.fail(MeshError.closed)
      sender.sender.datagrams.fail(MeshError.closed)
    }
    for inbox in inboxes.values { inbox.box.end() }
    for gate in draining?.gates ?? [] { gate.settle(.success(())) }
    for gate in deliveries.values.flatMap(\.gates) { gate.settle(.failure(MeshError.closed)) }
  }

  private var deadline: Instant? {
    // Handshakes wait for their turn: no sleep before it.
    if node.hasQueuedHandshakes { return now }
    var deadline = node.deadline
    if let draining { deadline = earliest(deadline, draining.deadline) }
    deadline = earliest(deadline, quietCheck)
    for call in opening { deadline = earliest(deadline, call.deadline) }
    for ping in pings.values { deadline = earliest(deadline, ping.deadline) }
    return deadline
  }

  /// Receives up to four batches: enough to fill a burst, few enough to answer soon.
  private func receive() -> Bool {
    var gotData = false
    for _ in 0..<4 {
      guard socket.receive(into: &received) > 0 else { break }
      gotData = true
      received.forEachMessage { message, run in
        node.handle(
          &run, segmentSize: message.segmentSize, from: message.source, to: message.local, ecn: message.ecn, now: now)
      }
    }
    return gotData
  }

  /// Sends all that the node has, and works off what happened, until nothing is left to do.
  private func drain() {
    if isSocketBlocked, !unblock() {
      node.pump(now: now)
      return drainEvents()
    }
    while true {
      drainEvents()
      let wall = WallTime.now
      let time = TAI64N(secondsSince1970: wall.seconds, nanoseconds: wall.nanoseconds)
      let added = outgoing.append(reserving: node.longestPacket) { output in
        guard let burst = node.nextTransmit(into: &output, now: now, wall: time) else { return nil }
        let isSeveral = output.byteCount > burst.segmentSize
        return Transmit(
          to: burst.destination, from: burst.source, ecn: burst.ecn,
          segmentSize: isSeveral ? burst.segmentSize : nil)
      }
      switch added {
      case .added: continue
      case .nothing:
        guard flush(), node.hasEvents else { return }
      case .full: guard flush() else { return }
      }
    }
  }

  /// `false` when the socket takes no more now.
  private func flush() -> Bool {
    let outcome = socket.flush(&outgoing)
    if socket.counters.refusedSources != refusedSources {
      refusedSources = socket.counters.refusedSources
      node.forgetLocalAddresses()
    }
    guard outcome == .blocked else { return true }
    isSocketBlocked = true
    try? poller.update(socket.descriptor, token: Self.socketToken, interest: [.readable, .writable])
    return false
  }

  private func unblock() -> Bool {
    guard socket.flush(&outgoing) == .done else { return false }
    isSocketBlocked = false
    try? poller.update(socket.descriptor, token: Self.socketToken, interest: .readable)
    return true
  }

  /// Handshakes get the time that is left, and a tenth of it while data flows.
  private func serveHandshakes(gotData: Bool, began: Instant) {
    guard node.hasQueuedHandshakes else { return }
    var start = MonotonicClock.now
    if gotData {
      handshakeCredit = min(handshakeCredit + start.nanoseconds(since: began) / 9, 2_000_000)
    } else {
      handshakeCredit = 2_000_000
    }
    while handshakeCredit > 0, node.serveHandshake(now: now) {
      let end = MonotonicClock.now
      handshakeCredit -= end.nanoseconds(since: start)
      start = end
    }
    drain()
  }

  /// Erases all keys when the machine slept, the process was stopped for long, or the clock was set: a counter that was
  /// used before a snapshot must not be used again after it.
  private func watchClocks() {
    let wall = WallTime.now.instant
    let drift = wall.nanoseconds(since: clocks.wall) - now.nanoseconds(since: clocks.monotonic)
    let overslept = poller.lastDeadline.map { now.nanoseconds(since: $0) } ?? 0
    clocks = (now, wall)
    guard abs(drift) > 2_000_000_000 || overslept > 180_000_000_000 else { return }
    logger.notice("the clock jumped or the process was stopped: all session keys are erased")
    node.eraseAllKeys(now: now)
  }

  private func keepTimestamp() {
    guard let timestamps, lastTimestamp != node.lastTimestamp else { return }
    lastTimestamp = node.lastTimestamp
    timestamps.keep(lastTimestamp)
  }

  private func attendPipes() {
    readyPipes.drain(into: &drained)
    for token in drained {
      if let stream = streams[token] {
        attend(stream)
      } else if let sender = senders[token] {
        attend(sender)
      } else if let inbox = inboxes[token] {
        attend(inbox)
      }
    }
  }

  /// Takes no more streams, and settles the gate when everything that was given over has been delivered, or at `deadline`.
  func drain(until deadline: Instant, gate: Gate<Void>) {
    let services = incoming.keys.sorted()
    for service in services { incoming[service]?.continuation.finish() }
    incoming = [:]
    for service in services { closeIfUnused(service) }
    draining = (min(deadline, draining?.deadline ?? deadline), (draining?.gates ?? []) + [gate])
  }

  private func finishDraining() {
    guard let draining else { return }
    let isDelivered =
      streams.values.allSatisfy { $0.isWriteEnded || !$0.isFinishing } && node.hasDeliveredMessages
      && senders.values.allSatisfy { $0.sender.box.isEmpty }
    guard isDelivered || draining.deadline <= now else { return }
    self.draining = nil
    for gate in draining.gates { gate.settle(.success(())) }
  }

  /// Tells the peers, and ends the loop.
  func stop() {
    isStopping = true
    node.closeAll(now: now)
    drain()
  }
}

extension WallTime {
  fileprivate var instant: Instant {
    Instant(nanoseconds: seconds &* 1_000_000_000 &+ Int64(nanoseconds))
  }
}
