internal import MeshPrimitives

extension IPPacketHeader {
  /// Sets the mark of congestion, CE, in the header of the packet at the start of `packet`, and mends the checksum of IPv4
  /// (RFC 1624). Only for packets whose header was parsed; a transport that knows no ECN must not get it.
  public static func markCongestion(_ packet: inout MutableRawSpan) {
    guard packet.byteCount >= 20 else { return }
    let first = packet.bytes.byte(at: 0)
    let second = packet.bytes.byte(at: 1)
    if first >> 4 == 6 {
      packet.storeBytes(of: second | 0x30, toByteOffset: 1, as: UInt8.self)
      return
    }
    let old = UInt32(first) << 8 | UInt32(second)
    packet.storeBytes(of: second | 0b11, toByteOffset: 1, as: UInt8.self)
    let sum = UInt32(packet.bytes.byte(at: 10)) << 8 | UInt32(packet.bytes.byte(at: 11))
    // HC' = ~(~HC + ~m + m')
    var mended = (~sum & 0xFFFF) + (~old & 0xFFFF) + (old | 0b11)
    mended = (mended & 0xFFFF) + mended >> 16
    mended = (mended & 0xFFFF) + mended >> 16
    packet.storeBytes(of: UInt16(truncatingIfNeeded: ~mended).bigEndian, toByteOffset: 10, as: UInt16.self)
  }
}
