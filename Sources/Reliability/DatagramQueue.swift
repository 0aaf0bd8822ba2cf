internal import MeshPrimitives

/// Datagrams that wait for a packet, oldest first. When there are too many, the oldest go: what is new is worth more.
final class DatagramQueue {
  struct Entry {
    let channel: OutgoingChannel
    /// Bytes.
    let size: Int
  }

  /// The most that wait.
  static let most = 256
  /// The most bytes that wait.
  static let mostBytes = 256 << 10

  private var chain = ChunkChain(.sending)
  private var start: UInt64 = 0
  private var end: UInt64 = 0
  private var entries = Ring<Entry>()
  var isReady = false
  /// Datagrams that were given up, to make room or since the path became too narrow.
  private(set) var dropped: UInt64 = 0

  var isEmpty: Bool { entries.isEmpty }
  var first: Entry? { entries.first }

  /// The datagram at `index` from the front; `nil` behind the last.
  subscript(index: Int) -> Entry? { index < entries.count ? entries[index] : nil }

  /// Takes a datagram; returns `false`, and counts it, when there is no memory.
  func append(_ bytes: RawSpan, on channel: OutgoingChannel, pool: ChunkShare) -> Bool {
    while !entries.isEmpty, entries.count >= Self.most || Int(end - start) + bytes.byteCount > Self.mostBytes {
      dropFirst(pool: pool)
    }
    guard chain.write(bytes, at: end, from: pool) else {
      dropped += 1
      return false
    }
    end &+= UInt64(bytes.byteCount)
    entries.append(Entry(channel: channel, size: bytes.byteCount))
    return true
  }

  /// Gives the first one up.
  func dropFirst(pool: ChunkShare) {
    dropped += 1
    removeFirst(pool: pool)
  }

  /// Appends the bytes of the first one, and forgets it.
  func takeFirst(into output: inout OutputRawSpan, pool: ChunkShare) {
    guard let first else { return }
    chain.read(first.size, at: start, into: &output)
    removeFirst(pool: pool)
  }

  private func removeFirst(pool: ChunkShare) {
    guard let first = entries.popFirst() else { return }
    start &+= UInt64(first.size)
    if start == end { chain.releaseAll(to: pool) } else { chain.release(below: start, to: pool) }
  }

  func discard(pool: ChunkShare) {
    chain.releaseAll(to: pool)
    entries.removeAll()
    start = end
  }

  func trim() {
    chain.trim()
    if entries.isEmpty { entries.removeAll() }
  }
}
