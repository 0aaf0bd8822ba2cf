import MeshPrimitives
import MeshRouting

extension Fuzzing {
  /// What routing reads of an IP packet.
  public static func ip(_ input: [UInt8]) {
    guard let header = try? IPPacketHeader(parsing: input.bytes) else { return }
    require(header.headerLength <= header.totalLength, "a header must lie in its packet")
    require(header.totalLength <= input.count, "a packet must lie in its bytes")
    require(header.source.family == header.destination.family, "a packet has one family")
    require(input[0] >> 4 == (header.source.family == .v4 ? 4 : 6), "the family is that of the version")
    // Whatever follows the packet changes nothing.
    require((try? IPPacketHeader(parsing: (input + [0xFF]).bytes)) == header, "padding must not matter")
  }
}
