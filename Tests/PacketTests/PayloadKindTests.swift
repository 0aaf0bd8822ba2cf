import MeshPacket
import MeshPrimitives
import Testing

@Suite("Payload kind") struct PayloadKindTests {
  static let kinds: [([UInt8], PayloadKind)] = [
    ([], .keepalive),
    ([0x45, 0, 0], .ip(version: 4)), ([0x60], .ip(version: 6)),
    ([0x00], .rawDatagram(1..<1)), ([0x02, 9, 8, 0, 0], .rawDatagram(1..<3)),
    ([0x80, 16], .typed(type: 16, body: 2..<2)), ([0x81, 16, 7, 0], .typed(type: 16, body: 2..<3)),
    ([0x80, 0x80, 1, 5], .typed(type: 128, body: 3..<4)), ([0x82, 1, 0, 0], .typed(type: 1, body: 2..<2)),
    // More padding than bytes, padding that is not zero, no type, an overlong type, other first bytes.
    ([0x01], .malformed), ([0x03, 0, 0], .malformed), ([0x01, 1], .malformed), ([0x81, 16, 1], .malformed),
    ([0x80], .malformed), ([0x81, 0], .malformed), ([0x80, 0x90, 0], .malformed), ([0x80, 0x90], .malformed),
    ([0x10], .malformed), ([0x50, 1], .malformed), ([0x90, 16], .malformed), ([0xFF], .malformed),
  ]

  @Test(arguments: kinds) func `the first byte tells`(payload: [UInt8], kind: PayloadKind) {
    #expect(PayloadKind(payload.bytes) == kind)
  }

  @Test(arguments: 0...16) func `up to 15 zeros bring a frame to an exact length`(missing: Int) {
    let payload = packet(capacity: 64) { output in
      output.append(UInt8(0xEE))
      PayloadKind.writeTypedHeader(to: &output)
      output.append([1, 2, 3].bytes)
      let padded = PayloadKind.pad(to: 5 + missing, from: 1, in: &output)
      #expect(padded == (missing < 16))
    }
    let count = missing < 16 ? 5 + missing : 5
    #expect(payload.count == 1 + count)
    #expect(PayloadKind(Array(payload.dropFirst()).bytes) == .typed(type: 16, body: 2..<5))
  }
}
