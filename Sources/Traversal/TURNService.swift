internal import MeshCrypto
public import MeshPrimitives
public import MeshRuntime
public import MeshSTUN
public import MeshTURN
internal import Synchronization

/// A TURN server on UDP and TCP sockets (RFC 8656).
///
/// ```swift
/// var configuration = TURNService.Configuration(users: users)
/// configuration.server.relayV4 = IPAddress("192.0.2.1")
/// let service = try TURNService(configuration)
/// await service.finished()  // until the task is cancelled
/// ```
///
/// One thread does all: datagrams are received in batches, relayed in place, and leave in runs, as in the engine of a node.
public final class TURNService: Sendable {
  public struct Configuration: Sendable {
    public var port: UInt16 = 3478
    /// Where clients are listened to; `nil` for all addresses of this machine.
    public var address: IPAddress?
    public var acceptsTCP = true
    public var users: UserDirectory
    public var server = TURNServer.Configuration()

    public init(users: UserDirectory) { self.users = users }
  }

  /// What was done since the start.
  public struct Statistics: Sendable {
    public var allocations = 0
    public var packetsToPeers: UInt64 = 0
    public var packetsToClients: UInt64 = 0
    public var drops = ReasonCounters<TURNServer.Drop>()
  }

  /// What clients are listened to on, for UDP and TCP alike.
  public let local: SocketAddress
  private let worker: WorkerThread
  private let shared: Shared

  private final class Shared: Sendable {
    let statistics = Mutex(Statistics())
  }

  /// Binds the sockets and begins to serve.
  /// - Throws: `SocketError` when a port is in use or an address is not this machine's.
  public init(_ configuration: Configuration) throws(SocketError) {
    let group = try SocketGroup()
    let listener = try group.open(port: configuration.port, address: configuration.address)
    local = group.local(listener)
    let streams =
      configuration.acceptsTCP
      ? try StreamClients(group, port: local.port, address: configuration.address) : nil
    let server = TURNServer(
      configuration.server, users: configuration.users, entropy: SystemEntropy(), now: MonotonicClock.now)
    let loop = TURNLoop(group, listener: listener, streams: streams, server)
    let shared = Shared()
    self.shared = shared
    worker = try WorkerThread("pnet-turn", group.doorbell, loop) { loop, stop in
      loop.run(until: stop) { statistics in shared.statistics.withLock { $0 = statistics } }
    }
  }

  /// What was done so far: at most a second old.
  public var statistics: Statistics { shared.statistics.withLock { $0 } }

  /// Waits until the server has stopped; a task that is cancelled stops it.
  public func finished() async { await worker.finished() }

  /// Stops the server and gives its ports back.
  public func close() async {
    worker.stop.request()
    await worker.finished()
  }
}
