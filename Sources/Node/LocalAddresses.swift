internal import MeshPrimitives

/// By the endpoint of a peer, the address of this machine that its packets came to: what goes there comes from that address, so
/// that NATs and firewalls between the two know it. (Kernel WireGuard and wireguard-go do the same.)
///
/// Only what was authenticated says where data comes from, or anybody could divert it. Handshake messages are answered from where
/// they came to themselves. It is a cache: where a table is full, or nothing is known, the kernel chooses.
struct LocalAddresses {
  private struct Entry {
    var local: IPAddress
    /// Initiations sent since a packet came.
    var initiations: UInt8 = 0
  }

  /// The most endpoints, and the most that sent handshake messages.
  private static let most = 4096
  private static let mostAsking = 1024
  /// After so many initiations without an answer the machine has perhaps other addresses now: a first one and its copies.
  private static let patience: UInt8 = 4

  private var entries: [SocketAddress: Entry] = [:]
  /// Where the last handshake message from an endpoint came to.
  private var asked: [SocketAddress: IPAddress] = [:]
  /// The one that was used last, while no initiation is open: most packets come from where the one before came from.
  private var recent: (remote: SocketAddress, local: IPAddress)?

  /// An authenticated packet came from `remote` to `local`.
  mutating func confirm(_ remote: SocketAddress, at local: IPAddress) {
    if let recent, recent.remote == remote, recent.local == local { return }
    if entries.count >= Self.most, entries[remote] == nil { entries.removeAll(keepingCapacity: true) }
    entries[remote] = Entry(local: local)
    asked[remote] = nil
    recent = (remote, local)
  }

  /// A handshake message came, which is not authenticated yet.
  mutating func ask(_ remote: SocketAddress, at local: IPAddress) {
    if asked.count >= Self.mostAsking, asked[remote] == nil { asked.removeAll(keepingCapacity: true) }
    asked[remote] = local
  }

  /// Where a datagram to `remote` is to come from; `nil`: from wherever the kernel says.
  mutating func source(for remote: SocketAddress) -> IPAddress? {
    if let recent, recent.remote == remote { return recent.local }
    guard let entry = entries[remote] else { return asked[remote] }
    if entry.initiations == 0 { recent = (remote, entry.local) }
    return entry.local
  }

  /// The same for the answer to a handshake message.
  func sourceOfAnswer(to remote: SocketAddress) -> IPAddress? { asked[remote] ?? entries[remote]?.local }

  /// The same for an initiation. When several went unanswered, nothing is known any more.
  mutating func sourceOfInitiation(to remote: SocketAddress) -> IPAddress? {
    guard var entry = entries[remote] else { return nil }
    if recent?.remote == remote { recent = nil }
    entry.initiations += 1
    entries[remote] = entry.initiations > Self.patience ? nil : entry
    return entries[remote]?.local
  }

  /// Nothing comes back from `remote`.
  mutating func forget(_ remote: SocketAddress) {
    if recent?.remote == remote { recent = nil }
    entries[remote] = nil
    asked[remote] = nil
  }

  /// The kernel has refused an address.
  mutating func forgetAll() {
    recent = nil
    entries.removeAll(keepingCapacity: true)
    asked.removeAll(keepingCapacity: true)
  }
}
