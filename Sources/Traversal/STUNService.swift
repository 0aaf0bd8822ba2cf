internal import MeshCrypto
public import MeshPrimitives
public import MeshRuntime
public import MeshSTUN
internal import Synchronization

/// A STUN server on UDP sockets (RFC 8489); with two addresses also for NAT behaviour discovery (RFC 5780).
///
/// ```swift
/// let service = try STUNService(STUNService.Configuration())
/// print("answering on", service.addresses)
/// await service.finished()  // until the task is cancelled
/// ```
public final class STUNService: Sendable {
  public struct Configuration: Sendable {
    public var port: UInt16 = 3478
    /// The second port, for RFC 5780; 0 for any free one.
    public var otherPort: UInt16 = 3479
    /// None: all addresses of this machine. One: that one. Two of one family: also RFC 5780.
    public var addresses: [IPAddress] = []
    /// Requests per second and source, and how many may come at once.
    public var requestsPerSecond = 20
    public var burst = 40

    public init() {}
  }

  /// What was done since the start.
  public struct Statistics: Sendable {
    public var answered: UInt64 = 0
    public var drops = ReasonCounters<BindingServer.Drop>()
  }

  /// What the sockets are bound to: one, or four with RFC 5780.
  public let addresses: [SocketAddress]
  private let worker: WorkerThread
  private let shared: Shared

  private final class Shared: Sendable {
    let statistics = Mutex(Statistics())
  }

  /// Binds the sockets and begins to answer.
  /// - Precondition: at most two addresses, of one family and different.
  /// - Throws: `SocketError` when a port is in use or an address is not this machine's.
  public init(_ configuration: Configuration) throws(SocketError) {
    let hosts = configuration.addresses
    precondition(
      hosts.count <= 2 && Set(hosts).count == hosts.count && Set(hosts.map(\.family)).count <= 1,
      "a STUN server has up to two addresses of one family")
    let group = try SocketGroup()
    var settings = BindingServer.Configuration()
    settings.requestsPerSecond = configuration.requestsPerSecond
    settings.burst = configuration.burst
    if hosts.count == 2 {
      var port = configuration.port
      var otherPort = configuration.otherPort
      for host in hosts {
        port = group.local(try group.open(port: port, address: host)).port
        otherPort = group.local(try group.open(port: otherPort, address: host)).port
      }
      settings.addresses = (0..<4).map { group.local($0) }
    } else {
      _ = try group.open(port: configuration.port, address: hosts.first)
    }
    addresses = (0..<(hosts.count == 2 ? 4 : 1)).map { group.local($0) }
    var entropy = SystemEntropy()
    let loop = Loop(group, BindingServer(settings, entropy: &entropy))
    let shared = Shared()
    self.shared = shared
    worker = try WorkerThread("pnet-stun", group.doorbell, loop) { $0.run(until: $1, shared) }
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

  private final class Loop {
    let group: SocketGroup
    var server: BindingServer

    init(_ group: SocketGroup, _ server: BindingServer) {
      self.group = group
      self.server = server
    }

    func run(until stop: WorkerThread.Stop, _ shared: Shared) {
      // Figures that nobody was told yet are told a second after the last ones.
      var told = MonotonicClock.now
      var hasNews = false
      while !stop.isRequested {
        group.wait(until: hasNews ? told + .seconds(1) : nil)
        let now = MonotonicClock.now
        group.receive { number, message, datagram in
          hasNews = true
          var reply: BindingServer.Reply?
          let answer = [UInt8](capacity: BindingServer.maximumSize) { output in
            reply = server.respond(to: datagram.bytes, from: message.source, on: number, now: now, into: &output)
          }
          guard let reply else { return }
          // From the address that was asked, where one socket has all of them.
          let source = reply.socket == number && server.configuration.addresses.isEmpty ? message.local : nil
          group.send(answer.bytes, from: reply.socket, to: reply.destination, source: source)
        }
        if hasNews, now >= told + .seconds(1) || stop.isRequested {
          told = now
          hasNews = false
          shared.statistics.withLock { $0 = Statistics(answered: server.answered, drops: server.drops) }
        }
      }
    }
  }
}
