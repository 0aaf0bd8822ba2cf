public import MeshPrimitives

/// Cryptokey routing (WireGuard paper §2): which peer an IP address belongs to. The longest prefix wins.
///
/// One table serves both ways: the peer to send a packet to is that of its destination, and a packet that a peer sent is
/// taken only when its source belongs to that peer.
///
/// ```swift
/// var table = AllowedIPs()
/// try table.insert(IPPrefix("10.0.0.0/8")!, peer: 1)
/// try table.insert(IPPrefix("10.9.0.0/16")!, peer: 2)
/// table.lookup(IPAddress("10.9.1.1")!)  // 2
/// table.lookup(IPAddress("10.1.1.1")!)  // 1
/// ```
///
/// Peers are numbers that the caller gives. The table is a path-compressed trie of four bits a step in flat arrays:
/// 100,000 random host routes lie four or five steps deep. A lookup allocates nothing.
public struct AllowedIPs: Sendable {
  /// Why a prefix was not taken.
  public enum InsertError: Error, Equatable, Sendable {
    /// The table holds `limit` prefixes.
    case full(limit: Int)
    /// The prefix is reserved for `peer`.
    case reserved(peer: UInt32)
  }

  /// A prefix and whom it belongs to: 32 bytes, so that a lookup reads one cache line of it.
  struct Entry {
    var bits: AddressBits
    var peer: UInt32
    /// The next prefix that ends in the same node; free entries are chained by it too.
    var nextInNode: Int32 = -1
    var length: UInt8
    var family: IPAddress.Family
    /// Whether it stays with its peer whatever is inserted.
    var isReserved: Bool

    var prefix: IPPrefix { IPPrefix(bits.address(family), length: Int(length))! }

    /// The step at which the prefix ends: its last bit is one of nibble `depth`. Not for length 0.
    var depth: Int { (Int(length) - 1) / 4 }

    @inline(__always)
    func contains(_ address: AddressBits) -> Bool { PrefixMask(length: Int(length)).agree(bits, address) }
  }

  /// The neighbours of an entry among those of its peer; -1: none.
  struct PeerLinks {
    var next: Int32 = -1
    var previous: Int32 = -1
  }

  /// What insertion and removal need to know of a node, apart from what a lookup reads.
  struct Node {
    /// Any address below the node: its path.
    var path: AddressBits
    /// The first of the prefixes that end in this node, chained by `nextInNode`.
    var firstEntry: Int32 = -1
  }

  /// What a node says of one nibble. Link and entry lie side by side: one cache line per step.
  struct Slot {
    /// The ``Link`` to what lies below.
    var link: Int32 = 0
    /// The longest prefix that ends in this node and covers the nibble; -1: none.
    var entry: Int32 = -1
  }

  /// Sixteen to a node.
  var slots: [Slot] = []
  var nodes: [Node] = []
  var entries: [Entry] = []
  /// By the index of the entry; apart from it, since no lookup needs them.
  var peerLinks: [PeerLinks] = []
  /// The roots of IPv4 and IPv6, and the entries of the prefixes of length 0.
  var rootV4 = Link.none
  var rootV6 = Link.none
  var defaultV4: Int32 = -1
  var defaultV6: Int32 = -1
  var freeNodes: [Int32] = []
  var freeEntry: Int32 = -1
  var firstOfPeer: [UInt32: Int32] = [:]

  /// The number of prefixes.
  public private(set) var count = 0
  /// The most prefixes that the table takes.
  public let limit: Int

  /// - Parameter limit: the most prefixes that the table takes, 1 to 2^24.
  public init(limit: Int = 1 << 20) {
    precondition((1...1 << 24).contains(limit), "a table holds 1 to 2^24 prefixes")
    self.limit = limit
  }

  /// The peer that `address` belongs to, by the longest prefix; `nil` when it belongs to none.
  public func lookup(_ address: IPAddress) -> UInt32? {
    let bits = AddressBits(address)
    let isV4 = address.family == .v4
    var best = isV4 ? defaultV4 : defaultV6
    var link = isV4 ? rootV4.rawValue : rootV6.rawValue
    let slots = slots.span
    let entries = entries.span
    while link > 0 {
      // Steps that the trie leaves out are not compared: the prefix itself is, and once one does not contain the
      // address, none below it can.
      let slot = slots[Link.firstSlot(link) &+ bits.nibble(Link.depth(link))]
      if slot.entry >= 0 {
        guard entries[Int(slot.entry)].contains(bits) else {
          link = 0
          break
        }
        best = slot.entry
      }
      link = slot.link
    }
    if link < 0, entries[Int(~link)].contains(bits) { best = ~link }
    return best < 0 ? nil : entries[Int(best)].peer
  }

