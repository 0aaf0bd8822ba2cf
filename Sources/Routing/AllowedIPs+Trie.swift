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

    /// The place of the first slot of the node, and its depth, of a positive link.
    @inline(__always) static func firstSlot(_ link: Int32) -> Int { (Int(link) >> 5 &- 1) &* 16 }
    @inline(__always) static func depth(_ link: Int32) -> Int { Int(link) & 31 }

    /// The index of the node.
    var node: Int? { rawValue > 0 ? Int(rawValue) >> 5 - 1 : nil }
    var nodeDepth: Int { Self.depth(rawValue) }
    var entry: Int? { rawValue < 0 ? Int(~rawValue) : nil }
  }

  /// Where a link is kept.
  private enum Place {
    case root(IPAddress.Family)
    case slot(Int)
  }

  private func link(at place: Place) -> Link {
    switch place {
    case .root(let family): family == .v4 ? rootV4 : rootV6
    case .slot(let index): Link(rawValue: slots[index].link)
    }
  }

  private mutating func set(_ link: Link, at place: Place) {
    switch place {
    case .root(.v4): rootV4 = link
    case .root(.v6): rootV6 = link
    case .slot(let index): slots[index].link = link.rawValue
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
    while let node = link.node, link.nodeDepth <= depth {
      if link.nodeDepth == depth {
        var next = nodes[node].firstEntry
        while next >= 0 {
          let entry = entries[Int(next)]
          if entry.bits == bits, Int(entry.length) == prefix.length { return Int(next) }
          next = entry.nextInNode
        }
        return nil
      }
      link = Link(rawValue: slots[node * 16 + bits.nibble(link.nodeDepth)].link)
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
      if let node = link.node {
        let depth = link.nodeDepth
        let path = nodes[node].path
        let shared = min(entry.bits.commonNibbles(path), entry.depth)
        if shared < depth {
          // The path to the node parts from the prefix, or the prefix ends, on the way: a node in between.
          let (between, added) = addNode(depth: shared, path: entry.bits)
          slots[added * 16 + path.nibble(shared)].link = link.rawValue
          set(between, at: place)
        } else if depth == entry.depth {
          add(index, toNode: node)
          return
        } else {
          place = .slot(node * 16 + entry.bits.nibble(depth))
        }
      } else if let other = link.entry {
        let leaf = entries[other]
        let shared = min(entry.bits.commonNibbles(leaf.bits), entry.depth, leaf.depth)
        let (above, node) = addNode(depth: shared, path: leaf.bits)
        if leaf.depth == shared {
          add(other, toNode: node)
        } else {
          slots[node * 16 + leaf.bits.nibble(shared)].link = link.rawValue
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
    while let node = link(at: place).node {
      let depth = link(at: place).nodeDepth
      if depth == entry.depth {
        remove(index, fromNode: node)
        collapse(place)
        return
      }
      parent = place
      place = .slot(node * 16 + entry.bits.nibble(depth))
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
    let first = node * 16 + entry.bits.nibble(entry.depth)
    for slot in first..<first + 1 << (4 * (entry.depth + 1) - Int(entry.length)) {
      let present = slots[slot].entry
      if present < 0 || entries[Int(present)].length < entry.length { slots[slot].entry = Int32(index) }
    }
  }

  private mutating func remove(_ index: Int, fromNode node: Int) {
    for slot in node * 16..<node * 16 + 16 where slots[slot].entry == Int32(index) { slots[slot].entry = -1 }
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
      for slot in index * 16..<index * 16 + 16 { slots[slot] = Slot() }
    } else {
      index = nodes.count
      nodes.append(Node(path: path))
      slots.append(contentsOf: repeatElement(Slot(), count: 16))
    }
    return (.node(index, depth: depth), index)
  }

  /// Replaces the node at `place` by what it holds, when that is only one thing.
  private mutating func collapse(_ place: Place) {
    guard let node = link(at: place).node else { return }
    var only = Link.none
    for slot in node * 16..<node * 16 + 16 where slots[slot].link != 0 {
      guard only == .none else { return }
      only = Link(rawValue: slots[slot].link)
    }
    let first = nodes[node].firstEntry
    if first >= 0 {
      guard only == .none, entries[Int(first)].nextInNode < 0 else { return }
      only = .entry(Int(first))
    }
    set(only, at: place)
    freeNodes.append(Int32(node))
  }
}
