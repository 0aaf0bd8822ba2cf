/// What one connection takes from the ``ChunkPool`` of its node.
///
/// For each direction it may hold twice as much as is left for all others: alone two thirds, and the less the more others
/// there are, but never all. A connection that hoards thus leaves room for those to come. (A. Choudhury and E. Hahne,
/// "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998.)
final class ChunkShare {
  private let pool: ChunkPool
  // As in the pool.
  @exclusivity(unchecked) private var sending = 0
  @exclusivity(unchecked) private var receiving = 0

  /// Chunks that a share may always take while there are any.
  private static let least = 16

  init(of pool: ChunkPool) { self.pool = pool }

  /// Bytes to send that can be held at most, when nobody else holds any.
  var mostToSend: Int { max(Self.least, pool.capacity / 3 - 1) << ChunkPool.chunkShift }

  /// Which bytes chunks are wanted for. What frees memory in the end goes before what waits for it.
  enum Need {
    /// Bytes to send, or received ones that can be read.
    case ordinary
    /// Received bytes in front of which something is missing: an eighth of the pool is kept from them.
    case ahead
    /// Received bytes that make those behind them readable: they have no share, but all that is left.
    case filling
  }

  /// Chunks that may be taken now.
  func room(_ direction: ChunkPool.Direction, for need: Need = .ordinary) -> Int {
    let held = direction == .sending ? unsafe sending : unsafe receiving
    let left = pool.room(direction)
    if need == .filling { return left }
    let free = need == .ahead ? max(0, left - pool.capacity / 8) : left
    return min(free, max(0, Self.least - held, (2 * free - held) / 3))
  }

  func take(_ direction: ChunkPool.Direction) -> Chunk? {
    guard let chunk = pool.take(direction) else { return nil }
    if direction == .sending { unsafe sending += 1 } else { unsafe receiving += 1 }
    return chunk
  }

  func give(_ chunk: Chunk, _ direction: ChunkPool.Direction) {
    if direction == .sending { unsafe sending -= 1 } else { unsafe receiving -= 1 }
    pool.give(chunk, direction)
  }

  /// Somebody had bytes to send, and there was no room for them.
  func noteShortage() { pool.noteShortage() }
}
