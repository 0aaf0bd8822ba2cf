internal import CMeshProto
internal import CMeshProtobufC
public import MeshPrimitives

extension Wire {
  /// One end-to-end WireGuard packet on its way over a relay.
  public struct Relay: Equatable, Sendable {
    /// The route on this link; never 0.
    public var label: UInt32 = 0
    public var ecn: ECN = .notECT
    public var packet: [UInt8] = []

    public init() {}
  }
}

extension Wire.Relay: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.Relay: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__Relay>) {
    unsafe pnet__mesh__v1__relay__init(message)
  }

  init(_ c: Pnet__Mesh__V1__Relay) throws(WireError) {
    label = unsafe c.label
    ecn = unsafe try Self.codepoint(c.ecn)
    packet = unsafe read(c.packet)
    guard label != 0 else { throw .invalid(field: 1) }
  }

  func fill(_ c: inout Pnet__Mesh__V1__Relay, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.label = label
    unsafe c.ecn = UInt32(ecn.rawValue)
    unsafe c.packet = try arena.bytes(packet)
  }
}

extension Wire.Relay {
  private static func codepoint(_ value: UInt32) throws(WireError) -> ECN {
    guard value <= 3 else { throw .invalid(field: 2) }
    return ECN(trafficClass: UInt8(value))
  }
}
