/// Bytes of a stream, addressed by their offset in it, in chunks of a pool. Offsets without a chunk cost eight bytes.
///
/// Only a window of the stream has chunks: from ``release(below:to:)`` up to what was written. The chunk of offset `o` is
/// `o / 4096`, and its place in the ring is that number modulo the size of the ring: nothing moves when the window does.
struct ChunkChain {
  private let direction: ChunkPool.Direction
  private var ring: [Chunk?] = []
  /// The chunk numbers that may have a chunk.
  private var first: UInt64 = 0
  private var end: UInt64 = 0
  /// The chain is empty and `first` holds nevertheless.
  private var anchored = false

  init(_ direction: ChunkPool.Direction) { self.direction = direction }

  var isEmpty: Bool { first == end }

  private static let shift = UInt64(ChunkPool.chunkShift)
  private static let mask = UInt64(ChunkPool.chunkSize - 1)

  private func slot(_ number: UInt64) -> Int { Int(truncatingIfNeeded: number) & (ring.count &- 1) }

  /// Writes `bytes` at `offset`, taking chunks as needed. Returns whether the pool had enough; otherwise nothing is written.
  ///
  /// `offset` must not lie below the last ``release(below:to:)``, nor so far above that the ring grows out of reason: the
  /// caller checks both against its window.
  mutating func write(_ bytes: RawSpan, at offset: UInt64, from pool: ChunkShare, for need: ChunkShare.Need = .ordinary)
    -> Bool
  {
    guard bytes.byteCount > 0 else { return true }
    let low = offset >> Self.shift
    let high = (offset &+ UInt64(bytes.byteCount) &- 1) >> Self.shift
    guard prepare(low...high, from: pool, for: need) else { return false }
    var position = Int(offset & Self.mask)
    var done = 0
    var number = low
    while done < bytes.byteCount {
      let count = min(bytes.byteCount &- done, ChunkPool.chunkSize &- position)
      ring[slot(number)]!.write(bytes.extracting(done..<done &+ count), at: position)
      done &+= count
      position = 0
      number &+= 1
    }
    return true
  }

  /// Bytes that can be written at `end`, where the last write ended, before the pool has no more for it.
  func room(at end: UInt64, in pool: ChunkShare) -> Int {
    let used = Int(end & Self.mask)
    let tail = used == 0 || isEmpty ? 0 : ChunkPool.chunkSize - used
    let fresh = pool.room(direction) << ChunkPool.chunkShift
    // A chain that was emptied in the middle of a chunk begins with the rest of one.
    return tail + (isEmpty ? max(0, fresh - used) : fresh)
  }

  private mutating func prepare(_ numbers: ClosedRange<UInt64>, from pool: ChunkShare, for need: ChunkShare.Need)
    -> Bool
  {
    if isEmpty, !anchored {
      first = numbers.lowerBound
      end = first
    }
    precondition(numbers.lowerBound >= first, "the offset was released before")
    let newEnd = max(end, numbers.upperBound &+ 1)
    if newEnd &- first > UInt64(ring.count) { grow(to: Int(newEnd &- first)) }
    var missing = 0
    for number in numbers where number >= end || ring[slot(number)] == nil { missing &+= 1 }
    guard missing > 0 else { return true }
    guard missing <= pool.room(direction, for: need) else { return false }
    end = newEnd
    anchored = false
    for number in numbers where ring[slot(number)] == nil { ring[slot(number)] = pool.take(direction) }
    return true
  }

  private mutating func grow(to count: Int) {
    var capacity = max(4, ring.count)
    while capacity < count { capacity *= 2 }
    var larger = [Chunk?](repeating: nil, count: capacity)
    for number in first..<end {
      larger[Int(truncatingIfNeeded: number) & (capacity - 1)] = ring[slot(number)]
    }
    ring = larger
  }

  /// Lets an empty chain begin at `offset`, so that a first write further up leaves room for what is missing below it.
  mutating func anchor(at offset: UInt64) {
    guard isEmpty else { return }
    first = offset >> Self.shift
    end = first
    anchored = true
  }

  /// Appends `count` bytes from `offset` on; all of them must have been written and not released.
  func read(_ count: Int, at offset: UInt64, into output: inout OutputRawSpan) {
    guard count > 0 else { return }
    var position = Int(offset & Self.mask)
    var number = offset >> Self.shift
    var left = count
    while left > 0 {
      precondition(number >= first && number < end, "the bytes were never written or are gone")
      let piece = min(left, ChunkPool.chunkSize &- position)
      ring[slot(number)]!.read(piece, at: position, into: &output)
      left &-= piece
      position = 0
      number &+= 1
    }
  }

  /// Gives back every chunk that lies wholly below `offset`.
  mutating func release(below offset: UInt64, to pool: ChunkShare) {
    let keep = offset >> Self.shift
    while first < end, first < keep {
      let place = slot(first)
      if let chunk = ring[place] {
        pool.give(chunk, direction)
        ring[place] = nil
      }
      first &+= 1
    }
  }

  /// Gives back all chunks.
  mutating func releaseAll(to pool: ChunkShare) {
    release(below: .max, to: pool)
    // A window that ends in the last chunk number of all is out of reach: offsets end at 2^62.
  }

  /// Gives back the ring as well, when nothing is in it. For a stream that has gone quiet.
  mutating func trim() {
    if isEmpty, ring.count > 8 { ring = [] }
  }
}
