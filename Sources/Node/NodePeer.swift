internal import MeshPrimitives
internal import MeshReliability
internal import MeshSession

/// What a node knows of one peer above its session.
final class NodePeer {
  let id: PeerID
  let publicKey: PublicKey
  let isStranger: Bool
  /// What we call ourselves towards this peer: the node's incarnation until a connection with the peer has ended. Then it
  /// is drawn anew, or the peer would take the packets of the next connection for old ones.
  var ownIncarnation: UInt64
  var hello = HelloExchange()
  var connection: OpenConnection?
  /// The last connection that ended with something left to be read, and its number.
  var remnant: (number: UInt32, connection: OpenConnection)?
  /// What leaves for the peer besides the packets of its connection, once there was something.
  var egress: EgressQueue?
  /// Counts connections: part of every stream handle.
  var connectionNumber: UInt32 = 0
  /// Number of the first packet of the present connection, or of the next one.
  var firstNumber: UInt64
  /// Both sides know of each other: numbered frames may be sent.
  var isConnected = false
  /// It has most likely thrown its keys away, since it said that it was leaving. Ours are good for nothing until the next
  /// handshake.
  var hasLostKeys = false
  /// Somebody waits for the connection until then.
  var connectDeadline = Instant.distantFuture
  /// The connection has something to say and there are no keys: it ends then.
  var vanishing = Instant.distantFuture
  /// The ways to the peer while it is connected, and which one is in use.
  var paths: [PeerPath] = []
  var activePath = 0
  /// Its address: where nearly all packets come from.
  var activeAddress: SocketAddress?
  /// How often another path was taken.
  var pathChanges = 0
  /// Candidates that the peer's packets made in the second that began then.
  var candidates = 0
  var candidatesSince = Instant(nanoseconds: .min)
  /// Bytes of the longest datagram that the peer takes.
  var longestPacket = MTUDiscovery.maximum
  /// Field numbers of `Packet` that the peer understands, as bits 0 to 63.
  var frames: UInt64 = 0
  var software = ""
  /// Where the peer says that our packets come from.
  var observedAddress: SocketAddress?
  /// Pings under way: at most 16.
  var pings: [(token: UInt64, sent: Instant)] = []
  /// Packets in other than canonical form that may still be read this second.
  var nonCanonicalBudget = 32
  var nonCanonicalSince = Instant(nanoseconds: .min)
  /// The field of `Packet` that the connection was closed for.
  var refusedField: UInt32 = 0
  /// Whether the peer waits in the node's ring of those that may have something to send.
  var isReady = false

  init(id: PeerID, publicKey: PublicKey, isStranger: Bool, incarnation: UInt64, firstNumber: UInt64) {
    self.id = id
    self.firstNumber = firstNumber
    ownIncarnation = incarnation
    self.publicKey = publicKey
    self.isStranger = isStranger
  }

  /// Bytes of a full datagram on the path in use.
  var packetSize: Int { paths.isEmpty ? MTUDiscovery.minimum : paths[activePath].mtu.current }

  var deadline: Instant {
    var earliest = min(hello.due, connectDeadline)
    for (index, path) in paths.enumerated() {
      earliest = min(earliest, path.due)
      if index == activePath { earliest = min(earliest, path.mtu.due) }
    }
    if isConnected { earliest = min(earliest, vanishing) }
    if canAsk, let due = connection?.machine.deadline { earliest = min(earliest, due) }
    return earliest
  }

  /// Whether the connection is up and has not just found that there are no keys: else its timers wait for them, or for the
  /// end that ``vanishing`` is.
  var canAsk: Bool { isConnected && vanishing == .distantFuture }
}

/// A connection has an identity: it is mutated in place, and replaced as a whole.
final class OpenConnection {
  var machine: Connection

  init(_ machine: consuming Connection) { self.machine = machine }
}
