/// All messages of `proto/pnet/mesh/v1`, as Swift values.
///
/// `Wire.Packet` is the whole of a packet. A node reads and writes the frequent frames with MeshPacket and comes here
/// for the rest, one message at a time, or with a packet that is not in canonical form:
///
///     do { summary = try PacketReader.validate(message) } catch .notCanonical {
///       let packet = try Wire.Packet(decoding: message)   // the same answer, or an error
///       try packet.encode(into: &output)                  // in canonical form, for PacketReader
///     }
///     …
///     case .other(FieldNumber.hello, let bytes): let hello = try Wire.Hello(decoding: message.extracting(bytes))
///
/// The bytes are walked once against the definitions before anything is allocated: wire types, lengths, counts, depth,
/// unknown fields. Then protobuf-c unpacks them into a bounded arena, and the values are copied out and checked.
/// What it leaves to its caller: which message is allowed when, and from whom.
public enum Wire {}
