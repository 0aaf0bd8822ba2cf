internal import MeshPacket
internal import MeshPrimitives
internal import MeshSession
internal import MeshWire

/// Makes the payloads of a node's own frames: those that travel without a number, outside the connection.
enum Payload {
  /// Fields of `Packet` that this node understands, as `Hello` lists them.
  static let understood: [UInt32] = [
    FieldNumber.number, FieldNumber.ack, FieldNumber.streams, FieldNumber.messages, FieldNumber.datagrams,
    FieldNumber.maxData, FieldNumber.streamMaxData, FieldNumber.resets, FieldNumber.stops, FieldNumber.pathProbe,
    FieldNumber.pathReply, FieldNumber.hello,
    FieldNumber.close, FieldNumber.ping, FieldNumber.maxStreams, FieldNumber.dataBlocked,
    FieldNumber.streamDataBlocked, FieldNumber.streamsBlocked, FieldNumber.refusedChannels, FieldNumber.padding,
  ]

  static func hello(_ hello: Wire.Hello) -> [UInt8] { framed(FieldNumber.hello, (try? hello.encoded()) ?? []) }

  /// The last words on a connection, behind what `ack` appends: the last acknowledgement.
  static func close(_ close: Wire.Close, behind ack: (inout OutputRawSpan) -> Void) -> [UInt8] {
    framed(FieldNumber.close, (try? close.encoded()) ?? [], behind: ack)
  }

  /// A probe, in a payload of exactly `size` bytes when that is more than it needs; a multiple of 16 otherwise.
  static func pathProbe(_ token: UInt64, filling size: Int) -> [UInt8] {
    framed(size: size) { output in
      PacketWriter.writePathProbe(token, to: &output)
      // Two bytes of the header are there already; up to 15 zeros make up for what padding cannot be exact about.
      if size > 64 { _ = PacketWriter.writePadding(size - output.byteCount, to: &output) }
    }
  }

  static func pathReply(_ reply: PathReply) -> [UInt8] { framed { PacketWriter.writePathReply(reply, to: &$0) } }

  /// The same packet in canonical form; `nil` when it is no packet in any form.
  static func canonical(_ message: RawSpan) -> [UInt8]? {
    guard let packet = try? Wire.Packet(decoding: message), let bytes = try? packet.encoded() else { return nil }
    return bytes
  }

  /// A typed frame with one field that MeshWire has encoded, behind those of lower numbers.
  private static func framed(
    _ field: UInt32, _ content: [UInt8], behind lower: (inout OutputRawSpan) -> Void = { _ in }
  ) -> [UInt8] {
    framed { output in
      lower(&output)
      PacketWriter.writeOther(field: field, length: content.count, to: &output)
      output.append(content.bytes)
    }
  }

  private static func framed(size: Int = 0, _ body: (inout OutputRawSpan) -> Void) -> [UInt8] {
    Array(capacity: max(2048, size)) { output in
      PayloadKind.writeTypedHeader(to: &output)
      body(&output)
      PayloadKind.pad(to: max(size, (output.byteCount + 15) & ~15), from: 0, in: &output)
    }
  }
}
