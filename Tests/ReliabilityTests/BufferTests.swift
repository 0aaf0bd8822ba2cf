import MeshPrimitives
import MeshSimulation
import Testing

@testable import MeshReliability

@Suite("Stream buffers") struct BufferTests {
  private func insert(_ bytes: [UInt8], at offset: UInt64, into buffer: inout ReceiveBuffer, _ pool: ChunkShare)
    -> ReceiveBuffer.Outcome
  {
    buffer.insert(bytes.bytes, at: offset, mostGaps: 100, pool: pool)
  }

  private func read(_ capacity: Int, from buffer: inout ReceiveBuffer, _ pool: ChunkShare) -> [UInt8] {
    [UInt8](capacity: capacity) { _ = buffer.read(into: &$0, pool: pool) }
  }

  private func write(_ bytes: [UInt8], limit: Int, to buffer: inout SendBuffer, _ pool: ChunkShare) -> Int {
    buffer.write(bytes.bytes, limit: limit, from: pool)
  }

  private func sendable(_ range: Range<UInt64>, of buffer: SendBuffer) -> [UInt8] {
    [UInt8](capacity: range.count) { buffer.read(range, into: &$0) }
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func `pieces in any order come out as they were written`(seed: UInt64) {
    var entropy = SeededEntropy(seed: seed)
    let pool = ChunkPool(capacity: 1 << 20)
    let share = ChunkShare(of: pool)
    var buffer = ReceiveBuffer()
    let size = 60_000
    let content = pattern(seed, 0..<size)
    var missing = RangeSet()
    missing.insert(0..<UInt64(size))
    var output: [UInt8] = []
    while output.count < size {
      // Pieces overlap, repeat, and lie within a window of what was read.
      let low = min(size - 1, output.count + Int(entropy.upTo(16_000)) - 500)
      let from = max(0, low)
      let to = min(size, from + 1 + Int(entropy.upTo(2_500)))
      #expect(insert(Array(content[from..<to]), at: UInt64(from), into: &buffer, share) == .accepted)
      if entropy.chance(0.3) {
        output += read(1 + Int(entropy.upTo(5_000)), from: &buffer, share)
      }
      #expect(pool.used <= 7, "seed \(seed)")
    }
    #expect(isSame(output, content), "seed \(seed)")
    #expect(pool.used == 0, "seed \(seed)")
  }

  @Test func `bytes that came first stay when a copy says otherwise`() {
    let share = ChunkShare(of: ChunkPool())
    var buffer = ReceiveBuffer()
    #expect(insert([1, 1, 1], at: 2, into: &buffer, share) == .accepted)
    #expect(insert([9, 9, 9, 9, 9, 9, 9], at: 0, into: &buffer, share) == .accepted)
    #expect(read(10, from: &buffer, share) == [9, 9, 1, 1, 1, 9, 9])
  }

  @Test func `a full pool refuses, and what was stored before stays`() {
    let share = ChunkShare(of: ChunkPool(capacity: 4_096))
    var buffer = ReceiveBuffer()
    let bytes = pattern(1, 0..<4_096)
    #expect(insert(bytes, at: 0, into: &buffer, share) == .accepted)
    #expect(insert([1], at: 4_096, into: &buffer, share) == .noRoom)
    #expect(read(5_000, from: &buffer, share) == bytes)
    #expect(insert([1], at: 4_096, into: &buffer, share) == .accepted)
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>)
  func `what is lost is sent again until all is acknowledged, and nothing is held after`(seed: UInt64) {
    var entropy = SeededEntropy(seed: seed)
    let pool = ChunkPool(capacity: 1 << 20)
    let share = ChunkShare(of: pool)
    var buffer = SendBuffer()
    let content = pattern(seed, 0..<50_000)
    var received = [UInt8](repeating: 0, count: content.count)
    var written = 0
    var flying: [Range<UInt64>] = []
    while !(written == content.count && buffer.isFullyAcknowledged) {
      if written < content.count, entropy.chance(0.3) {
        let end = min(content.count, written + Int(entropy.upTo(9_000)))
        written += write(Array(content[written..<end]), limit: 20_000, to: &buffer, share)
      }
      if let lost = buffer.nextLost {
        let piece = lost.lowerBound..<min(lost.upperBound, lost.lowerBound + 900)
        buffer.markSentAgain(upTo: piece.upperBound)
        flying.append(piece)
      } else if buffer.sent < buffer.end {
        let piece = buffer.sent..<min(buffer.end, buffer.sent + 1_100)
        buffer.markSent(upTo: piece.upperBound)
        flying.append(piece)
      }
      if !flying.isEmpty, entropy.chance(0.7) {
        let piece = flying.remove(at: Int(entropy.upTo(Int64(flying.count - 1))))
        if entropy.chance(0.2) {
          buffer.lose(piece)
        } else {
          // Acknowledged data is read at the time of sending; here it is still there, since nothing acknowledged it.
          if piece.upperBound > buffer.start, piece.lowerBound >= buffer.start {
            let bytes = sendable(piece, of: buffer)
            received.replaceSubrange(Int(piece.lowerBound)..<Int(piece.upperBound), with: bytes)
          }
          buffer.acknowledge(piece, pool: share)
        }
      }
      #expect(buffer.buffered <= 20_000)
    }
    #expect(isSame(received, content), "seed \(seed)")
    #expect(pool.used == 0, "seed \(seed)")
  }

  @Test func `a pool that is nearly used up takes part of a write`() {
    let pool = ChunkPool(capacity: 6 * 4_096)
    let share = ChunkShare(of: pool)
    var buffer = SendBuffer()
    #expect(write(pattern(0, 0..<5_000), limit: 1 << 20, to: &buffer, share) == 5_000)
    #expect(write(pattern(0, 5_000..<30_000), limit: 1 << 20, to: &buffer, share) == 3 * 4_096 - 5_000)
    #expect(write([1], limit: 1 << 20, to: &buffer, share) == 0)
    buffer.markSent(upTo: buffer.end)
    buffer.acknowledge(0..<12_288, pool: share)
    #expect(pool.used == 0)
  }

  @Test func `chunks are reused up to the retained amount`() {
    let pool = ChunkPool(capacity: 100 * 4_096, retained: 10 * 4_096)
    let chunks = (0..<50).map { _ in pool.take(.sending)! }
    #expect(pool.footprint == 50 * 4_096)
    for chunk in chunks { pool.give(chunk, .sending) }
    #expect(pool.used == 0 && pool.footprint == 10 * 4_096)
    pool.trim()
    #expect(pool.footprint == 0)
  }

  @Test func `who hoards leaves room for those to come, and neither direction shuts out the other`() {
    let pool = ChunkPool(capacity: 1_200 * 4_096)
    let shares = (0..<5).map { _ in ChunkShare(of: pool) }
    var held: [Int] = []
    for share in shares {
      var count = 0
      while share.room(.receiving) > 0, share.take(.receiving) != nil { count += 1 }
      held.append(count)
    }
    // Alone two thirds, the next two thirds of the rest, and so on; each at least something.
    #expect(held[0] == 600 && held[1] == 200)
    #expect(held.allSatisfy { $0 > 0 })
    #expect(shares[0].room(.sending) > 100)
    #expect(shares[0].room(.receiving, for: .ahead) == 0)
  }

  @Test func `those who found no memory are told once some has come back`() {
    let pool = ChunkPool(capacity: 1_200 * 4_096)
    let share = ChunkShare(of: pool)
    var chunks: [Chunk] = []
    while share.room(.sending) > 0 { chunks.append(share.take(.sending)!) }
    share.noteShortage()
    #expect(!pool.takeRelief())
    for _ in 0..<15 { share.give(chunks.removeLast(), .sending) }
    #expect(!pool.takeRelief())
    share.give(chunks.removeLast(), .sending)
    #expect(pool.takeRelief())
    #expect(!pool.takeRelief())
    share.noteShortage()
    while let chunk = chunks.popLast() { share.give(chunk, .sending) }
    #expect(pool.takeRelief())
  }
}
