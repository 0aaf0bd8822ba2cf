/// The bytes of a stream that have come and were not read, put in order.
struct ReceiveBuffer {
  enum Outcome {
    case accepted
    /// The pool is exhausted, or there are too many gaps: as if the packet had never come.
    case noRoom
  }

  private var chain = ChunkChain(.receiving)
  /// What came beyond ``contiguous``.
  private var islands = RangeSet()
  /// Bytes below were read.
  private(set) var position: UInt64 = 0
  /// All bytes below have come.
  private(set) var contiguous: UInt64 = 0
  /// One above the highest offset that came.
  private(set) var highest: UInt64 = 0

  /// Bytes that can be read now.
  var readable: Int { Int(contiguous &- position) }
  /// Runs of bytes beyond the first gap.
  var gaps: Int { islands.count }

  /// Stores `bytes`. What came before or was read already is ignored. The caller has checked the offset against the window.
  /// - Parameter need: `.ordinary`: as the gaps are; else the same for all.
  mutating func insert(
    _ bytes: RawSpan, at offset: UInt64, mostGaps: Int, pool: ChunkShare, for need: ChunkShare.Need = .ordinary
  ) -> Outcome {
    let end = offset &+ UInt64(bytes.byteCount)
    if offset == contiguous, islands.isEmpty {
      guard chain.write(bytes, at: offset, from: pool, for: need) else { return .noRoom }
      contiguous = end
      highest = max(highest, end)
      return .accepted
    }
    guard end > contiguous else { return .accepted }
    guard end > offset else {
      // An end without bytes, which came before them: they count from now on.
      highest = max(highest, end)
      return .accepted
    }
    let low = max(offset, contiguous)
    // Bytes that came before stay as they came, whatever a copy says: only gaps are filled.
    if low > contiguous, islands.count >= mostGaps, !islands.contains(low) { return .noRoom }
    if isEmpty { chain.anchor(at: contiguous) }
    var from = low
    var outcome = Outcome.accepted
    while from < end, let gap = islands.firstGap(in: from..<end) {
      let piece = bytes.extracting(Int(gap.lowerBound &- offset)..<Int(gap.upperBound &- offset))
      let gapNeed = gap.lowerBound > contiguous ? ChunkShare.Need.ahead : islands.isEmpty ? .ordinary : .filling
      guard chain.write(piece, at: gap.lowerBound, from: pool, for: need == .ordinary ? gapNeed : need) else {
        outcome = .noRoom
        break
      }
      islands.insert(gap)
      highest = max(highest, gap.upperBound)
      from = gap.upperBound
    }
    if let first = islands.first, first.lowerBound <= contiguous {
      contiguous = first.upperBound
      islands.removeFirst()
    }
    return outcome
  }

  private var isEmpty: Bool { chain.isEmpty }

  /// Moves up to `output.freeCapacity` bytes to `output`. Returns how many.
  mutating func read(into output: inout OutputRawSpan, pool: ChunkShare) -> Int {
    let count = min(readable, output.freeCapacity)
    guard count > 0 else { return 0 }
    chain.read(count, at: position, into: &output)
    position &+= UInt64(count)
    if position == highest { chain.releaseAll(to: pool) } else { chain.release(below: position, to: pool) }
    return count
  }

  /// Drops all bytes that were not read, and counts them as read.
  mutating func discard(pool: ChunkShare) {
    chain.releaseAll(to: pool)
    islands.removeAll()
    contiguous = highest
    position = highest
  }

  /// Counts bytes that came while nobody reads any more.
  mutating func skip(to end: UInt64) {
    highest = max(highest, end)
    contiguous = highest
    position = highest
  }

  /// Begins with the first byte of something else. Everything was read or dropped.
  mutating func begin() {
    position = 0
    contiguous = 0
    highest = 0
  }

  mutating func trim() {
    chain.trim()
    islands.trim()
  }
}
