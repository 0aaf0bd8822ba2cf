internal import MeshCrypto
internal import MeshPrimitives

/// What a device knows of one peer. Internal: outside, a peer is its ``PeerID``.
final class Peer {
  let id: PeerID
  let publicKey: PublicKey
  let isStranger: Bool
  var presharedKey: PresharedKey
  var persistentKeepalive: Int64

  /// Where packets for the peer go.
  var endpoint: SocketAddress?
  /// Whether authenticated packets from another address move `endpoint`.
  var roams = true
  /// Counters that the replay window of the next key pair spans.
  var replayWindow = 8128

  /// DH(own static, peer's static), computed at the first handshake.
  var staticStatic: SharedSecret?
  /// The timestamp of the newest accepted initiation.
  var greatestTimestamp = TAI64N.zero
  var lastAcceptedInitiation: Instant?
  /// When we last sent an initiation or a response.
  var lastHandshakeSent: Instant?

  var pending: PendingInitiation?
  var answered: AnsweredInitiation?
  var current: KeyPair?
  var previous: KeyPair?
  /// Keys that we as the responder derived and the peer has not confirmed.
  var next: KeyPair?

  var cookies = CookieHolder()
  var timers = PeerTimers()
  /// Retries of the handshake under way.
  var retries = 0
  var sentLastMinuteHandshake = false
  /// Plaintexts that wait for a key, oldest first; at most 128.
  var staged: [(plaintext: [UInt8], address: SocketAddress?)] = []

  // What `nextTransmit` owes this peer.
  var isReady = false
  var owesInitiation = false
  var owesCopy = false
  var owesKeepalive = false

  var statistics = PeerStatistics()

  init(id: PeerID, configuration: consuming PeerConfiguration, isStranger: Bool) {
    self.id = id
    publicKey = configuration.publicKey
    endpoint = configuration.endpoint
    persistentKeepalive = configuration.persistentKeepalive?.wholeNanoseconds ?? 0
    presharedKey = configuration.presharedKey
    self.isStranger = isStranger
  }

  /// The key pair that `index` names, if any.
  func keyPair(_ index: UInt32) -> KeyPair? {
    if let current, current.localIndex == index { return current }
    if let next, next.localIndex == index { return next }
    if let previous, previous.localIndex == index { return previous }
    return nil
  }
}

/// An initiation that we sent and that has not been answered.
final class PendingInitiation {
  let localIndex: UInt32
  let noise: NoiseInitiator
  var message: [UInt8]
  let sent: Instant
  /// Copies of the same bytes sent after the first.
  var copies = 0

  init(localIndex: UInt32, noise: consuming NoiseInitiator, message: [UInt8], sent: Instant) {
    self.localIndex = localIndex
    self.noise = noise
    self.message = message
    self.sent = sent
  }

  /// Whether an answer is still taken: for somewhat longer than until the next initiation.
  func isOpen(at now: Instant) -> Bool { now.nanoseconds(since: sent) < 6_000_000_000 }

  /// When the copies go out, in nanoseconds after the first.
  static let copyTimes: [Int64] = [300_000_000, 1_000_000_000, 2_500_000_000]
}

/// The last initiation of a peer that we accepted, and what we answered.
struct AnsweredInitiation {
  /// Names the initiation: a MAC over all that is fixed in it.
  let mac1: Tag16
  let response: [UInt8]
  let at: Instant
  /// Identical copies that were answered again.
  var ways = 0

  static let lifetime: Int64 = 5_000_000_000
  static let maximumWays = 4
}
