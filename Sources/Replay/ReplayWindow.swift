/// The anti-replay window of RFC 6479: which packet counters were accepted already.
///
/// A ring of 64-bit words is indexed by the high bits of the counter; the window moves by clearing words and shifts
/// nothing. Before a packet is authenticated its counter is only checked; the window moves when the caller commits:
///
/// ```swift
/// var window = ReplayWindow()
/// guard window.check(counter) == .fresh else { return drop() }
/// try open(packet)  // authenticate
/// guard window.commit(counter) == .fresh else { return drop() }
/// ```
///
/// ``commit(_:)`` decides again, so that a batch may be checked as a whole before any of it is committed. A window owns
/// one allocation, made at `init` and freed when the window goes; only ``widen(to:)`` makes another.
@frozen @safe
public struct ReplayWindow: ~Copyable {
  /// What the window says of a counter.
  @frozen
  public enum Verdict: Equatable, Sendable {
    /// Not seen yet, and new enough to tell.
    case fresh
    /// Accepted before.
    case replayed
    /// So far below the highest accepted counter that the window cannot tell.
    case tooOld
    /// At or above ``ReplayWindow/rejectAfterMessages``: never sent and never accepted.
    case exhausted
  }

  /// Counters from here on are refused: 2^64 − 2^13 − 1 (WireGuard paper §6.1).
  @inlinable public static var rejectAfterMessages: UInt64 { .max - (1 << 13) }

  /// The greatest capacity that ``init(capacity:)`` takes: 512 KiB of storage.
  @inlinable public static var maximumCapacity: Int { 64 * 65_536 - 64 }

  @usableFromInline var words: UnsafeMutablePointer<UInt64>
  /// The number of words less one; a power of two less one.
  @usableFromInline var mask: UInt64
  /// The highest accepted counter; 0 also while none was accepted (then no bit is set).
  @usableFromInline var last: UInt64 = 0

  /// An empty window.
  ///
  /// - Parameter capacity: How far below the highest accepted counter a counter may lie and still be accepted, 1 to
  ///   ``maximumCapacity``. It is rounded up to the next 64 · 2^k − 64 (64, 192, 448, … 8,128, 16,320, 32,704, …), for
  ///   one word of the ring is always being filled. WireGuard's is 8,128, in 1 KiB.
  public init(capacity: Int = 8128) {
    let count = Self.wordCount(capacity)
    unsafe words = .allocate(capacity: count)
    unsafe words.initialize(repeating: 0, count: count)
    mask = UInt64(count - 1)
  }

  private static func wordCount(_ capacity: Int) -> Int {
    precondition((1...maximumCapacity).contains(capacity), "a window has a capacity of 1 to \(maximumCapacity)")
    var count = 2
    while 64 * count - 64 < capacity { count *= 2 }
    return count
  }

  deinit { unsafe words.deallocate() }

  /// How far below the highest accepted counter a counter may lie and still be accepted.
  @inlinable public var capacity: Int { Int(truncatingIfNeeded: mask &* 64) }

  /// The highest accepted counter; 0 while none was accepted.
  @inlinable public var highest: UInt64 { last }

  /// Whether `counter` could be accepted now. Changes nothing.
  @inlinable public func check(_ counter: UInt64) -> Verdict {
    guard counter < Self.rejectAfterMessages else { return .exhausted }
    if counter > last { return .fresh }
    guard last &- counter <= mask &* 64 else { return .tooOld }
    let word = unsafe words[Int(truncatingIfNeeded: counter >> 6 & mask)]
    return word >> (counter & 63) & 1 == 0 ? .fresh : .replayed
  }

  /// Accepts `counter`, the counter of a packet that was authenticated, unless the window refuses it.
  ///
  /// - Returns: what ``check(_:)`` gives at this moment; only `.fresh` changed the window.
  @inlinable @discardableResult
  public mutating func commit(_ counter: UInt64) -> Verdict {
    guard counter < Self.rejectAfterMessages else { return .exhausted }
    if counter > last {
      if counter >> 6 != last >> 6 { clearWords(upTo: counter >> 6) }
      last = counter
    } else if last &- counter > mask &* 64 {
      return .tooOld
    }
    let index = Int(truncatingIfNeeded: counter >> 6 & mask)
    let word = unsafe words[index]
    let bit: UInt64 = 1 << (counter & 63)
    guard word & bit == 0 else { return .replayed }
    unsafe words[index] = word | bit
    return .fresh
  }

  /// Forgets all counters, for the next session; keeps the storage.
  public mutating func reset() {
    last = 0
    unsafe words.update(repeating: 0, count: Int(mask) + 1)
  }

  /// Gives the window a greater capacity; does nothing when it has as much. Counters of which it knows nothing any
  /// more stay refused, as `.replayed`: some of them may have been accepted.
  ///
  /// - Parameter capacity: As for ``init(capacity:)``. The storage is allocated anew.
  public mutating func widen(to capacity: Int) {
    let count = Self.wordCount(capacity)
    guard count > Int(mask) + 1 else { return }
    let wider = unsafe UnsafeMutablePointer<UInt64>.allocate(capacity: count)
    unsafe wider.initialize(repeating: 0, count: count)
    let newest = last >> 6
    for age in 0...min(newest, UInt64(count - 1)) {
      let word = newest - age
      let known = age <= mask ? unsafe words[Int(word & mask)] : .max
      unsafe wider[Int(word & UInt64(count - 1))] = known
    }
    unsafe words.deallocate()
    unsafe words = wider
    mask = UInt64(count - 1)
  }

  /// Empties the words behind that of `last` up to word number `newest`: at most once around the ring.
  @inlinable
  mutating func clearWords(upTo newest: UInt64) {
    let current = last >> 6
    var remaining = min(newest &- current, mask &+ 1)
    var word = current
    while remaining > 0 {
      word &+= 1
      remaining &-= 1
      unsafe words[Int(truncatingIfNeeded: word & mask)] = 0
    }
  }
}

// The storage has one owner, and exclusive access to a value of this type is exclusive access to it.
extension ReplayWindow: @unchecked Sendable {}
