/// A set of 64-bit numbers as disjoint, non-adjacent, ascending half-open ranges.
///
/// Made for sets that change at their ends: packet numbers, stream offsets. Touching an end costs a few nanoseconds, the
/// middle a binary search and a move. Storage is kept when ranges go, so a set that breathes does not allocate.
struct RangeSet: Sendable {
  private var storage: [Range<UInt64>] = []
  /// Where the live ranges begin in `storage`: taking from the front moves nothing.
  private var head = 0

  /// Disjoint ranges in the set.
  var count: Int { storage.count &- head }
  var isEmpty: Bool { storage.count == head }
  var first: Range<UInt64>? { isEmpty ? nil : storage[head] }
  var last: Range<UInt64>? { isEmpty ? nil : storage[storage.count &- 1] }

  /// The range number `index`, counted from the lowest.
  subscript(index: Int) -> Range<UInt64> { storage[head &+ index] }

  /// The index of the first range that ends above `number`; ``count`` when there is none.
  private func search(endingAbove number: UInt64) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low &+ high) >> 1
      if self[middle].upperBound > number { high = middle } else { low = middle &+ 1 }
    }
    return low
  }

  func contains(_ number: UInt64) -> Bool {
    let index = search(endingAbove: number)
    return index < count && self[index].lowerBound <= number
  }

  /// The first run of numbers inside `range` that are not in the set.
  func firstGap(in range: Range<UInt64>) -> Range<UInt64>? {
    guard !range.isEmpty else { return nil }
    var low = range.lowerBound
    var index = search(endingAbove: low)
    if index < count, self[index].lowerBound <= low {
      low = self[index].upperBound
      index &+= 1
    }
    guard low < range.upperBound else { return nil }
    let high = index < count ? min(range.upperBound, self[index].lowerBound) : range.upperBound
    return low..<high
  }

  /// Makes room for so many ranges.
  mutating func reserveCapacity(_ count: Int) { storage.reserveCapacity(count) }

  /// Adds all of `range`.
  mutating func insert(_ range: Range<UInt64>) {
    guard !range.isEmpty else { return }
    guard let last else {
      storage.append(range)
      return
    }
    if range.lowerBound > last.upperBound {
      storage.append(range)
      return
    }
    if range.lowerBound >= last.lowerBound {
      if range.upperBound > last.upperBound { storage[storage.count &- 1] = last.lowerBound..<range.upperBound }
      return
    }
    // The ranges [from, to) touch or overlap the new one.
    let from = range.lowerBound == 0 ? 0 : search(endingAbove: range.lowerBound &- 1)
    var to = from
    var merged = range
    while to < count, self[to].lowerBound <= range.upperBound {
      merged = min(merged.lowerBound, self[to].lowerBound)..<max(merged.upperBound, self[to].upperBound)
      to &+= 1
    }
    if to == from {
      storage.insert(range, at: head &+ from)
    } else {
      storage[head &+ from] = merged
      if to &- from > 1 { storage.removeSubrange(head &+ from &+ 1..<head &+ to) }
    }
  }

  /// Removes all of `range`.
  mutating func remove(_ range: Range<UInt64>) {
    guard !range.isEmpty, !isEmpty else { return }
    if range.lowerBound <= self[0].lowerBound {
      removeAll(below: range.upperBound)
      return
    }
    let from = search(endingAbove: range.lowerBound)
    guard from < count, self[from].lowerBound < range.upperBound else { return }
    var index = from
    if self[index].lowerBound < range.lowerBound {
      let whole = self[index]
      storage[head &+ index] = whole.lowerBound..<range.lowerBound
      if whole.upperBound > range.upperBound {
        storage.insert(range.upperBound..<whole.upperBound, at: head &+ index &+ 1)
        return
      }
      index &+= 1
    }
    var to = index
    while to < count, self[to].upperBound <= range.upperBound { to &+= 1 }
    if to < count, self[to].lowerBound < range.upperBound {
      storage[head &+ to] = range.upperBound..<self[to].upperBound
    }
    if to > index { storage.removeSubrange(head &+ index..<head &+ to) }
  }

  /// Removes every number below `limit`.
  mutating func removeAll(below limit: UInt64) {
    while let lowest = first, lowest.lowerBound < limit {
      if lowest.upperBound > limit {
        storage[head] = limit..<lowest.upperBound
        return
      }
      removeFirst()
    }
  }

  /// Removes the lowest range. The set must not be empty.
  mutating func removeFirst() {
    head &+= 1
    if head == storage.count {
      storage.removeAll(keepingCapacity: true)
      head = 0
    } else if head > 64, head &* 2 > storage.count {
      storage.removeSubrange(0..<head)
      head = 0
    }
  }

  mutating func removeAll() {
    storage.removeAll(keepingCapacity: true)
    head = 0
  }

  /// Frees the storage when the set is empty.
  mutating func trim() {
    if isEmpty {
      storage = []
      head = 0
    }
  }
}
