import MeshPacket
import MeshPrimitives
import Testing

@Suite("Varint") struct VarintTests {
  static let edges: [(UInt64, [UInt8])] = [
    (0, [0]), (1, [1]), (0x7F, [0x7F]), (0x80, [0x80, 1]), (0x3FFF, [0xFF, 0x7F]), (0x4000, [0x80, 0x80, 1]),
    (1 << 32, [0x80, 0x80, 0x80, 0x80, 0x10]),
    (.max, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]),
    (1 << 63, [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1]),
  ]

  @Test(arguments: edges) func `a varint is written in its shortest form and read back`(value: UInt64, bytes: [UInt8])
    throws
  {
    #expect(packet { Varint.write(value, to: &$0) } == bytes)
    #expect(Varint.length(value) == bytes.count)
    var offset = 0
    #expect(try Varint.read(bytes.bytes, at: &offset) == value)
    #expect(offset == bytes.count)
  }

  @Test func `the length is that of the written form at every power of two and one below`() {
    for bit in 0..<64 {
      for value in [1 << UInt64(bit), 1 << UInt64(bit) - 1] as [UInt64] {
        #expect(packet { Varint.write(value, to: &$0) }.count == Varint.length(value))
      }
    }
  }

  static let refused: [([UInt8], PacketError)] = [
    ([], .truncated(offset: 0)), ([0x80], .truncated(offset: 0)),
    ([UInt8](repeating: 0xFF, count: 9), .truncated(offset: 0)),
    ([0x80, 0], .notCanonical(offset: 0)), ([0xFF, 0x80, 0], .notCanonical(offset: 0)),
    ([UInt8](repeating: 0xFF, count: 9) + [2], .notCanonical(offset: 0)),
    ([UInt8](repeating: 0xFF, count: 9) + [0x7F], .notCanonical(offset: 0)),
    ([UInt8](repeating: 0x80, count: 10) + [0], .malformed(offset: 0)),
    ([UInt8](repeating: 0xFF, count: 11), .malformed(offset: 0)),
  ]

  @Test(arguments: refused) func `a varint that is cut, too long or not shortest is refused`(
    bytes: [UInt8], error: PacketError
  ) {
    var offset = 0
    #expect(throws: error) { try Varint.read(bytes.bytes, at: &offset) }
    #expect(offset == 0)
  }
}
