import MeshPacket
import MeshPrimitives

/// Frames without positions: what a packet says, in a form that two codecs can be compared by.
enum Said: Equatable {
  case frame(Frame)
  case ack(delay: UInt64, ranges: [ClosedRange<UInt64>], ect0: UInt64, ect1: UInt64, ce: UInt64)
  case stream(id: UInt64, offset: UInt64, fin: Bool, service: [UInt8], lane: UInt32, compression: UInt32, data: [UInt8])
  case message(MessageFrame, service: [UInt8], data: [UInt8])
  case datagram(channel: UInt32, service: [UInt8], compression: UInt32, data: [UInt8])
  case relay(label: UInt32, ecn: ECN, packet: [UInt8])
  case fragment(id: UInt32, offset: UInt32, size: UInt32, data: [UInt8])
  case other(UInt32, [UInt8])
}

extension Array where Element == UInt8 {
  func copy(_ range: Range<Int>?) -> [UInt8] { range.map { Array(self[$0]) } ?? [] }
}

/// Reads a whole packet.
func read(_ message: [UInt8]) throws(PacketError) -> [Said] {
  var reader = PacketReader(message.bytes)
  var said: [Said] = []
  while let frame = try reader.next() {
    switch frame {
    case .ack(let ack):
      var ranges: [ClosedRange<UInt64>] = []
      var iterator = AckRanges(ack, in: message.bytes)
      while let range = try iterator.next() { ranges.append(range) }
      said.append(.ack(delay: ack.delayMicroseconds, ranges: ranges, ect0: ack.ect0, ect1: ack.ect1, ce: ack.ce))
    case .stream(let stream):
      said.append(
        .stream(
          id: stream.id, offset: stream.offset, fin: stream.fin, service: message.copy(stream.service),
          lane: stream.lane, compression: stream.compression, data: message.copy(stream.data)))
    case .message(var frame):
      let (service, data) = (message.copy(frame.service), message.copy(frame.data))
      frame.service = nil
      frame.data = 0..<0
      said.append(.message(frame, service: service, data: data))
    case .datagram(let frame):
      said.append(
        .datagram(
          channel: frame.channel, service: message.copy(frame.service), compression: frame.compression,
          data: message.copy(frame.data)))
    case .relay(let frame):
      said.append(.relay(label: frame.label, ecn: frame.ecn, packet: message.copy(frame.packet)))
    case .ipFragment(let frame):
      said.append(.fragment(id: frame.id, offset: frame.offset, size: frame.size, data: message.copy(frame.data)))
    case .other(let field, let bytes): said.append(.other(field, message.copy(bytes)))
    default: said.append(.frame(frame))
    }
  }
  return said
}

/// Writes a packet into an array.
func packet(capacity: Int = 70_000, _ body: (inout OutputRawSpan) -> Void) -> [UInt8] {
  Array(capacity: capacity) { (output: inout OutputRawSpan) in body(&output) }
}

/// xorshift64*: the same numbers for the same seed.
struct Xorshift: RandomNumberGenerator {
  var state: UInt64
  init(seed: UInt64) { state = seed | 1 }
  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_F491_4F6C_DD1D
  }
  /// A number of a random width: small ones are as frequent as great ones.
  mutating func anyWidth(_ bits: Int = 64) -> UInt64 {
    let width = Int.random(in: 0...bits, using: &self)
    return width == 0 ? 0 : next() >> UInt64(64 - width)
  }
  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }
}
