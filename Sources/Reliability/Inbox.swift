internal import MeshPrimitives

/// Whole messages, or datagrams, that have come and were not read. Those that came whole lie packed one behind the other.
struct Inbox {
  private struct Entry {
    let size: Int
    /// Holds the bytes of a message that came in pieces.
    let assembled: IncomingMessage?
  }

  /// Holders of messages that are kept for others.
  private static let mostSpare = 16

  private var chain = ChunkChain(.receiving)
  private var start: UInt64 = 0
  private var end: UInt64 = 0
  private var entries = Ring<Entry>()
  /// The next one is worth an event.
  var wantsReadable = true

  var count: Int { entries.count }
  var isEmpty: Bool { entries.isEmpty }
  /// Bytes in all of them.
  private(set) var bytes = 0
  /// What all of them take of the connection's window, if they are messages.
  var cost: UInt64 { UInt64(bytes) + UInt64(count) * IncomingMessage.overhead }
  /// Bytes of the first one.
  var firstSize: Int? { entries.first?.size }

  /// Copies one that came whole. Returns `false` when there is no memory.
  mutating func append(_ bytes: RawSpan, pool: ChunkShare, for need: ChunkShare.Need = .ordinary) -> Bool {
    guard chain.write(bytes, at: end, from: pool, for: need) else { return false }
    end &+= UInt64(bytes.byteCount)
    self.bytes += bytes.byteCount
    entries.append(Entry(size: bytes.byteCount, assembled: nil))
    return true
  }

  /// Takes over a message whose pieces have all come.
  mutating func append(_ message: IncomingMessage) {
    bytes += Int(message.size)
    entries.append(Entry(size: Int(message.size), assembled: message))
  }

  /// Moves the first one to `output`, which has room for it. Returns its size; `nil` when there is none.
  /// - Parameter emptied: gets what held it, if something did.
  mutating func takeFirst(
    into output: inout OutputRawSpan, pool: ChunkShare, emptied: inout [IncomingMessage]
  ) -> Int? {
    guard let first = entries.popFirst() else { return nil }
    bytes -= first.size
    if let message = first.assembled {
      while message.buffer.read(into: &output, pool: pool) > 0 {}
      if emptied.count < Self.mostSpare { emptied.append(message) }
    } else {
      chain.read(first.size, at: start, into: &output)
      start &+= UInt64(first.size)
      if start == end { chain.releaseAll(to: pool) } else { chain.release(below: start, to: pool) }
    }
    return first.size
  }

  mutating func discard(pool: ChunkShare) {
    while let entry = entries.popFirst() { entry.assembled?.buffer.discard(pool: pool) }
    chain.releaseAll(to: pool)
    start = end
    bytes = 0
  }

  mutating func trim() {
    chain.trim()
    if entries.isEmpty { entries.removeAll() }
  }
}
