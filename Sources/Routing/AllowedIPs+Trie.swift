internal import MeshPrimitives

extension AllowedIPs {
  /// What lies below a slot: nothing, one prefix however long, or a node.
  ///
  /// Every node holds two or more things (links, or prefixes that end in it), so there are fewer nodes than prefixes.
  struct Link: Equatable {
    /// 0: nothing. Negative: the complement of the index of an entry. Positive: one more than the index of a node
    /// (25 bits), then its depth (5 bits), which a lookup so learns without another load.
    let rawValue: Int32

    static let none = Link(rawValue: 0)
    static func entry(_ index: Int) -> Link { Link(rawValue: ~Int32(index)) }
    static func node(_ index: Int, depth: Int) -> Link { Link(rawValue: Int32((index + 1) << 5 | depth)) }

    /// The place of the node's first slot.
    @inline(__always) var nodeBase: Int? { rawValue > 0 ? (Int(rawValue) >> 5 &- 1) &* 32 : nil }
    @inline(__always) var nodeDepth: Int { Int(rawValue) & 31 }
    @inline(__always) var entry: Int? { rawValue < 0 ? Int(~rawValue) : nil }
  }

  /// Where a link is kept.
  private enum Place {
    case root(IPAddress.Family)
    case slot(Int)
  }

  private func link(at place: Place) -> Link {
    switch place {
    case .root(let family): family == .v4 ? rootV4 : rootV6
    case .slot(let index): Link(rawValue: slots[index])
    }
  }

  private mutating func set(_ link: Link, at place: Place) {
    switch place {
    case .root(.v4): rootV4 = link
    case .root(.v6): rootV6 = link
    case .slot(let index): slots[index] = link.rawValue
    }
  }

  /// The entry of exactly `prefix`.
  func find(_ prefix: IPPrefix) -> Int? {
    let family = prefix.address.family
    if prefix.length == 0 {
      let entry = family == .v4 ? defaultV4 : defaultV6
      return entry < 0 ? nil : Int(entry)
    }
    let bits = AddressBits(prefix.address)
    let depth = (prefix.length - 1) / 4
    var link = link(at: .root(family))
    while let base = link.nodeBase, link.nodeDepth <= depth {
      if link.nodeDepth == depth {
        var next = nodes[base / 32].firstEntry
        while next >= 0 {
          let entry = entries[Int(next)]
          if entry.bits == bits, Int(entry.length) == prefix.length { return Int(next) }
          next = entry.nextInNode
        }
        return nil
      }
      link = Link(rawValue: slots[base + bits.nibble(link.nodeDepth)])
    }
    guard let leaf = link.entry, entries[leaf].bits == bits, Int(entries[leaf].length) == prefix.length
    else { return nil }
    return leaf
  }

  /// Adds the entry at `index`, whose prefix is not in the trie.
  mutating func linkIntoTrie(_ index: Int) {
    let entry = entries[index]
    guard entry.length > 0 else {
      if entry.family == .v4 { defaultV4 = Int32(index) } else { defaultV6 = Int32(index) }
      return
    }
    var place = Place.root(entry.family)
    while true {
      let link = link(at: place)
      if let base = link.nodeBase {
        let depth = link.nodeDepth
        let path = nodes[base / 32].path
        let shared = min(entry.bits.commonNibbles(path), entry.depth)
        if shared < depth {
          // The path to the node parts from the prefix, or the prefix ends, on the way: a node in between.
          let (between, node) = addNode(depth: shared, path: entry.bits)
          slots[node * 32 + path.nibble(shared)] = link.rawValue
          set(between, at: place)
        } else if depth == entry.depth {
          add(index, toNode: base / 32)
          return
        } else {
          place = .slot(base + entry.bits.nibble(depth))
        }
      } else if let other = link.entry {
        let leaf = entries[other]
        let shared = min(entry.bits.commonNibbles(leaf.bits), entry.depth, leaf.depth)
        let (above, node) = addNode(depth: shared, path: leaf.bits)
        if leaf.depth == shared {
          add(other, toNode: node)
        } else {
          slots[node * 32 + leaf.bits.nibble(shared)] = link.rawValue
        }
        set(above, at: place)
      } else {
        set(.entry(index), at: place)
        return
      }
    }
  }

  /// Takes the entry at `index` out of the trie; the entry itself stays.
  mutating func unlinkFromTrie(_ index: Int) {
    let entry = entries[index]
    guard entry.length > 0 else {
      if entry.family == .v4 { defaultV4 = -1 } else { defaultV6 = -1 }
      return
    }
    var place = Place.root(entry.family)
    var parent: Place?
    while let base = link(at: place).nodeBase {
      let depth = link(at: place).nodeDepth
      if depth == entry.depth {
        remove(index, fromNode: base / 32)
        collapse(place)
        return
      }
      parent = place
      place = .slot(base + entry.bits.nibble(depth))
    }
    set(.none, at: place)
    if let parent { collapse(parent) }
  }

  /// Makes the prefix at `index` one that ends in `node`.
  private mutating func add(_ index: Int, toNode node: Int) {
    entries[index].nextInNode = nodes[node].firstEntry
    nodes[node].firstEntry = Int32(index)
    cover(index, inNode: node)
  }

  /// Enters the prefix at `index` for its nibbles in `node`, but for those that have a longer one.
  private mutating func cover(_ index: Int, inNode node: Int) {
    let entry = entries[index]
    let first = node * 32 + 16 + entry.bits.nibble(entry.depth)
    for slot in first..<first + 1 << (4 * (entry.depth + 1) - Int(entry.length)) {
      let present = slots[slot]
      if present < 0 || entries[Int(present)].length < entry.length { slots[slot] = Int32(index) }
    }
  }

  private mutating func remove(_ index: Int, fromNode node: Int) {
    for slot in node * 32 + 16..<node * 32 + 32 where slots[slot] == Int32(index) { slots[slot] = -1 }
    var kept: Int32 = -1
    var next = nodes[node].firstEntry
    while next >= 0 {
      let following = entries[Int(next)].nextInNode
      if next != Int32(index) {
        entries[Int(next)].nextInNode = kept
        kept = next
        cover(Int(next), inNode: node)
      }
      next = following
    }
    nodes[node].firstEntry = kept
  }

  private mutating func addNode(depth: Int, path: AddressBits) -> (link: Link, index: Int) {
    let index: Int
    if let free = freeNodes.popLast() {
      index = Int(free)
      nodes[index] = Node(path: path)
    } else {
      index = nodes.count
      nodes.append(Node(path: path))
      slots.append(contentsOf: repeatElement(-1, count: 32))
    }
    for slot in index * 32..<index * 32 + 16 {
      slots[slot] = 0
      slots[slot + 16] = -1
    }
    return (.node(index, depth: depth), index)
  }

  /// Replaces the node at `place` by what it holds, when that is only one thing.
  private mutating func collapse(_ place: Place) {
    guard let base = link(at: place).nodeBase else { return }
    var only = Link.none
    for slot in base..<base + 16 where slots[slot] != 0 {
      guard only == .none else { return }
      only = Link(rawValue: slots[slot])
    }
    let first = nodes[base / 32].firstEntry
    if first >= 0 {
      guard only == .none, entries[Int(first)].nextInNode < 0 else { return }
      only = .entry(Int(first))
    }
    set(only, at: place)
    freeNodes.append(Int32(base / 32))
  }
}
