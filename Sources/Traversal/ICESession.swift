internal import MeshCrypto
public import MeshICE
public import MeshPrimitives
public import MeshRuntime
internal import Synchronization

/// An ICE agent on sockets, with the signalling left to its user: for interop, and for people who look for faults in
/// networks.
///
/// It gathers candidates (host addresses, what STUN servers see, relays), tells them, waits for the other side's, connects,
/// and then sends small datagrams until it hears one.
///
/// ```swift
/// let session = try ICESession(ICESession.Configuration(role: .controlling))
/// for await event in session.events {
///   if case .gathered(let description) = event { print(description); session.setRemote(theirs) }
/// }
/// ```
public final class ICESession: Sendable {
  public struct Configuration: Sendable {
    public var role: ICERole
    public var stunServers: [SocketAddress] = []
    /// Relays, reached over UDP.
    public var turnServers: [SocketAddress] = []
    public var username = ""
    public var password = ""
    /// Only relayed candidates are told and used.
    public var isRelayOnly = false
    /// Only addresses of these families.
    public var families: [IPAddress.Family] = [.v4, .v6]
    /// From the other side's description on.
    public var limit = Duration.seconds(30)

    public init(role: ICERole) { self.role = role }
  }

  /// What one side tells the other.
  public struct Description: Codable, Equatable, Sendable {
    public var impl: String?
    public var ufrag: String
    public var pwd: String
    /// Lines in the form of SDP.
    public var candidates: [String]
  }

  public enum Event: Equatable, Sendable {
    case gathered(Description)
    /// The kinds of both candidates as SDP has them, and the addresses of the pair.
    case connected(local: String, remote: String, pair: String)
    case data([UInt8])
    /// No pair worked in time.
    case failed
    /// A pair worked, and nothing was heard on it.
    case noData
  }

  /// Ends when the session has.
  public let events: AsyncStream<Event>
  private let worker: WorkerThread
  private let remote: RemoteBox
  private let doorbell: Doorbell

  /// The other side's description on its way to the thread.
  final class RemoteBox: Sendable {
    private let box = Mutex<Description?>(nil)
    func put(_ description: Description) { box.withLock { $0 = description } }
    func take() -> Description? { box.withLock { $0.take() } }
  }

  /// Opens sockets and begins to gather.
  public init(_ configuration: Configuration) throws(SocketError) {
    let group = try SocketGroup()
    let loop = ICELoop(group, configuration)
    let (events, continuation) = AsyncStream.makeStream(of: Event.self)
    let remote = RemoteBox()
    self.events = events
    self.remote = remote
    doorbell = group.doorbell
    worker = try WorkerThread("pnet-ice", group.doorbell, loop) { loop, stop in
      loop.run(until: stop, remote) { continuation.yield($0) }
      continuation.finish()
    }
  }

  /// What the other side has told. Once.
  public func setRemote(_ description: Description) {
    remote.put(description)
    doorbell.ring()
  }

  /// Ends the session.
  public func close() async {
    worker.stop.request()
    await worker.finished()
  }
}
