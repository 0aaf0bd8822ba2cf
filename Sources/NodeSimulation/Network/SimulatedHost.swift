internal import MeshCrypto
internal import MeshNode
internal import MeshPrimitives
internal import MeshSession

/// One host: a node, its place in the network, and the application on it.
final class SimulatedHost {
  enum State { case up, asleep, down }

  let index: Int
  /// What its key is made from, each time that it starts.
  let keySeed: UInt64
  let publicKey: PublicKey
  var node: Node
  var state = State.up
  var clock: HostClock
  /// Its addresses: one, or two.
  var ways: [HostWay]
  var realm: Int
  /// When it last crashed, started, slept, woke up or moved.
  var disturbedAt = Instant(nanoseconds: .min)
  var moves = 0
  var restarts = 0
  var sleptSince: Instant?
  /// Which side of a partition it is on.
  var side: UInt8 = 0

  var conversations: [Conversation] = []
  /// The conversation of each peer, by the slot of the node's handle; -1: none.
  var conversationBySlot: [Int] = []
  /// Flows that this host sends, and those that it receives, by the stream that carries them.
  var sending: [StreamHandle: Int] = [:]
  var receiving: [StreamHandle: Int] = [:]
  /// Streams that were opened here and have not told which flow they are.
  var unnamed: Set<StreamHandle> = []
  /// When the application wants to do something, by the true time; the earliest of its conversations and messages.
  var applicationDue = Instant.distantFuture
  var nextMessage = Instant.distantFuture
  /// Whose turn it is to get a message.
  var turn = 0
  /// What it was woken up for at one instant, and how often: a deadline that stays in the past would never end.
  var wokenAt = Instant(nanoseconds: .min)
  var wakes = 0
  /// Handshakes of nodes that are gone.
  var pastHandshakes: UInt64 = 0
  /// By the endpoint of others: what came from there and went there. Only where this is watched.
  var balances: [SocketAddress: Balance] = [:]

  init(index: Int, keySeed: UInt64, node: consuming Node, clock: HostClock, address: SocketAddress, realm: Int) {
    self.index = index
    self.keySeed = keySeed
    publicKey = node.publicKey
    self.node = node
    self.clock = clock
    ways = [HostWay(address: address, since: Instant(nanoseconds: .min))]
    self.realm = realm
  }

  /// The first of its addresses.
  var address: SocketAddress { ways[0].address }

  /// The way with this address.
  func way(at address: SocketAddress) -> Int? { ways.firstIndex { $0.address.address == address.address } }

  var isBehindNAT: Bool { realm > 0 }

  func conversation(of id: PeerID) -> Int? {
    guard Int(id.slot) < conversationBySlot.count, conversationBySlot[Int(id.slot)] >= 0 else { return nil }
    return conversationBySlot[Int(id.slot)]
  }
}

/// Bytes from and to one address.
struct Balance {
  var received: Int64 = 0
  var sent: Int64 = 0
}

/// What the application of a host has to do with one neighbour.
struct Conversation {
  let other: Int
  var peer: PeerID?
  /// Whether this side is the one that dials first.
  let dials: Bool
  var isConnected = false
  /// When that began.
  var connectedAt = Instant(nanoseconds: .min)
  /// When it dials again; `.distantFuture`: there is nothing to do.
  var dialAt = Instant.distantFuture
  var failures = 0
  /// The flow of messages to the neighbour, while there is one.
  var flow = -1
  /// When the newest message that arrived was sent; checked after faults.
  var deliveredSent = Instant(nanoseconds: .min)
  /// Messages that have not come, oldest first; when one last came, and the newest of the ordered ones that did.
  var letters = NumberQueue()
  var deliveredAt = Instant(nanoseconds: .min)
  var lastOrdered = -1
  /// Bytes to be moved in bulk once there is a connection.
  var transfers: [UInt64] = []
}
