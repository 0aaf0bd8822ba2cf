public import MeshPrimitives
public import MeshSTUN

extension TURNClient {
  public struct Configuration: Sendable {
    public var server: SocketAddress
    public var username: String
    public var password: String
    public var transport = STUNTransport.datagram
    /// Which relayed addresses to ask for. Both: ADDITIONAL-ADDRESS-FAMILY, one allocation with two addresses.
    public var families = Families.v4
    /// What to ask for; the server's choice without.
    public var lifetime: Duration?
    /// Asks for an even port, and with `.pair` for the next one to be kept.
    public var evenPort: EvenPort?
    /// The token of a port that was kept.
    public var reservationToken: [UInt8]?
    /// Asks for relayed packets that routers do not fragment.
    public var dontFragment = false
    public var timing = RetransmissionTiming()
    public var maximumPeers = 64
    public var maximumChannels = 64

    public init(server: SocketAddress, username: String, password: String) {
      self.server = server
      self.username = username
      self.password = password
    }
  }

  public enum Families: Sendable { case v4, v6, both }
  public enum EvenPort: Sendable { case single, pair }

  /// What the server gave.
  public struct Relayed: Equatable, Sendable {
    /// One address, or with `.both` up to two: IPv4 first.
    public var addresses: [SocketAddress]
    /// Our address as the server sees it.
    public var mappedAddress: SocketAddress
    public var lifetime: Duration
    /// The token of the next port, if it was asked for.
    public var reservationToken: [UInt8]?
    public var server: SocketAddress
  }

  public enum Failure: Equatable, Sendable {
    case timedOut
    /// Responses came, but none with a right integrity code.
    case integrityCheckViolated
    /// The server's error: 486 and 508 may pass when tried again later, 437 from another port.
    case rejected(STUNErrorCode)
    case refused(ClientAuthentication.Refusal)
    case malformed
    case unknownAttributes([AttributeType])
    case badRedirection
  }

  public enum Event: Equatable, Sendable {
    case allocated(Relayed)
    /// There is no allocation, or no longer. Nothing more is sent.
    case failed(Failure)
    /// Freed as was asked.
    case freed
    /// Data to and from the address passes now.
    case permitted(IPAddress)
    /// Data to the peer goes over a channel now.
    case channelBound(SocketAddress, UInt16)
    /// The server does not let data pass to or from the address (403, 443, 508).
    case refusedPeer(IPAddress, STUNErrorCode)
    /// An ICMP error came for data that went to the peer.
    case unreachable(SocketAddress, type: UInt8, code: UInt8)
  }

  /// What a datagram held.
  public enum Received: Equatable, Sendable {
    /// Data of a peer, which lies there in the datagram.
    case data(Range<Int>, from: SocketAddress)
    /// Something of TURN's own.
    case control
    /// Nothing of this allocation.
    case ignored
  }
}
