import MeshPacket
import MeshPrimitives
import MeshWire

extension Fuzzing {
  /// The first byte chooses a message, the rest is one: what is read must be written, and read again as the same.
  public static func wire(_ input: [UInt8]) {
    guard let choice = input.first else { return }
    let body = Array(input.dropFirst())
    switch WireKind.allCases[Int(choice) % WireKind.allCases.count] {
    case .packet: roundTrip(Wire.Packet.self, body)
    case .hello: roundTrip(Wire.Hello.self, body)
    case .limits: roundTrip(Wire.Limits.self, body)
    case .close: roundTrip(Wire.Close.self, body)
    case .ack: roundTrip(Wire.Ack.self, body)
    case .stream: roundTrip(Wire.StreamFrame.self, body)
    case .message: roundTrip(Wire.MessageFrame.self, body)
    case .datagram: roundTrip(Wire.DatagramFrame.self, body)
    case .pathProbe: roundTrip(Wire.PathProbe.self, body)
    case .candidates: roundTrip(Wire.CandidateExchange.self, body)
    case .discover: roundTrip(Wire.Discover.self, body)
    case .found: roundTrip(Wire.Found.self, body)
    case .relay: roundTrip(Wire.Relay.self, body)
    case .relayTooBig: roundTrip(Wire.RelayTooBig.self, body)
    case .routeError: roundTrip(Wire.RouteError.self, body)
    case .extend: roundTrip(Wire.Extend.self, body)
    case .ipFragment: roundTrip(Wire.IPFragment.self, body)
    case .dictionary: roundTrip(Wire.Dictionary.self, body)
    case .dictionaryOffer: roundTrip(Wire.DictionaryOffer.self, body)
    case .dictionaryUse: roundTrip(Wire.DictionaryUse.self, body)
    case .dictionaryRequest: roundTrip(Wire.DictionaryRequest.self, body)
    case .dictionaryReply: roundTrip(Wire.DictionaryReply.self, body)
    }
  }

  private static func roundTrip<Message: WireMessage>(_ type: Message.Type, _ bytes: [UInt8]) {
    var small = WireArena(capacity: 1024)
    let crowded = try? Message(decoding: bytes.bytes, using: &small)
    guard let message = try? Message(decoding: bytes.bytes) else {
      require(crowded == nil, "an arena that is smaller must not read more")
      return
    }
    require(crowded == nil || crowded == message, "an arena that is smaller must not read something else")
    var arena = WireArena()
    guard let size = try? message.encodedSize(using: &arena), let written = try? message.encoded() else {
      fatalError("what was read must be writable: \(type)")
    }
    require(written.count == size, "a message must be as long as it says: \(type)")
    guard let again = try? Message(decoding: written.bytes) else {
      fatalError("what was written must be readable: \(type)")
    }
    require(again == message, "what was written must be the same: \(type)")
    require((try? again.encoded()) == written, "the canonical form must be one: \(type)")
  }
}

/// The messages in the order of the first byte of an input. New ones go to the end, so that a corpus keeps its meaning.
enum WireKind: UInt8, CaseIterable {
  case packet, hello, limits, close, ack, stream, message, datagram, pathProbe, candidates, discover, found, relay
  case relayTooBig, routeError, extend, ipFragment, dictionary, dictionaryOffer, dictionaryUse, dictionaryRequest
  case dictionaryReply
}
