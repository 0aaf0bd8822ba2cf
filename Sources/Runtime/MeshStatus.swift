/// The state of a node, for people and scripts. Times are in the units that the names say.
public struct MeshStatus: Codable, Equatable, Sendable {
  /// Which implementation encrypts packets of up to so many bytes.
  public struct Backend: Codable, Equatable, Sendable {
    public var upTo: Int?
    public var backend: String
  }

  public struct Peer: Codable, Equatable, Sendable {
    public var publicKey: String
    /// `unknown`, `plain` (WireGuard) or `mesh`.
    public var kind: String
    public var isStranger: Bool
    public var isConnected: Bool
    public var endpoint: String?
    public var allowedIPs: [String]
    public var latestHandshakeSecondsAgo: Double?
    /// Handshakes completed with the peer.
    public var handshakes: UInt64
    /// Packets for the peer that were given up before they could be sent.
    public var droppedPackets: UInt64
    public var receivedBytes: UInt64
    public var sentBytes: UInt64
    public var roundTripMilliseconds: Double?
    /// Bytes of UDP payload.
    public var packetSize: Int
    /// Bytes.
    public var congestionWindow: Int?
    public var lostPackets: UInt64
    public var retransmittedBytes: UInt64
    /// Whether our packets ask for marks of congestion (ECN): not any more once the path was seen not to carry them.
    public var usesECN: Bool?
    /// Packets of ours that came to the peer with such a mark.
    public var congestionMarks: UInt64
    public var streams: Int
    /// Whole messages, and datagrams.
    public var messagesSent: UInt64
    public var messagesReceived: UInt64
    public var datagramsSent: UInt64
    public var datagramsReceived: UInt64
    /// Given up on either side, to make room.
    public var datagramsDropped: UInt64
    /// Addresses that were proved to be the peer's; ``endpoint`` is the one in use.
    public var paths: [String]
    /// How often another path was taken.
    public var pathChanges: Int
    /// What the peer calls itself.
    public var software: String
    /// Where the peer sees us.
    public var observedAddress: String?
  }

  public var publicKey: String
  public var port: UInt16
  public var derivedAddress: String
  public var addresses: [String]
  public var backends: [Backend]
  /// Packets dropped, by reason; reasons that did not occur are there with 0.
  public var drops: [String: UInt64]
  public var echoesAnswered: UInt64
  public var peers: [Peer]
}
