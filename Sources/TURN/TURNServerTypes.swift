public import MeshPrimitives
public import MeshSTUN

/// How a client is reached: what RFC 8656 calls the 5-tuple, less what the caller knows of it.
@frozen
public struct ClientPath: Hashable, Sendable {
  /// The client's address.
  public let address: SocketAddress
  /// The number of the server's socket that the client talks to, or of the client's connection, as the caller counts them.
  public let socket: UInt32
  public let transport: STUNTransport

  @inlinable public init(_ address: SocketAddress, socket: UInt32 = 0, transport: STUNTransport = .datagram) {
    self.address = address
    self.socket = socket
    self.transport = transport
  }
}

/// The number of a relayed socket. Not used again soon after the socket was closed.
@frozen
public struct RelayID: Hashable, Sendable {
  public let rawValue: UInt32
  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  static let slotBits: UInt32 = 20
  var slot: Int { Int(rawValue & (1 << Self.slotBits - 1)) }

  init(slot: Int, generation: UInt32) { rawValue = generation << Self.slotBits | UInt32(slot) }
}

extension TURNServer {
  public struct Configuration: Sendable {
    /// The addresses that relayed sockets get; one of each family at most. Without, requests for the family get 440.
    public var relayV4: IPAddress?
    public var relayV6: IPAddress?
    /// Ports of relayed sockets.
    public var ports: ClosedRange<UInt16> = 49_152...65_535
    /// Addresses of the server itself, which are refused as peers (those of ``relayV4`` and ``relayV6`` too, but for sockets
    /// that this server relays for).
    public var ownAddresses: [IPAddress] = []
    public var peers = PeerAddressRules()
    /// Of an allocation that asks for none, and the longest that is granted.
    public var defaultLifetime = Duration.seconds(600)
    public var maximumLifetime = Duration.seconds(3600)
    public var nonceLifetime = Duration.seconds(600)
    public var maximumAllocations = 10_000
    public var allocationsPerUser = 10
    /// Per allocation.
    public var maximumPermissions = 64
    public var maximumChannels = 64
    /// Requests per second and source, and how many may come at once.
    public var requestsPerSecond = 50
    public var burst = 100
    public var sources = 8192
    /// Bytes per second that an allocation may relay, both ways together; `nil` for no limit. A second's worth may come at once.
    public var bytesPerSecond: Int?
    /// Where clients are sent (300) when all allocations are taken.
    public var alternateServer: SocketAddress?
    /// Whether the relayed sockets can send with DF set; otherwise DONT-FRAGMENT gets 420.
    public var supportsDontFragment = true
    public var software: String?

    public init() {}
  }

  /// What to do with a datagram that was handed over.
  @frozen
  public enum Action: Equatable, Sendable {
    /// Nothing; it was dropped and counted, or answered by way of ``TURNServer/nextTransmit(into:)``.
    case none
    /// Send these bytes of the buffer from a relayed socket to a peer.
    case toPeer(Range<Int>, from: RelayID, to: SocketAddress)
    /// Send these bytes of the buffer to a client.
    case toClient(Range<Int>, ClientPath)
  }

  public enum Event: Equatable, Sendable {
    /// Open a UDP socket at this address, and say how it went with ``TURNServer/opened(_:now:)`` or
    /// ``TURNServer/failedToOpen(_:now:)``.
    case open(RelayID, SocketAddress)
    /// Close it.
    case close(RelayID)
    /// For logs and counts.
    case allocated(ClientPath, user: [UInt8], relayed: SocketAddress)
    case freed(ClientPath, user: [UInt8], bytesToPeers: UInt64, bytesToClient: UInt64)
  }

  /// Why something was dropped, or refused with which error.
  public enum Drop: UInt8, CaseIterable, Sendable {
    /// Neither STUN nor ChannelData.
    case notTURN
    /// A response, or an indication of another method than Send.
    case unexpectedMessage
    case wrongFingerprint
    case rateLimited
    /// Send, data on a channel, or data for a relayed socket that nobody has.
    case noAllocation
    /// Data on a channel that is not bound.
    case unknownChannel
    /// Data to or from a peer without permission.
    case noPermission
    /// An indication without what it must have.
    case malformed
    /// The bytes do not fit into the buffer with their header.
    case noRoom
    /// The allocation has used up its bytes per second.
    case overRate
    /// The queue of answers is full.
    case answersFull
    // Refused:
    case badRequest
    case unauthenticated
    case forbidden
    case unknownAttribute
    case allocationMismatch
    case staleNonce
    case familyNotSupported
    case wrongCredentials
    case unsupportedTransport
    case familyMismatch
    case quotaReached
    case insufficientCapacity
    case redirected
  }
}
