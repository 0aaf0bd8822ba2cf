internal import MeshPrimitives

/// The messages of one lane on their way to the peer.
///
/// They lie one behind the other in a buffer of their own, each followed by one byte that is never sent, so that an empty
/// message has a place, too:
///
///     | message | 0 | message | 0 | … |
///
/// What of the buffer is acknowledged or lost is kept in its offsets, as for a stream; memory is freed from the front.
/// A class, since what it holds must be given back to the pool.
final class MessageQueue {
  struct Entry {
    /// Given when the first piece is sent.
    var id: UInt64
    /// Where the message begins in the buffer.
    let start: UInt64
    /// Bytes.
    let size: Int
    /// 0: unordered.
    let sequence: UInt64
    let channel: OutgoingChannel

    /// Behind the byte that follows the message.
    var end: UInt64 { start &+ UInt64(size) &+ 1 }
    /// What the message takes of the connection's window.
    var cost: UInt64 { IncomingMessage.cost(of: UInt64(size)) }
  }

  /// What could be sent next.
  struct Piece {
    var entry: Entry
    /// Offsets in the buffer.
    var range: Range<UInt64>
    var isAgain: Bool
    /// Index of the entry.
    var index: Int
  }

  private static let terminator: [UInt8] = [0]

  private var buffer = SendBuffer()
  private var entries = Ring<Entry>()
  /// Entries before this index were sent whole at least once.
  private var unsent = 0
  /// The lane's messages are in the queue of those that may send.
  var isReady = false
  /// And in that of those with something that was lost.
  var isRepairing = false
  var isBlockedByConnection = false
  /// A message found no room.
  var wantsWritable = false
  /// It found none in the pool.
  var isStarving = false

  /// Bytes held, with one for each message.
  var buffered: Int { buffer.buffered }
  var isEmpty: Bool { entries.isEmpty }
  /// Whether something was sent, and has to be sent again.
  var hasLost: Bool { buffer.hasLost }

  /// Takes a whole message. Returns `false`, and has done nothing, when there is no room for it.
  func append(_ message: RawSpan, on channel: OutgoingChannel, ordered: Bool, limit: Int, pool: ChunkShare) -> Bool {
    let needed = message.byteCount + 1
    guard buffer.room(limit: limit, in: pool) >= needed else {
      isStarving = buffer.buffered + needed <= limit
      return false
    }
    let start = buffer.end
    guard buffer.write(message, limit: limit, from: pool) == message.byteCount,
      buffer.write(Self.terminator.bytes, limit: limit, from: pool) == 1
    else { preconditionFailure("the room was there") }
    let sequence = ordered ? channel.nextSequence : 0
    if ordered { channel.nextSequence += 1 }
    entries.append(Entry(id: .max, start: start, size: message.byteCount, sequence: sequence, channel: channel))
    return true
  }

  /// Whether something can be sent, with so much of the connection's window left.
  enum Readiness { case nothing, onlyWithConnectionWindow, something }

  func readiness(credit: UInt64) -> Readiness {
    if buffer.hasLost { return .something }
    guard unsent < entries.count else { return .nothing }
    let entry = entries[unsent]
    return buffer.sent > entry.start || entry.cost <= credit ? .something : .onlyWithConnectionWindow
  }

  /// The next piece: what was lost first. ``readiness(credit:)`` has said `.something`.
  func nextPiece() -> Piece {
    if let lost = buffer.nextLost {
      let index = find(lost.lowerBound)
      let entry = entries[index]
      return Piece(
        entry: entry, range: lost.lowerBound..<min(lost.upperBound, entry.end), isAgain: true, index: index)
    }
    let entry = entries[unsent]
    return Piece(entry: entry, range: buffer.sent..<entry.end, isAgain: false, index: unsent)
  }

  /// The message of ``nextPiece()`` is begun.
  func begin(_ piece: inout Piece, id: UInt64) {
    piece.entry.id = id
    entries[piece.index] = piece.entry
  }

  /// The beginning of ``nextPiece()``, up to `end`, goes into a packet.
  func markSent(_ piece: Piece, upTo end: UInt64) {
    if piece.isAgain {
      buffer.markSentAgain(upTo: end)
    } else {
      buffer.markSent(upTo: end)
      if end == piece.entry.end { unsent += 1 }
    }
  }

  func read(_ range: Range<UInt64>, into output: inout OutputRawSpan) { buffer.read(range, into: &output) }

  /// The peer has `range`; `bindsChannel`: and the name that came with it.
  func acknowledge(_ range: Range<UInt64>, bindsChannel: Bool, pool: ChunkShare) {
    guard range.upperBound > buffer.start else { return }
    if bindsChannel, range.lowerBound >= entries[0].start { entries[find(range.lowerBound)].channel.isBound = true }
    buffer.acknowledge(range, pool: pool)
    while let first = entries.first, first.end <= buffer.start {
      _ = entries.popFirst()
      unsent -= 1
    }
  }

  /// The packet that carried `range` was lost.
  func lose(_ range: Range<UInt64>) { buffer.lose(range) }

  /// Lets the oldest bytes that the peer does not have be sent again, `count` at most.
  func loseOldest(_ count: Int) { buffer.lose(buffer.start..<min(buffer.start &+ UInt64(count), buffer.sent)) }

  /// The index of the message that `offset` lies in: O(log n).
  private func find(_ offset: UInt64) -> Int {
    var low = 0
    var high = entries.count - 1
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].end > offset { high = middle } else { low = middle + 1 }
    }
    return low
  }

  func discard(pool: ChunkShare) {
    buffer.discard(pool: pool)
    entries.removeAll()
    unsent = 0
  }

  func trim() {
    buffer.trim()
    if entries.isEmpty { entries.removeAll() }
  }
}
