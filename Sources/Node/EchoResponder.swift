internal import MeshPrimitives

/// Answers ICMP (RFC 792) and ICMPv6 (RFC 4443) echo requests in place, so that a node without a TUN device can be
/// pinged. It does nothing else of an IP host: all other packets are refused.
enum EchoResponder {
  /// Turns an echo request into its reply. `false`, with the packet unchanged, when it is anything else: another
  /// protocol, a fragment, a wrong length or a wrong checksum.
  /// - Parameter packet: one IP packet of exactly its total length.
  static func answer(_ packet: inout MutableRawSpan) -> Bool {
    guard packet.byteCount > 0 else { return false }
    return packet.bytes.byte(at: 0) >> 4 == 4 ? answerV4(&packet) : answerV6(&packet)
  }

  private static func answerV4(_ packet: inout MutableRawSpan) -> Bool {
    guard let header = headerOfRequestV4(packet.bytes) else { return false }
    packet.swap(12, 16, count: 4)
    packet.setByte(0, at: header)
    packet.setByte(64, at: 8)
    packet.setChecksum(at: 10, of: 0..<header, pseudoHeader: 0)
    packet.setChecksum(at: header + 2, of: header..<packet.byteCount, pseudoHeader: 0)
    return true
  }

  /// The length of the IPv4 header, when `packet` is an echo request.
  private static func headerOfRequestV4(_ packet: RawSpan) -> Int? {
    let size = packet.byteCount
    guard size >= 28 else { return nil }
    let header = Int(packet.byte(at: 0) & 0xF) * 4
    guard header >= 20, size >= header + 8, packet.byte(at: 9) == 1 else { return nil }
    // More fragments, or a fragment offset.
    guard packet.byte(at: 6) & 0x3F == 0, packet.byte(at: 7) == 0 else { return nil }
    guard packet.byte(at: header) == 8, packet.byte(at: header + 1) == 0 else { return nil }
    guard packet.sum(0..<header).folded == 0xFFFF, packet.sum(header..<size).folded == 0xFFFF else { return nil }
    return header
  }

  private static func answerV6(_ packet: inout MutableRawSpan) -> Bool {
    guard let pseudoHeader = pseudoHeaderOfRequestV6(packet.bytes) else { return false }
    packet.swap(8, 24, count: 16)
    packet.setByte(129, at: 40)
    packet.setByte(64, at: 7)
    packet.setChecksum(at: 42, of: 40..<packet.byteCount, pseudoHeader: pseudoHeader)
    return true
  }

  /// The sum of the pseudo-header (RFC 8200 §8.1), when `packet` is an echo request.
  private static func pseudoHeaderOfRequestV6(_ packet: RawSpan) -> UInt64? {
    let size = packet.byteCount
    guard size >= 48, packet.byte(at: 0) >> 4 == 6, packet.byte(at: 6) == 58 else { return nil }
    guard packet.byte(at: 40) == 128, packet.byte(at: 41) == 0 else { return nil }
    let pseudoHeader = packet.sum(8..<40) + UInt64(size - 40) + 58
    guard (packet.sum(40..<size) + pseudoHeader).folded == 0xFFFF else { return nil }
    return pseudoHeader
  }
}

extension RawSpan {
  /// The sum of the 16-bit words in `range` (RFC 1071), not folded. An odd byte at the end counts as the high half.
  fileprivate func sum(_ range: Range<Int>) -> UInt64 {
    var sum: UInt64 = 0
    var offset = range.lowerBound
    while offset + 1 < range.upperBound {
      sum += UInt64(byte(at: offset)) << 8 | UInt64(byte(at: offset + 1))
      offset += 2
    }
    if offset < range.upperBound { sum += UInt64(byte(at: offset)) << 8 }
    return sum
  }
}

extension UInt64 {
  fileprivate var folded: UInt16 {
    var sum = self
    while sum > 0xFFFF { sum = (sum & 0xFFFF) + (sum >> 16) }
    return UInt16(sum)
  }
}

extension MutableRawSpan {
  @_lifetime(self: copy self)
  fileprivate mutating func setByte(_ value: UInt8, at offset: Int) {
    storeBytes(of: value, toByteOffset: offset, as: UInt8.self)
  }

  /// Exchanges `count` bytes at two offsets.
  @_lifetime(self: copy self)
  fileprivate mutating func swap(_ left: Int, _ right: Int, count: Int) {
    for index in 0..<count {
      let (first, second) = (bytes.byte(at: left + index), bytes.byte(at: right + index))
      setByte(second, at: left + index)
      setByte(first, at: right + index)
    }
  }

  /// Stores the checksum of `range`, and of what `pseudoHeader` sums up, at `offset` inside it.
  @_lifetime(self: copy self)
  fileprivate mutating func setChecksum(at offset: Int, of range: Range<Int>, pseudoHeader: UInt64) {
    storeBytes(of: 0, toByteOffset: offset, as: UInt16.self)
    let sum = ~(bytes.sum(range) + pseudoHeader).folded
    storeBytes(of: sum.bigEndian, toByteOffset: offset, as: UInt16.self)
  }
}
