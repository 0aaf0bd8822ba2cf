internal import Logging
internal import MeshNode
public import MeshPrimitives
public import MeshRuntime
internal import Synchronization

/// A node in this process.
public final class LocalNode: NodeAccess {
  public let mesh: Mesh
  private let onStop: @Sendable () -> Void
  private let services = Mutex<Set<String>>([])

  /// How a node is set up, from flags, environment and file.
  public struct Settings: Sendable {
    public var identity: Identity
    public var port: UInt16 = 0
    public var peers: [Peer] = []
    public var addresses: [IPAddress] = []
    public var mtu: Int?
    public var acceptsAny = false
    /// Services that the node will ``LocalNode/serve(_:from:_:)``: open from the first packet on, so that nobody who knocks
    /// before that is turned away.
    public var services: [String: ServedPeers] = [:]
    /// Where to keep the last handshake's timestamp; `nil`: nowhere.
    public var stateDirectory: String?

    public init(identity: Identity) { self.identity = identity }
  }

  /// - Parameter onStop: What ``stop()`` does: end the process's own work.
  public init(_ settings: Settings, onStop: @escaping @Sendable () -> Void = {}) async throws {
    var configuration = Mesh.Configuration()
    configuration.addresses = settings.addresses
    if let mtu = settings.mtu { configuration.mtu = mtu }
    configuration.acceptance = settings.acceptsAny ? .any : .listed
    configuration.services = settings.services.mapValues(\.access)
    configuration.stateDirectory = settings.stateDirectory
    configuration.logger = Logger(label: "pnet") { _ in SwiftLogNoOpLogHandler() }
    mesh = try await Mesh(
      identity: settings.identity, listening: settings.port, peers: settings.peers, configuration: configuration)
    self.onStop = onStop
  }

  public func status() async throws -> MeshStatus { try await mesh.status() }

  public func ping(_ key: PublicKey, timeout: Duration) async throws -> PingReply {
    let pong = try await mesh.ping(key, timeout: timeout)
    return PingReply(milliseconds: Double(pong.roundTrip.wholeNanoseconds) / 1e6, path: pong.path.description)
  }

  public func open(_ service: String, at key: PublicKey, timeout: Duration) async throws -> any NodeStream {
    LocalStream(try await mesh.open(service, at: key, timeout: timeout))
  }

  public func serve(
    _ service: String, from access: ServedPeers, _ handler: @escaping @Sendable (any NodeStream) async -> Void
  ) async throws {
    guard services.withLock({ $0.insert(service).inserted }) else {
      throw Failure("the service \(TextScan.quoted(service)) is served already by this node")
    }
    defer { services.withLock { _ = $0.remove(service) } }
    try await withThrowingDiscardingTaskGroup { group in
      let running = TaskCount(limit: ServiceLimits.streams)
      for await stream in mesh.incoming(service, from: access.access) {
        await running.enter()
        group.addTask {
          await handler(LocalStream(stream))
          running.leave()
        }
      }
      try Task.checkCancellation()
      group.cancelAll()
      throw Failure("the node was ended")
    }
  }

  public func add(_ peer: PeerArgument) async throws { try await mesh.add(Peer(peer.key, at: peer.endpoint)) }

  public func remove(_ key: PublicKey) async throws { await mesh.remove(key) }

  /// `nil`: it is in this process.
  public func usage() async throws -> ProcessUsage? { nil }

  public func stop() async throws { onStop() }

  public func close() async { await mesh.close() }
}

extension ServedPeers {
  fileprivate var access: ServiceAccess {
    switch self {
    case .peers: .peers
    case .any: .any
    case .keys(let keys): .keys(Set(keys.compactMap { PublicKey($0) }))
    }
  }
}

/// A stream of a node in this process.
struct LocalStream: NodeStream {
  private let stream: MeshStream

  init(_ stream: MeshStream) { self.stream = stream }

  var peer: PublicKey { stream.peer }
  func read(upTo count: Int) async throws -> [UInt8]? { try await stream.read(upTo: count) }
  func write(_ bytes: [UInt8]) async throws { try await stream.write(bytes) }
  func finish() async throws { try await stream.finish() }
  func flushed() async throws { try await stream.flushed() }
  func reset() { stream.reset() }
}
