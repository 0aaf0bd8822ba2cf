public import CoreMetrics
public import Logging
internal import MeshCrypto
public import MeshNode
public import MeshPrimitives
public import MeshReliability
internal import MeshSession
public import ServiceLifecycle
internal import Synchronization

/// A node of the mesh: dial a public key, not an address.
///
/// ```swift
/// let mesh = try await Mesh(identity: .generate(), peers: [Peer(key, at: "192.0.2.1:2552")])
/// let stream = try await mesh.open("echo", at: key)
/// try await stream.write("hello")
/// try await stream.finish()
/// for try await chunk in stream { print(chunk.count) }
/// await mesh.close()
/// ```
///
/// One UDP port, one thread for its packets, no global state: several meshes live in one process. All calls may be made
/// from any task.
public final class Mesh: Sendable {
  public struct Configuration: Sendable {
    /// Whose handshakes are answered.
    public enum Acceptance: Sendable {
      /// Listed peers only.
      case listed
      /// Whoever knows our public key, as a stranger: only services for everybody are open to them.
      case any
      /// As ``any``, but only keys that the closure returns `true` for. It is called with the verified key, on the engine
      /// thread: it must not wait.
      case predicate(@Sendable (PublicKey) -> Bool)
    }

    /// The node's own addresses inside the tunnel, besides the one derived from its key.
    public var addresses: [IPAddress] = []
    /// The MTU of the tunnel, in bytes.
    public var mtu = 1420
    public var acceptance = Acceptance.listed
    /// How the speed of sending follows what the path carries.
    public var congestion = CongestionAlgorithm.cubic
    /// Connections end when nothing came for so long and no stream is open; `nil`: never. The peer may have a shorter one.
    public var idleTimeout: Duration?
    /// Services that are open from the first packet on, and to whom: their streams wait until ``Mesh/incoming(_:from:)``
    /// is asked for them. A peer may knock between the start of the mesh and that call.
    public var services: [String: ServiceAccess] = [:]
    /// A directory for what must survive a restart: the timestamp of the last handshake, in a file named by the public
    /// key. Made, of mode 0700, when it is missing. `nil`: nothing is kept, and peers refuse the node when it starts
    /// again with a clock that went back meanwhile.
    public var stateDirectory: String?
    /// Keys, payloads and addresses are never logged above debug.
    public var logger = Logger(label: "pnet-mesh")
    /// Where figures go, such as `MetricsSystem.factory`; `nil`: nowhere. The labels begin with `pnet_`.
    public var metrics: (any MetricsFactory)?
    /// How often figures are reported; the last time when the mesh closes.
    public var metricsInterval = Duration.seconds(10)

    public init() {}
  }

  public let publicKey: PublicKey
  /// The UDP port.
  public let port: UInt16
  /// The IPv6 address that belongs to the node's key.
  public let derivedAddress: IPAddress

  let mailbox: Mailbox
  let readyList: ReadyList
  private let thread: EngineThread
  private let timestamps: TimestampFile?
  private let reporting: Task<Void, Never>?
  /// Streams of services that were open from the start and that nobody has asked for yet.
  private let waiting: Mutex<[String: AsyncStream<MeshStream>]>
  private let calls = Atomic<UInt64>(0)
  private let addresses: [String]
  private let backends: [MeshStatus.Backend]

