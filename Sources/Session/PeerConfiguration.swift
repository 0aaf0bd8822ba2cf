public import MeshCrypto
public import MeshPrimitives

/// A handle for a peer of a ``Device``. Handles are never used twice while the device lives.
public struct PeerID: Hashable, Sendable {
  /// A small number that is used again when the peer has been removed: an index for arrays of the caller's.
  public let slot: UInt32
  let generation: UInt32
}

/// A peer to be listed in a ``Device``.
public struct PeerConfiguration: ~Copyable, Sendable {
  public var publicKey: PublicKey
  public var presharedKey: PresharedKey
  /// Where the peer is, if that is known.
  public var endpoint: SocketAddress?
  /// An empty packet is sent when nothing else was for so long; 1 to 65,535 s.
  public var persistentKeepalive: Duration?

  public init(
    publicKey: PublicKey, presharedKey: consuming PresharedKey = PresharedKey(), endpoint: SocketAddress? = nil,
    persistentKeepalive: Duration? = nil
  ) {
    self.publicKey = publicKey
    self.presharedKey = presharedKey
    self.endpoint = endpoint
    self.persistentKeepalive = persistentKeepalive
  }
}

/// Why a peer could not be added.
public enum PeerError: Error, Equatable, Sendable {
  /// The key is the device's own.
  case ownKey
  /// The key is listed already.
  case alreadyListed
  /// The key has low order: no secret can be shared with it.
  case lowOrderKey
  /// The device has as many peers as its configuration allows.
  case tableFull(limit: Int)
}

/// How much went through a session, or through all of them.
public struct Traffic: Equatable, Sendable {
  /// UDP payload of authenticated packets, in bytes.
  public internal(set) var receivedBytes: UInt64 = 0
  public internal(set) var sentBytes: UInt64 = 0
  public internal(set) var receivedPackets: UInt64 = 0
  public internal(set) var sentPackets: UInt64 = 0
  /// Handshakes completed.
  public internal(set) var handshakes: UInt64 = 0

  public init() {}

  mutating func countReceived(_ bytes: Int, packets: Int = 1) {
    receivedBytes &+= UInt64(bytes)
    receivedPackets &+= UInt64(packets)
  }

  mutating func countSent(_ bytes: Int, packets: Int = 1) {
    sentBytes &+= UInt64(bytes)
    sentPackets &+= UInt64(packets)
  }
}

/// Figures of one peer since it was added.
public struct PeerStatistics: Sendable {
  public internal(set) var traffic = Traffic()
  /// When the last handshake was completed.
  public internal(set) var lastHandshake: Instant?
  /// Staged packets that were dropped because their queue was full or the handshake was given up.
  public internal(set) var droppedStaged: UInt64 = 0

  public init() {}
}
