internal import MeshPrimitives
public import MeshReliability
public import MeshSimulation

/// All that decides a run: who there is, what lies between them, what they send, what befalls them. The same scenario with
/// the same seed gives the same run, packet for packet.
///
/// It is a value; ``init(parsing:)`` reads it from text, and ``random(seed:)`` makes one up.
public struct Scenario: Equatable, Sendable {
  /// How messages of ``MessageTraffic`` travel.
  public enum Carrier: String, CaseIterable, Sendable {
    /// As messages, one behind the other.
    case message
    /// As messages on lanes in turn, in any order.
    case unordered
    /// As datagrams, which may be lost.
    case datagram
    /// All messages to a neighbour in one stream, one behind the other.
    case stream
    /// Each in a stream of its own.
    case streams
  }

  /// What every node does all the time: a message to one of its neighbours, in turn.
  public struct MessageTraffic: Equatable, Sendable {
    /// Bytes.
    public var size = 200
    public var interval = Duration.seconds(1)
    public var carrier = Carrier.message

    public init() {}
  }

  /// A path that differs from all others, in one direction.
  public struct Path: Equatable, Sendable {
    public let sender: Int
    public let receiver: Int
    public var conditions: LinkConditions

    public init(from sender: Int, to receiver: Int, _ conditions: LinkConditions) {
      (self.sender, self.receiver, self.conditions) = (sender, receiver, conditions)
    }
  }

  /// What lies between a host and all others, in one direction: its packets pass it besides the path.
  public struct Access: Equatable, Sendable {
    public let host: Int
    /// From the host to the network, or to it.
    public let isUplink: Bool
    public var conditions: LinkConditions

    public init(of host: Int, isUplink: Bool, _ conditions: LinkConditions) {
      (self.host, self.isUplink, self.conditions) = (host, isUplink, conditions)
    }
  }

  /// A NAT in front of one host.
  public struct Home: Equatable, Sendable {
    public let host: Int
    public var behaviour: NATBehaviour
    /// Whether its NAT lies behind another one, which all such hosts share.
    public var isBehindCarrier: Bool

    public init(of host: Int, _ behaviour: NATBehaviour, isBehindCarrier: Bool = false) {
      (self.host, self.behaviour, self.isBehindCarrier) = (host, behaviour, isBehindCarrier)
    }
  }

  /// Another address of a host that is behind no NAT.
  public struct SecondWay: Equatable, Sendable {
    public let host: Int
    public var isIPv6: Bool
    /// Of all paths from and to that address.
    public var conditions: LinkConditions

    public init(of host: Int, isIPv6: Bool, _ conditions: LinkConditions) {
      (self.host, self.isIPv6, self.conditions) = (host, isIPv6, conditions)
    }
  }

  /// One of the addresses of a host.
  public enum Way: String, CaseIterable, Sendable { case first, second }

  /// Something that befalls a host or the network.
  public enum Action: Equatable, Sendable {
    /// The process of the node ends at once; nothing of its state is left but key and last timestamp.
    case crash(Int)
    case restart(Int)
    /// The machine stands still; its clock goes on.
    case sleep(Int)
    case wake(Int)
    /// The host gets another address; behind a NAT, its NAT does.
    case move(Int)
    /// The NAT in front of the host loses its mappings.
    case resetNAT(Int)
    /// These hosts and all others do not reach each other.
    case partition([Int])
    case heal
    /// From now on the path from one to the other is so.
    case path(Path)
    /// From now on all paths are so, but for those that were set one by one.
    case link(LinkConditions)
    /// Parts in a million that the host's clock is fast.
    case skew(Int, Int64)
    /// Nanoseconds that the host's wall clock is ahead.
    case wall(Int, Int64)
    /// A stream of so many bytes to a neighbour.
    case transfer(from: Int, to: Int, bytes: UInt64)
    /// The interface with this address of the host goes down, or up again.
    case cut(Int, Way)
    case mend(Int, Way)
    /// No messages are sent any more, or again.
    case silence
    case speak
  }

  public struct Event: Equatable, Sendable {
    /// Since the start of the run.
    public let time: Duration
    public let action: Action

    public init(at time: Duration, _ action: Action) { (self.time, self.action) = (time, action) }
  }

  public var name = ""
  public var seed: UInt64 = 1
  public var duration = Duration.seconds(60)
  public var topology = Topology(.ring, nodes: 8)
  /// Of every path that is not among ``paths``, in each direction.
  public var conditions: LinkConditions
  public var paths: [Path] = []
  public var accesses: [Access] = []
  public var homes: [Home] = []
  public var secondWays: [SecondWay] = []
  public var messages: MessageTraffic?
  public var events: [Event] = []
  public var congestion = CongestionAlgorithm.cubic
  /// Keepalives of hosts behind a NAT.
  public var keepalive = Duration.seconds(25)
  /// Whether neighbours connect at the start. Else they only know of each other.
  public var connects = true
  /// How long after the last fault everything must flow again; `nil`: it need not.
  public var recovery: Duration? = .seconds(60)
  /// Whether copies of packets come from addresses of nobody, and garbage; none must get more than it is due.
  public var hasAttacker = false

  public init() {
    conditions = LinkConditions()
    conditions.delay = .milliseconds(10)
  }

  /// When the last thing happens that can hinder traffic.
  public var lastFault: Duration {
    events.reduce(.zero) { last, event in
      switch event.action {
      case .transfer, .silence, .speak, .skew, .wall: last
      default: max(last, event.time)
      }
    }
  }
}