  /// Binds the port and starts the node.
  /// - Parameters:
  ///   - identity: the node's key.
  ///   - port: a UDP port; 0 for any free one.
  ///   - peers: whom the node knows. Host names are looked up now.
  /// - Throws: ``MeshError``.
  public init(
    identity: Identity, listening port: UInt16 = 0, peers: [Peer] = [],
    configuration: Configuration = Configuration()
  ) async throws {
    let resolved = try await Self.resolve(peers)
    timestamps = try configuration.stateDirectory.map { directory throws(MeshError) in
      try TimestampFile(in: directory, key: identity.publicKey)
    }
    var settings = Node.Configuration()
    settings.addresses = configuration.addresses
    settings.mtu = configuration.mtu
    settings.connectTimeout = .seconds(10)
    settings.connection.congestion = configuration.congestion
    settings.connection.idleTimeout = configuration.idleTimeout
    if let timestamps { settings.device.lastTimestamp = timestamps.initial }
    switch configuration.acceptance {
    case .listed: settings.device.acceptance = .listed
    case .any: settings.device.acceptance = .any
    case .predicate(let accepts): settings.device.acceptance = .predicate(accepts)
    }
    let provider = CipherProvider()
    let now = MonotonicClock.now
    var node = Node(
      privateKey: try Self.copy(identity), configuration: settings, entropy: SystemEntropy(), provider: provider,
      now: now)
    publicKey = node.publicKey
    derivedAddress = node.derivedAddress
    addresses = configuration.addresses.map(\.description)
    backends = provider.table.map {
      MeshStatus.Backend(upTo: $0.upTo == .max ? nil : $0.upTo, backend: $0.backend.rawValue)
    }
    for peer in resolved { try Self.list(peer, in: &node, now: now) }
    do throws(SocketError) {
      let socket = try UDPSocket(port: port)
      self.port = socket.local.port
      let poller = try Poller()
      mailbox = Mailbox(doorbell: poller.doorbell)
      readyList = ReadyList(doorbell: poller.doorbell)
      let core = try EngineCore(
        node: node, socket: socket, poller: poller, mailbox: mailbox, readyList: readyList, timestamps: timestamps,
        logger: configuration.logger)
      var waiting: [String: AsyncStream<MeshStream>] = [:]
      for (service, access) in configuration.services {
        let (streams, incoming) = Self.makeIncoming(service, mailbox)
        core.serve(service, access: access, incoming)
        waiting[service] = streams
      }
      self.waiting = Mutex(waiting)
      let handed = Handed(core: core)
      thread = try EngineThread(name: "pnet-engine") { handed.core.run() }
      reporting = configuration.metrics.map { [mailbox] factory in
        Task { await Self.report(to: factory, every: configuration.metricsInterval, from: mailbox) }
      }
    } catch {
      if case .portInUse(let port) = error { throw MeshError.portInUse(port) }
      throw MeshError.system("\(error)")
    }
  }

  private static func copy(_ identity: Identity) throws(MeshError) -> PrivateKey {
    guard let key = try? identity.privateKey() else {
      throw .system("there is no locked memory for a key: raise RLIMIT_MEMLOCK")
    }
    return key
  }

  deinit {
    reporting?.cancel()
    mailbox.post { $0.stop() }
  }

  /// The core on its way to the engine thread: the thread that made it does not touch it again.
  private struct Handed: @unchecked Sendable { let core: EngineCore }

  // MARK: - Streams

  /// Opens a stream to a service of a peer, connecting first if need be. Waits while as many are open as the peer allows.
  /// - Parameter options: the lane, whether the peer sends as well, and the share among streams of the lane.
  /// - Throws: ``MeshError``: `.unknownPeer`, `.unreachable`, `.plainWireGuard`, `.tooManyStreams`; `CancellationError`. That a service is
  ///   refused shows when the stream is first read or written.
  public func open(
    _ service: String, at key: PublicKey, options: StreamOptions = StreamOptions(), timeout: Duration = .seconds(10)
  ) async throws -> MeshStream {
    try await connect(key, .open(service: service, options), timeout: timeout)!
  }

  /// Where messages and datagrams for a service of a peer are sent to, connecting first if need be. One for all who ask,
  /// until the connection ends; then its calls throw, and this is asked again.
  /// - Throws: as ``open(_:at:timeout:)`` does.
  public func sender(
    _ service: String, to key: PublicKey, lane: Lane = .message, timeout: Duration = .seconds(10)
  ) async throws -> MessageSender {
    let gate = Gate<MessageSender>()
    _ = try await connect(key, .sender(service: service, lane: lane, gate), timeout: timeout)
    return try await gate.value()
  }

  /// Has `act` run on the engine thread, soon; `false` when the mesh is closed.
  func post(_ act: @escaping @Sendable (EngineCore) -> Void) -> Bool { mailbox.post(act) }

  private func connect(
    _ key: PublicKey, _ purpose: PendingCall.Purpose, timeout: Duration
  ) async throws -> MeshStream? {
    let gate = Gate<MeshStream?>()
    let id = calls.add(1, ordering: .relaxed).newValue
    let posted = mailbox.post { core in
      core.call(purpose, id: id, key: key, deadline: core.now + timeout, gate: gate)
    }
    guard posted else { throw MeshError.closed }
    do { return try await gate.value() } catch {
      mailbox.post { $0.cancelCall(id) }
      throw error
    }
  }

