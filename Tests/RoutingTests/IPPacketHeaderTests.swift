import MeshPrimitives
import MeshRouting
import Testing

@Suite("IP packet header") struct IPPacketHeaderTests {
  /// 192.0.2.1 to 198.51.100.2, UDP, 28 bytes, ECT(0).
  static let v4: [UInt8] =
    [0x45, 0x02, 0, 28, 0, 1, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2] + [UInt8](repeating: 7, count: 8)
  /// fd00::1 to fd00::2, ICMPv6, 48 bytes, CE.
  static let v6: [UInt8] =
    [0x60, 0x30, 0, 0, 0, 8, 58, 64] + [0xFD] + [UInt8](repeating: 0, count: 14) + [1]
    + [0xFD] + [UInt8](repeating: 0, count: 14) + [2] + [UInt8](repeating: 7, count: 8)

  @Test func `an IPv4 header`() throws {
    let header = try IPPacketHeader(parsing: Self.v4.bytes)
    #expect(header.source == IPAddress("192.0.2.1") && header.destination == IPAddress("198.51.100.2"))
    #expect(header.totalLength == 28 && header.headerLength == 20 && header.nextHeader == 17)
    #expect(header.ecn == .ect0 && header.trafficClass == 2 && header.family == .v4)
  }

  @Test func `an IPv6 header`() throws {
    let header = try IPPacketHeader(parsing: Self.v6.bytes)
    #expect(header.source == IPAddress("fd00::1") && header.destination == IPAddress("fd00::2"))
    #expect(header.totalLength == 48 && header.headerLength == 40 && header.nextHeader == 58)
    #expect(header.ecn == .ce && header.trafficClass == 3 && header.family == .v6)
  }

  @Test(arguments: [v4, v6]) func `padding behind the packet is not part of it`(packet: [UInt8]) throws {
    let padded = packet + [UInt8](repeating: 0, count: 5)
    #expect(try IPPacketHeader(parsing: padded.bytes).totalLength == packet.count)
  }

  @Test(arguments: [v4, v6]) func `a packet that was cut anywhere is refused`(packet: [UInt8]) {
    for count in 0..<packet.count {
      let bytes = Array(packet.prefix(count))
      #expect(throws: DecodeError.self, "\(count) bytes") { try IPPacketHeader(parsing: bytes.bytes) }
    }
  }

  static let malformed: [(Int, UInt8, DecodeError)] = [
    (0, 0x55, .unexpected(offset: 0)), (0, 0x05, .unexpected(offset: 0)), (0, 0x44, .unexpected(offset: 0)),
    (0, 0x4F, .unexpected(offset: 2)), (3, 19, .unexpected(offset: 2)), (3, 29, .truncated(needed: 29, available: 28)),
    (2, 0xFF, .truncated(needed: 0xFF1C, available: 28)),
  ]
  @Test(arguments: malformed)
  func `lengths that cannot be are refused`(offset: Int, value: UInt8, error: DecodeError) {
    var packet = Self.v4
    packet[offset] = value
    #expect(throws: error) { try IPPacketHeader(parsing: packet.bytes) }
  }

  @Test func `no bytes can make it trap`() {
    var random = SplitMix64(state: 3)
    for _ in 0..<20_000 {
      var bytes = (0..<Int(random.next() % 64)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      if !bytes.isEmpty { bytes[0] = bytes[0] & 0x0F | (random.next() % 2 == 0 ? 0x40 : 0x60) }
      if bytes.count > 4 { bytes[2] = 0 }
      if let header = try? IPPacketHeader(parsing: bytes.bytes) {
        #expect(header.headerLength <= header.totalLength && header.totalLength <= bytes.count)
      }
    }
  }
}
