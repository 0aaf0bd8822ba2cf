public import MeshPrimitives

/// What routing needs to know of an IP packet: RFC 791 §3.1, RFC 8200 §3.
@frozen
public struct IPPacketHeader: Equatable, Sendable {
  public let source: IPAddress
  public let destination: IPAddress
  /// Bytes of the whole packet by its own header. What follows them is padding (wireguard.md A.7).
  public let totalLength: Int
  /// Bytes of the IPv4 header with its options, or the 40 of IPv6 without extension headers.
  public let headerLength: Int
  /// The DSCP in the upper six bits, ECN in the lower two.
  public let trafficClass: UInt8
  /// What follows the header, as numbered by IANA: 1 ICMP, 6 TCP, 17 UDP, 58 ICMPv6. For IPv6 it may be an extension
  /// header.
  public let nextHeader: UInt8

  @inlinable public var family: IPAddress.Family { source.family }
  @inlinable public var ecn: ECN { ECN(trafficClass: trafficClass) }

  /// Reads the header of the packet at the start of `bytes`. The checksum of IPv4 is not looked at.
  ///
  /// - Throws: `.unexpected` when `bytes` begin neither like IPv4 nor like IPv6, or when a length in the header is below
  ///   that of the header itself; `.truncated` when the header or the packet does not fit into `bytes`.
  @inlinable
  public init(parsing bytes: RawSpan) throws(DecodeError) {
    guard bytes.byteCount > 0 else { throw .truncated(needed: 1, available: 0) }
    var reader = ByteReader(bytes)
    switch bytes.byte(at: 0) >> 4 {
    case 4:
      try reader.require(20)
      headerLength = Int(bytes.byte(at: 0) & 0xF) &* 4
      guard headerLength >= 20 else { throw .unexpected(offset: 0) }
      trafficClass = bytes.byte(at: 1)
      try reader.skip(2)
      totalLength = Int(try reader.readUInt16(.big))
      guard totalLength >= headerLength else { throw .unexpected(offset: 2) }
      nextHeader = bytes.byte(at: 9)
      try reader.skip(8)
      source = IPAddress(v4: try reader.readUInt32(.big))
      destination = IPAddress(v4: try reader.readUInt32(.big))
    case 6:
      try reader.require(40)
      headerLength = 40
      trafficClass = UInt8(truncatingIfNeeded: try reader.readUInt32(.big) >> 20)
      totalLength = Int(try reader.readUInt16(.big)) &+ 40
      nextHeader = try reader.readUInt8()
      try reader.skip(1)
      source = IPAddress(v6High: try reader.readUInt64(.big), low: try reader.readUInt64(.big))
      destination = IPAddress(v6High: try reader.readUInt64(.big), low: try reader.readUInt64(.big))
    default:
      throw .unexpected(offset: 0)
    }
    guard totalLength <= bytes.byteCount else { throw .truncated(needed: totalLength, available: bytes.byteCount) }
  }
}
