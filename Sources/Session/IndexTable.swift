/// From receiver index to the slot of the peer that it belongs to: open addressing with linear probing.
///
/// Indices are drawn at random by us, so they are their own hash, and nobody else can choose which are stored. A look-up
/// of a packet's index costs a few nanoseconds and allocates nothing.
struct IndexTable {
  private static let empty = UInt32.max

  private var keys: [UInt32]
  /// The slot of the peer, or `empty`.
  private var slots: [UInt32]
  private(set) var count = 0
  private var mask: Int { keys.count - 1 }

  init() {
    keys = Array(repeating: 0, count: 16)
    slots = Array(repeating: Self.empty, count: 16)
  }

  subscript(index: UInt32) -> UInt32? {
    var position = Int(index) & mask
    while slots[position] != Self.empty {
      if keys[position] == index { return slots[position] }
      position = (position + 1) & mask
    }
    return nil
  }

  /// Stores `slot` under `index`; `false` when the index is taken.
  mutating func insert(_ index: UInt32, slot: UInt32) -> Bool {
    if count * 2 >= keys.count { grow() }
    var position = Int(index) & mask
    while slots[position] != Self.empty {
      if keys[position] == index { return false }
      position = (position + 1) & mask
    }
    keys[position] = index
    slots[position] = slot
    count += 1
    return true
  }

  mutating func remove(_ index: UInt32) {
    var hole = Int(index) & mask
    while slots[hole] == Self.empty || keys[hole] != index {
      if slots[hole] == Self.empty { return }
      hole = (hole + 1) & mask
    }
    count -= 1
    // Move back what was pushed beyond the hole, so that no look-up ends too early.
    var position = hole
    while true {
      position = (position + 1) & mask
      guard slots[position] != Self.empty else { break }
      let home = Int(keys[position]) & mask
      let distanceToHole = (position - hole) & mask
      let distanceToHome = (position - home) & mask
      if distanceToHome >= distanceToHole {
        keys[hole] = keys[position]
        slots[hole] = slots[position]
        hole = position
      }
    }
    slots[hole] = Self.empty
  }

  private mutating func grow() {
    let old = (keys, slots)
    keys = Array(repeating: 0, count: old.0.count * 2)
    slots = Array(repeating: Self.empty, count: old.0.count * 2)
    count = 0
    for (key, slot) in zip(old.0, old.1) where slot != Self.empty { _ = insert(key, slot: slot) }
  }
}