  /// The streams that peers open to `service`. A service that nobody asks for here is refused, but
  /// for those of ``Configuration/services``.
  /// - Parameter access: who may open them; listed peers unless said otherwise.
  public func incoming(_ service: String, from access: ServiceAccess = .peers) -> IncomingStreams {
    if let streams = waiting.withLock({ $0.removeValue(forKey: service) }) {
      mailbox.post { $0.node.setService(service, access: access) }
      return IncomingStreams(streams: streams)
    }
    let (streams, incoming) = Self.makeIncoming(service, mailbox)
    if !mailbox.post({ $0.serve(service, access: access, incoming) }) { incoming.continuation.finish() }
    return IncomingStreams(streams: streams)
  }

  private static func makeIncoming(
    _ service: String, _ mailbox: Mailbox
  ) -> (AsyncStream<MeshStream>, IncomingService) {
    let (streams, continuation) = AsyncStream.makeStream(
      of: MeshStream.self, bufferingPolicy: .bufferingOldest(IncomingStreams.backlog))
    let incoming = IncomingService(continuation)
    continuation.onTermination = { [id = ObjectIdentifier(incoming)] reason in
      guard case .cancelled = reason else { return }
      mailbox.post { $0.stopServing(service, id) }
    }
    return (streams, incoming)
  }

  // MARK: - Peers

  /// Lists a peer.
  public func add(_ peer: Peer) async throws {
    let resolved = try await Self.resolve([peer])
    try await ask { core in
      for peer in resolved { try Self.list(peer, in: &core.node, now: core.now) }
    }
  }

  /// Forgets a peer: its session and its streams end at once. Does nothing when it is not listed.
  public func remove(_ key: PublicKey) async {
    try? await ask { core in
      if let peer = core.node.peer(for: key) {
        core.failCalls(to: peer) { .disconnected($0, .peerRemoved) }
        core.node.removePeer(peer, now: core.now)
      }
    }
  }

  /// Measures the round trip to a peer over the path in use, connecting first if need be.
  public func ping(_ key: PublicKey, timeout: Duration = .seconds(5)) async throws -> Pong {
    _ = try await connect(key, .ping, timeout: timeout)
    let gate = Gate<Pong>()
    guard mailbox.post({ core in core.ping(key, deadline: core.now + timeout, gate: gate) }) else {
      throw MeshError.closed
    }
    return try await gate.value()
  }

  /// The state of the node and of all its peers.
  public func status() async throws -> MeshStatus {
    try await ask { [addresses, backends] core in core.status(addresses: addresses, backends: backends) }
  }

  /// Tells all peers, ends all streams and gives the port back. Harmless when it is closed already.
  ///
  /// - Parameter grace: how long to wait before that until the peers have everything that was written to streams that are
  ///   finished, and every message. No peer can open streams meanwhile.
  public func close(grace: Duration = .zero) async {
    if grace > .zero {
      let gate = Gate<Void>()
      if post({ core in core.drain(until: core.now + grace, gate: gate) }) {
        // Whatever comes of it, what follows is the end.
        try? await Task.detached { try await gate.value() }.value
      }
    }
    reporting?.cancel()
    await reporting?.value
    mailbox.post { $0.stop() }
    await thread.finished()
    await timestamps?.flushed()
  }

  /// Runs `body` on the engine thread and waits for its result.
  private func ask<Value: Sendable>(_ body: @escaping @Sendable (EngineCore) throws -> Value) async throws -> Value {
    let gate = Gate<Value>()
    guard mailbox.post({ core in gate.settle(Result { try body(core) }) }) else { throw MeshError.closed }
    return try await gate.value()
  }

  /// Reports until the task is cancelled, and then once more.
  private static func report(to factory: any MetricsFactory, every interval: Duration, from mailbox: Mailbox) async {
    var metrics = MeshMetrics(factory)
    while true {
      let isLast = (try? await Task.sleep(for: interval)) == nil
      let gate = Gate<NodeTotals>()
      guard mailbox.post({ core in gate.settle(.success(core.node.totals)) }) else { return }
      // The answer is waited for though this task may be cancelled.
      guard let totals = try? await Task.detached(operation: { try await gate.value() }).value else { return }
      metrics.record(totals)
      if isLast { return }
    }
  }
}

extension Mesh: Service {
  /// Runs until a graceful shutdown or the task's cancellation, then closes.
  public func run() async throws {
    try? await gracefulShutdown()
    await close()
  }
}

/// The answer to a ping.
public struct Pong: Equatable, Sendable {
  public let roundTrip: Duration
  public let path: Path
}

/// The way that packets take to a peer.
public enum Path: Equatable, Sendable, CustomStringConvertible {
  case direct(SocketAddress)

  public var description: String {
    switch self {
    case .direct(let address): "direct \(address)"
    }
  }
}
