import MeshPacket
import MeshPrimitives
import MeshWire

extension Fuzzing {
  /// A payload, and a packet in both codecs: they must say the same, or both refuse.
  public static func packet(_ input: [UInt8]) {
    payload(input)
    let summary: PacketReader.Summary?
    var isCanonical = true
    do throws(PacketError) { summary = try PacketReader.validate(input.bytes) } catch {
      summary = nil
      if case .notCanonical = error { isCanonical = false }
    }
    let packet = try? Wire.Packet(decoding: input.bytes)
    guard let packet else {
      if summary != nil { require(hasForeignFrames(input), "MeshWire refuses what MeshPacket reads") }
      return
    }
    require(summary != nil || !isCanonical, "MeshPacket refuses what MeshWire reads")

    guard let canonical = try? packet.encoded() else { fatalError("what was read must be writable") }
    guard let again = try? PacketReader.validate(canonical.bytes) else {
      fatalError("MeshPacket must read what MeshWire writes")
    }
    require((try? Wire.Packet(decoding: canonical.bytes)) == packet, "MeshWire must read what it writes")
    require(again.number == packet.number, "the codecs must agree on the number")
    guard let summary else { return }
    require(summary == again, "the canonical form must say the same")
    require(said(input) == said(canonical), "the canonical form must have the same frames")
  }

  /// Whether a field that only MeshWire reads is there: MeshPacket passes its content unread.
  private static func hasForeignFrames(_ message: [UInt8]) -> Bool {
    var reader = PacketReader(message.bytes)
    while let frame = try? reader.next() {
      if case .other = frame { return true }
    }
    return false
  }

  private static func payload(_ input: [UInt8]) {
    switch PayloadKind(input.bytes) {
    case .keepalive: require(input.isEmpty, "only nothing is a keepalive")
    case .ip(let version): require(input[0] >> 4 == version, "an IP packet must begin with its version")
    case .rawDatagram(let range): require(range.upperBound <= input.count, "a datagram must lie in its payload")
    case .typed(let type, let body):
      require(body.upperBound <= input.count, "a body must lie in its payload")
      let again = [UInt8](capacity: input.count + 16) { output in
        PayloadKind.writeTypedHeader(type, to: &output)
        output.append(input.bytes.extracting(body))
        PayloadKind.pad(to: input.count, from: 0, in: &output)
      }
      require(again == input, "a payload must be written as it was read")
    case .malformed: break
    }
  }

  /// The frames of a valid packet, without positions. Frames that MeshWire alone reads are compared by it.
  private static func said(_ message: [UInt8]) -> [Said] {
    var reader = PacketReader(message.bytes)
    var result: [Said] = []
    func copy(_ range: Range<Int>?) -> [UInt8] { range.map { Array(message[$0]) } ?? [] }
    do {
      while let frame = try reader.next() {
        switch frame {
        case .ack(var ack):
          var ranges: [ClosedRange<UInt64>] = []
          var iterator = AckRanges(ack, in: message.bytes)
          while let range = try iterator.next() { ranges.append(range) }
          ack.ranges = 0..<0
          result.append(Said(frame: .ack(ack), ranges: ranges))
        case .stream(var stream):
          let parts = [copy(stream.service), copy(stream.data)]
          (stream.service, stream.data) = (nil, 0..<0)
          result.append(Said(frame: .stream(stream), parts: parts))
        case .message(var piece):
          let parts = [copy(piece.service), copy(piece.data)]
          (piece.service, piece.data) = (nil, 0..<0)
          result.append(Said(frame: .message(piece), parts: parts))
        case .datagram(var datagram):
          let parts = [copy(datagram.service), copy(datagram.data)]
          (datagram.service, datagram.data) = (nil, 0..<0)
          result.append(Said(frame: .datagram(datagram), parts: parts))
        case .relay(var relay):
          let parts = [copy(relay.packet)]
          (relay.packet, relay.labelOffset, relay.ecnOffset) = (0..<0, 0, nil)
          result.append(Said(frame: .relay(relay), parts: parts))
        case .ipFragment(var fragment):
          let parts = [copy(fragment.data)]
          fragment.data = 0..<0
          result.append(Said(frame: .ipFragment(fragment), parts: parts))
        case .other(let field, _): result.append(Said(frame: .other(field: field, bytes: 0..<0)))
        default: result.append(Said(frame: frame))
        }
      }
    } catch { fatalError("a packet that was validated must be readable to its end") }
    return result
  }

  private struct Said: Equatable {
    var frame: Frame
    var parts: [[UInt8]] = []
    var ranges: [ClosedRange<UInt64>] = []
  }
}
