/// Why the bytes of a `Packet` were not read. Offsets are in bytes from the start of the message.
@frozen
public enum PacketError: Error, Equatable, Sendable {
  /// An encoding that proto3 allows and this codec does not read: an overlong varint, fields out of order, a singular
  /// field twice, a repeated scalar that is not packed. The whole packet goes to MeshWire, which gives it in canonical form.
  case notCanonical(offset: Int)
  /// The bytes end before the value at `offset` does.
  case truncated(offset: Int)
  /// The bytes at `offset` are not proto3, have another wire type than the field, or a value that it does not allow.
  case malformed(offset: Int)
  /// A field below 64 inside a frame is unknown: the peer means something that this node does not understand.
  case unsupported(field: UInt32, offset: Int)
  /// A length or count at `offset` is above the cap of `limit`.
  case tooLarge(offset: Int, limit: Int)
}
