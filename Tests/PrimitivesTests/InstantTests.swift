import MeshPrimitives
import Testing

@Suite("Instant") struct InstantTests {
  @Test func `arithmetic saturates instead of trapping`() {
    let late = Instant(nanoseconds: .max - 1)
    #expect(late + .seconds(1) == .distantFuture)
    #expect(Instant(nanoseconds: .min) - .seconds(1) == Instant(nanoseconds: .min))
    #expect(late + .seconds(Int64.max) == .distantFuture)
    #expect(late.nanoseconds(since: Instant(nanoseconds: -5)) == .max)
    #expect(Instant(nanoseconds: -5).nanoseconds(since: late) < 0)
  }

  @Test func `differences are durations`() {
    #expect(Instant(nanoseconds: 5) - Instant(nanoseconds: 2) == .nanoseconds(3))
    #expect(Instant(nanoseconds: 2) + .milliseconds(1) == Instant(nanoseconds: 1_000_002))
  }

  @Test func `no deadline is later than any`() {
    #expect(earliest(nil, Instant(nanoseconds: 3)) == Instant(nanoseconds: 3))
    #expect(earliest(Instant(nanoseconds: 1), Instant(nanoseconds: 3)) == Instant(nanoseconds: 1))
    #expect(earliest(nil, nil) == nil)
  }
}

@Suite("Byte reader") struct ByteReaderTests {
  @Test func `reads integers in both orders`() throws {
    let bytes: [UInt8] = [1, 2, 3, 4, 5, 6, 7]
    var reader = ByteReader(bytes.bytes)
    #expect(try reader.readUInt16(.big) == 0x0102)
    #expect(try reader.readUInt32(.little) == 0x0605_0403)
    #expect(reader.offset == 6 && reader.remaining == 1)
  }

  @Test func `past the end is an error that leaves the cursor where it was`() {
    let bytes: [UInt8] = [1, 2, 3]
    var reader = ByteReader(bytes.bytes)
    #expect(throws: DecodeError.truncated(needed: 4, available: 3)) { try reader.readUInt32(.little) }
    #expect(throws: DecodeError.truncated(needed: -1, available: 3)) { try reader.skip(-1) }
    #expect(reader.offset == 0)
  }
}