  /// Gives `prefix` to `peer`, taking it from the peer that has it.
  ///
  /// - Throws: `.full` when the table is at its limit, `.reserved` when the prefix is reserved for another peer.
  public mutating func insert(_ prefix: IPPrefix, peer: UInt32) throws(InsertError) {
    try insert(prefix, peer: peer, reserving: false)
  }

  /// Gives `address` to `peer` for as long as it stays in the table: a later ``insert(_:peer:)`` of this very address
  /// for another peer is refused. For addresses that are derived from the peer's key.
  ///
  /// - Throws: `.full` when the table is at its limit, `.reserved` when the address is reserved for another peer.
  public mutating func reserve(_ address: IPAddress, peer: UInt32) throws(InsertError) {
    try insert(IPPrefix(address), peer: peer, reserving: true)
  }

  /// Removes `prefix`, whoever has it, also when it is reserved.
  ///
  /// - Returns: the peer that had it.
  @discardableResult
  public mutating func remove(_ prefix: IPPrefix) -> UInt32? {
    guard let found = find(prefix) else { return nil }
    let peer = entries[found].peer
    unlinkFromPeer(found)
    unlinkFromTrie(found)
    release(found)
    return peer
  }

  /// Removes all prefixes of `peer`, reserved ones too.
  public mutating func removeAll(of peer: UInt32) {
    while let first = firstOfPeer[peer] {
      unlinkFromPeer(Int(first))
      unlinkFromTrie(Int(first))
      release(Int(first))
    }
  }

  /// The prefixes of `peer`, in the order of ``IPPrefix``.
  public func prefixes(of peer: UInt32) -> [IPPrefix] {
    var found: [IPPrefix] = []
    var next = firstOfPeer[peer] ?? -1
    while next >= 0 {
      found.append(entries[Int(next)].prefix)
      next = peerLinks[Int(next)].next
    }
    return found.sorted()
  }

  // MARK: - Entries

  private mutating func insert(_ prefix: IPPrefix, peer: UInt32, reserving: Bool) throws(InsertError) {
    if let found = find(prefix) {
      if entries[found].peer != peer {
        if entries[found].isReserved { throw .reserved(peer: entries[found].peer) }
        unlinkFromPeer(found)
        entries[found].peer = peer
        linkToPeer(found)
      }
      if reserving { entries[found].isReserved = true }
      return
    }
    guard count < limit else { throw .full(limit: limit) }
    count += 1
    let entry = Entry(
      bits: AddressBits(prefix.address), peer: peer, length: UInt8(prefix.length), family: prefix.address.family,
      isReserved: reserving)
    let index: Int
    if freeEntry >= 0 {
      index = Int(freeEntry)
      freeEntry = entries[index].nextInNode
      entries[index] = entry
    } else {
      index = entries.count
      entries.append(entry)
      peerLinks.append(PeerLinks())
    }
    linkToPeer(index)
    linkIntoTrie(index)
  }

  private mutating func release(_ index: Int) {
    entries[index].nextInNode = freeEntry
    freeEntry = Int32(index)
    count -= 1
  }

  private mutating func linkToPeer(_ index: Int) {
    let next = firstOfPeer.updateValue(Int32(index), forKey: entries[index].peer) ?? -1
    peerLinks[index] = PeerLinks(next: next)
    if next >= 0 { peerLinks[Int(next)].previous = Int32(index) }
  }

  private mutating func unlinkFromPeer(_ index: Int) {
    let links = peerLinks[index]
    if links.next >= 0 { peerLinks[Int(links.next)].previous = links.previous }
    if links.previous >= 0 {
      peerLinks[Int(links.previous)].next = links.next
    } else {
      firstOfPeer[entries[index].peer] = links.next >= 0 ? links.next : nil
    }
  }
}
