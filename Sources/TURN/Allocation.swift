internal import MeshPrimitives
internal import MeshSTUN

/// What a client has on a server.
struct Allocation {
  struct Permission {
    var address: IPAddress
    var expiry: Int64
  }

  struct Channel {
    var number: UInt16
    var peer: SocketAddress
    var expiry: Int64
  }

  enum Stage { case opening, open }

  let path: ClientPath
  let user: [UInt8]
  /// Of the Allocate request, so that a copy of it gets the same answer.
  let transactionID: TransactionID
  let key: IntegrityKey
  let algorithm: IntegrityAlgorithm
  var stage = Stage.opening
  var expiry: Int64
  /// Seconds that were granted.
  var lifetime: UInt32
  var relayV4: RelayID?
  var relayV6: RelayID?
  /// The error for ADDRESS-ERROR-CODE.
  var missingV6 = false
  var token: UInt64?
  /// Whether the client's request had a fingerprint.
  var wantsFingerprint: Bool
  var permissions: [Permission] = []
  var channels: [Channel] = []
  var bytesToPeers: UInt64 = 0
  var bytesToClient: UInt64 = 0
  /// When the bucket of bytes is full again, in nanoseconds.
  var fullAt = Int64.min

  func relay(_ family: IPAddress.Family) -> RelayID? { family == .v4 ? relayV4 : relayV6 }

  func isPermitted(_ address: IPAddress, _ now: Int64) -> Bool {
    for permission in permissions where permission.address == address { return permission.expiry > now }
    return false
  }

  /// The channel that is bound to `peer`.
  func channel(to peer: SocketAddress, _ now: Int64) -> UInt16? {
    for channel in channels where channel.peer == peer { return channel.expiry > now ? channel.number : nil }
    return nil
  }

  func peer(of number: UInt16, _ now: Int64) -> SocketAddress? {
    for channel in channels where channel.number == number { return channel.expiry > now ? channel.peer : nil }
    return nil
  }

  /// Installs or refreshes a permission; `false` when there are too many.
  mutating func permit(_ address: IPAddress, _ now: Int64, limit: Int) -> Bool {
    let expiry = now + TURN.permissionLifetime
    if let index = permissions.firstIndex(where: { $0.address == address }) {
      permissions[index].expiry = expiry
      return true
    }
    if permissions.count >= limit { permissions.removeAll { $0.expiry <= now } }
    guard permissions.count < limit else { return false }
    permissions.append(Permission(address: address, expiry: expiry))
    return true
  }

  enum Binding { case bound, conflict, full }

  mutating func bind(_ number: UInt16, to peer: SocketAddress, _ now: Int64, limit: Int) -> Binding {
    channels.removeAll { $0.expiry <= now }
    let expiry = now + TURN.channelLifetime
    if let index = channels.firstIndex(where: { $0.number == number }) {
      guard channels[index].peer == peer else { return .conflict }
      channels[index].expiry = expiry
      return .bound
    }
    guard !channels.contains(where: { $0.peer == peer }) else { return .conflict }
    guard channels.count < limit else { return .full }
    channels.append(Channel(number: number, peer: peer, expiry: expiry))
    return .bound
  }

  enum Admission { case channel(UInt16), indication, closed, noPermission, overRate }

  /// How a datagram of `peer` goes to the client, if it may.
  mutating func admit(_ peer: SocketAddress, _ count: Int, _ now: Int64, perSecond: Int?) -> Admission {
    guard stage == .open, expiry > now else { return .closed }
    guard isPermitted(peer.address, now) else { return .noPermission }
    guard spend(count, now, perSecond: perSecond) else { return .overRate }
    bytesToClient &+= UInt64(count)
    return channel(to: peer, now).map { .channel($0) } ?? .indication
  }

  /// Takes data for a peer into account.
  mutating func spendToPeer(_ count: Int, _ now: Int64, perSecond: Int?) -> Bool {
    guard expiry > now, spend(count, now, perSecond: perSecond) else { return false }
    bytesToPeers &+= UInt64(count)
    return true
  }

  /// Takes `count` bytes out of the bucket; `false` when they are not there.
  mutating func spend(_ count: Int, _ now: Int64, perSecond: Int?) -> Bool {
    guard let perSecond else { return true }
    let start = max(fullAt, now)
    let cost = Int64(count) * 1_000_000_000 / Int64(max(perSecond, 1))
    guard start - now + cost <= 1_000_000_000 else { return false }
    fullAt = start + cost
    return true
  }
}

/// A relayed socket.
struct Relay {
  var id: RelayID
  var address: SocketAddress
  /// The slot of the allocation, or none while it is reserved.
  var owner: Int?
  var isOpen = false
  /// How many ports were tried.
  var attempts = 1
}

/// A port that waits for the client that has the token (RFC 8656 §7.2, EVEN-PORT).
struct Reservation {
  let token: UInt64
  let relay: RelayID
  let expiry: Int64
}
