/// The bytes that a stream sends, kept until they are acknowledged, and what of them is to be sent.
///
///     start          sent                 end
///       | acked, lost, |   not sent yet    |
///       | or in flight |                   |
struct SendBuffer {
  private var chain = ChunkChain(.sending)
  /// Bytes below were acknowledged, and are gone.
  private(set) var start: UInt64 = 0
  /// Bytes below were sent at least once.
  private(set) var sent: UInt64 = 0
  /// Bytes below were written.
  private(set) var end: UInt64 = 0
  private var acked = RangeSet()
  private var lost = RangeSet()

  /// Bytes that were never sent.
  var unsent: Int { Int(end &- sent) }
  /// Bytes held.
  var buffered: Int { Int(end &- start) }
  var hasLost: Bool { !lost.isEmpty }
  var isFullyAcknowledged: Bool { start == end }

  /// Bytes that ``write(_:limit:from:)`` would take.
  func room(limit: Int, in pool: ChunkShare) -> Int {
    min(max(0, limit - buffered), chain.room(at: end, in: pool))
  }

  /// Copies as much of `bytes` as `limit` bytes in the buffer and the pool allow. Returns how much.
  mutating func write(_ bytes: RawSpan, limit: Int, from pool: ChunkShare) -> Int {
    let count = min(bytes.byteCount, room(limit: limit, in: pool))
    guard count > 0, chain.write(bytes.extracting(0..<count), at: end, from: pool) else { return 0 }
    end &+= UInt64(count)
    return count
  }

  /// The next range to send again, if any: the oldest.
  var nextLost: Range<UInt64>? { lost.first }

  /// The bytes from ``sent`` up to `end` were put into a packet for the first time.
  mutating func markSent(upTo end: UInt64) { sent = end }

  /// The beginning of ``nextLost``, up to `end`, was put into a packet again.
  mutating func markSentAgain(upTo end: UInt64) { lost.removeAll(below: end) }

  func read(_ range: Range<UInt64>, into output: inout OutputRawSpan) {
    chain.read(range.count, at: range.lowerBound, into: &output)
  }

  /// The peer has `range`.
  mutating func acknowledge(_ range: Range<UInt64>, pool: ChunkShare) {
    guard range.upperBound > start else { return }
    if !lost.isEmpty { lost.remove(range) }
    if range.lowerBound <= start {
      start = range.upperBound
      while let next = acked.first, next.lowerBound <= start {
        start = max(start, next.upperBound)
        acked.removeFirst()
      }
      // The last chunk goes as well when all in it was acknowledged: the next write takes a new one.
      if start == end { chain.releaseAll(to: pool) } else { chain.release(below: start, to: pool) }
    } else {
      acked.insert(range)
    }
  }

  /// The packet that carried `range` was lost: what of it is not acknowledged must be sent again.
  mutating func lose(_ range: Range<UInt64>) {
    var low = max(range.lowerBound, start)
    while low < range.upperBound, let gap = acked.firstGap(in: low..<range.upperBound) {
      lost.insert(gap)
      low = gap.upperBound
    }
  }

  /// Drops everything: the stream was reset.
  mutating func discard(pool: ChunkShare) {
    chain.releaseAll(to: pool)
    acked.removeAll()
    lost.removeAll()
    start = end
    sent = end
  }

  mutating func trim() {
    chain.trim()
    acked.trim()
    lost.trim()
  }
}
