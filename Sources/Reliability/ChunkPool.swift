/// A capped supply of 4 KiB chunks that the stream buffers of all connections of a node share.
///
/// Bytes to send take at most half of it, received ones three quarters: neither can shut out the other. Connections take by
/// way of a ``ChunkShare``. Chunks that come back are kept for the next taker up to `retained` bytes; the rest is freed at
/// once. Taking and giving back a kept chunk allocates nothing. Not thread-safe: it belongs to the thread that owns the node.
public final class ChunkPool {
  /// Bytes in a chunk.
  public static let chunkSize = 1 << chunkShift
  static let chunkShift = 12

  /// Which way the bytes of a chunk go.
  enum Direction { case sending, receiving }

  /// The most chunks that may be out at once.
  public let capacity: Int
  // Nothing reaches them while they are being changed; the checks for that at run time, for each chunk, are off.
  @exclusivity(unchecked) private var sending = 0
  @exclusivity(unchecked) private var receiving = 0
  @exclusivity(unchecked) private var idle: [Chunk] = []
  /// Chunks that must come back before those who had bytes to send, and found no room, are told; 0: nobody did.
  @exclusivity(unchecked) private var awaited = 0
  private var isRelieved = false
  /// Chunks that are out now.
  public var used: Int { unsafe sending + receiving }
  /// The most chunks that were out at once since the pool was made.
  public private(set) var highWater = 0
  private let retained: Int

  /// - Parameters:
  ///   - capacity: the most bytes that may be in use at once; rounded down to whole chunks.
  ///   - retained: the most bytes kept for reuse while nobody uses them.
  public init(capacity: Int = 64 << 20, retained: Int = 16 << 20) {
    precondition(capacity >= Self.chunkSize && retained >= 0, "the pool must hold at least one chunk")
    self.capacity = capacity >> Self.chunkShift
    self.retained = retained >> Self.chunkShift
  }

  deinit { trim() }

  /// Bytes of memory that the pool holds: in use and kept for reuse.
  public var footprint: Int { unsafe (used + idle.count) << Self.chunkShift }

  /// Frees the chunks that are kept for reuse. For an idle node.
  public func trim() {
    for chunk in unsafe idle { chunk.deallocate() }
    unsafe idle = []
  }

  /// Whether chunks have come back since somebody who had bytes to send found none: then every connection that takes from
  /// the pool is to be told (``Connection/offerRoom()``). `true` once.
  public func takeRelief() -> Bool {
    defer { isRelieved = false }
    return isRelieved
  }

  func noteShortage() {
    if unsafe awaited == 0 { unsafe awaited = min(16, max(1, capacity / 16)) }
  }

  /// Chunks that nobody has, of those for one direction.
  func room(_ direction: Direction) -> Int {
    let most = unsafe direction == .sending ? capacity / 2 - sending : capacity - capacity / 4 - receiving
    return max(0, min(most, capacity - used))
  }

  /// A chunk of undefined content, or `nil` at the cap.
  func take(_ direction: Direction) -> Chunk? {
    guard used < capacity else { return nil }
    if direction == .sending { unsafe sending += 1 } else { unsafe receiving += 1 }
    if used > highWater { highWater = used }
    return unsafe idle.popLast() ?? Chunk()
  }

  func give(_ chunk: Chunk, _ direction: Direction) {
    if direction == .sending { unsafe sending -= 1 } else { unsafe receiving -= 1 }
    if unsafe awaited > 0 {
      unsafe awaited = used == 0 ? 0 : awaited - 1
      if unsafe awaited == 0 { isRelieved = true }
    }
    if unsafe idle.count < retained { unsafe idle.append(chunk) } else { chunk.deallocate() }
  }
}

/// One piece of memory of a ``ChunkPool``. Whoever took it gives it back exactly once; every access is bounds-checked.
@safe
struct Chunk {
  private let memory: UnsafeMutableRawPointer

  fileprivate init() {
    unsafe memory = .allocate(byteCount: ChunkPool.chunkSize, alignment: 64)
  }

  fileprivate func deallocate() { unsafe memory.deallocate() }

  /// Copies `bytes` to `position`. Traps when they do not fit.
  func write(_ bytes: RawSpan, at position: Int) {
    precondition(position >= 0 && bytes.byteCount <= ChunkPool.chunkSize - position)
    unsafe bytes.withUnsafeBytes { source in
      guard let from = source.baseAddress else { return }
      unsafe (memory + position).copyMemory(from: from, byteCount: source.count)
    }
  }

  /// Appends `count` bytes from `position` on. Traps when the range is out of bounds or does not fit.
  func read(_ count: Int, at position: Int, into output: inout OutputRawSpan) {
    precondition(position >= 0 && count >= 0 && count <= ChunkPool.chunkSize - position)
    precondition(count <= output.freeCapacity)
    unsafe output.withUnsafeMutableBytes { target, filled in
      guard let start = target.baseAddress else { return }
      unsafe (start + filled).copyMemory(from: memory + position, byteCount: count)
      filled += count
    }
  }
}
