/// The deadlines of many slots, earliest first: an indexed binary heap.
///
/// A slot is a small number that the caller gives (an index into an array of its own). Scheduling and removing cost
/// O(log n), looking at the earliest O(1). Equal deadlines come out in the order of their slots, so that a run does not
/// depend on how the heap was built.
public struct DeadlineQueue: Sendable {
  private struct Entry {
    var deadline: Instant
    var slot: UInt32

    static func < (left: Entry, right: Entry) -> Bool {
      left.deadline == right.deadline ? left.slot < right.slot : left.deadline < right.deadline
    }
  }

  private var heap: [Entry] = []
  /// Where each slot stands in `heap`, or -1.
  private var positions: [Int32] = []

  public init() {}

  /// The earliest deadline of all.
  public var earliest: Instant? { heap.first?.deadline }

  /// The deadline that `slot` was scheduled for.
  public func deadline(of slot: UInt32) -> Instant? {
    guard Int(slot) < positions.count, positions[Int(slot)] >= 0 else { return nil }
    return heap[Int(positions[Int(slot)])].deadline
  }

  /// Schedules `slot` for `deadline`, in place of what was scheduled for it before.
  public mutating func schedule(_ slot: UInt32, at deadline: Instant) {
    let slotIndex = Int(slot)
    if slotIndex >= positions.count {
      positions.append(contentsOf: repeatElement(-1, count: slotIndex + 1 - positions.count))
    }
    let position = Int(positions[slotIndex])
    if position < 0 {
      heap.append(Entry(deadline: deadline, slot: slot))
      positions[slotIndex] = Int32(heap.count - 1)
      siftUp(heap.count - 1)
    } else {
      heap[position].deadline = deadline
      siftUp(position)
      siftDown(Int(positions[slotIndex]))
    }
  }

  /// Schedules `slot` for `deadline` unless it is scheduled for an earlier one already.
  ///
  /// Together with a caller that looks again when a slot comes up too early, this keeps timers that are moved with each
  /// packet out of the heap.
  public mutating func scheduleNoLater(_ slot: UInt32, than deadline: Instant) {
    if let scheduled = self.deadline(of: slot), scheduled <= deadline { return }
    schedule(slot, at: deadline)
  }

  /// Takes `slot` out; does nothing when it is not scheduled.
  public mutating func cancel(_ slot: UInt32) {
    guard Int(slot) < positions.count, positions[Int(slot)] >= 0 else { return }
    let position = Int(positions[Int(slot)])
    positions[Int(slot)] = -1
    let last = heap.removeLast()
    guard position < heap.count else { return }
    heap[position] = last
    positions[Int(last.slot)] = Int32(position)
    siftUp(position)
    siftDown(Int(positions[Int(last.slot)]))
  }

  /// Takes out and returns the slot with the earliest deadline, when that is at or before `now`.
  public mutating func popDue(at now: Instant) -> UInt32? {
    guard let first = heap.first, first.deadline <= now else { return nil }
    cancel(first.slot)
    return first.slot
  }

  private mutating func siftUp(_ start: Int) {
    var position = start
    while position > 0 {
      let parent = (position - 1) / 2
      guard heap[position] < heap[parent] else { return }
      swap(position, parent)
      position = parent
    }
  }

  private mutating func siftDown(_ start: Int) {
    var position = start
    while true {
      var smallest = position
      for child in (2 * position + 1)...(2 * position + 2) where child < heap.count && heap[child] < heap[smallest] {
        smallest = child
      }
      guard smallest != position else { return }
      swap(position, smallest)
      position = smallest
    }
  }

  private mutating func swap(_ left: Int, _ right: Int) {
    heap.swapAt(left, right)
    positions[Int(heap[left].slot)] = Int32(left)
    positions[Int(heap[right].slot)] = Int32(right)
  }
}
