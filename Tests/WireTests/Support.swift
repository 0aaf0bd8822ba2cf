import MeshPacket
import MeshPrimitives
import MeshWire

/// xorshift64*: the same numbers for the same seed.
struct Xorshift: RandomNumberGenerator {
  var state: UInt64
  init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_F491_4F6C_DD1D
  }
  mutating func below(_ limit: Int) -> Int { Int(next() >> 33) % limit }
  mutating func oneIn(_ count: Int) -> Bool { below(count) == 0 }
  /// A number of a random width: small ones are as frequent as great ones.
  mutating func number(_ bits: Int = 64) -> UInt64 {
    let width = below(bits + 1)
    return width == 0 ? 0 : next() >> UInt64(64 - width)
  }
  mutating func small() -> UInt32 { UInt32(number(32)) }
  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }
  mutating func text(_ max: Int) -> String {
    String(
      (0..<below(max + 1)).map { _ in ["a", "b", "ß", "→", "😀", "\u{1}", "-"][below(7)] as Character }.prefix(max / 4))
  }
  mutating func list<Value>(_ max: Int, _ make: (inout Xorshift) -> Value) -> [Value] {
    (0..<below(max + 1)).map { _ in make(&self) }
  }
  mutating func maybe<Value>(_ make: (inout Xorshift) -> Value) -> Value? { oneIn(4) ? make(&self) : nil }
}

/// A packet with any fields, all of them allowed.
func randomPacket(_ r: inout Xorshift) -> Wire.Packet {
  var packet = Wire.Packet()
  if !r.oneIn(4) { packet.number = r.number() >> 2 }
  packet.ack = r.maybe(randomAck)
  packet.streams = r.list(3) { r in
    var frame = Wire.StreamFrame()
    frame.id = r.number()
    frame.offset = r.number(61)
    frame.fin = r.oneIn(2)
    if r.oneIn(3) { frame.service = r.text(40) }
    if r.oneIn(3) { frame.lane = r.small() }
    if r.oneIn(3) { frame.compression = r.small() }
    frame.data = r.bytes(r.below(300))
    return frame
  }
  packet.messages = r.list(2) { r in
    var frame = Wire.MessageFrame()
    frame.id = r.number()
    frame.data = r.bytes(r.below(200))
    if r.oneIn(2) {
      frame.offset = r.number(61)
      frame.size = frame.offset + UInt64(frame.data.count) + r.number(20)
      if frame.size == 0 { frame.offset = 0 }
    }
    frame.lane = r.small()
    frame.sequence = r.number()
    frame.channel = r.small()
    if r.oneIn(3) { frame.service = r.text(40) }
    frame.compression = r.small()
    return frame
  }
  packet.datagrams = r.list(2) { r in
    var frame = Wire.DatagramFrame()
    frame.channel = r.small()
    if r.oneIn(3) { frame.service = r.text(40) }
    frame.compression = r.small()
    frame.data = r.bytes(r.below(100))
    return frame
  }
  packet.maxData = r.oneIn(2) ? r.number() : 0
  packet.streamMaxData = r.list(2) { r in StreamMaxData(id: r.number(), max: r.number()) }
  packet.resets = r.list(2) { r in
    ResetStream(id: r.number(), code: ErrorCode(rawValue: r.number()), finalSize: r.number())
  }
  packet.stops = r.list(2) { r in StopSending(id: r.number(), code: ErrorCode(rawValue: r.number())) }
  packet.refusedChannels = r.list(2) { r in
    RefuseChannel(channel: r.small(), code: ErrorCode(rawValue: r.number()), datagrams: r.oneIn(2))
  }
  packet.pathProbe = r.maybe { r in
    var probe = Wire.PathProbe()
    probe.data = r.number()
    return probe
  }
  packet.pathReply = r.maybe { r in PathReply(data: r.number(), observed: r.maybe(randomAddress)) }
  packet.relay = r.maybe { r in
    var relay = Wire.Relay()
    relay.label = r.small() | 1
    relay.ecn = ECN(trafficClass: UInt8(r.below(4)))
    relay.packet = r.bytes(r.below(200))
    return relay
  }
  packet.hello = r.maybe(randomHello)
  packet.close = r.maybe { r in
    var close = Wire.Close()
    close.code = ErrorCode(rawValue: r.number())
    close.reason = r.text(60)
    close.field = r.small()
    close.incarnation = r.number()
    return close
  }
  packet.ping = r.oneIn(3)
  packet.maxStreams = r.maybe { r in MaxStreams(bidirectional: r.number(), unidirectional: r.number()) }
  packet.dataBlocked = r.oneIn(4) ? r.number() : 0
  packet.streamDataBlocked = r.list(1) { r in StreamDataBlocked(id: r.number(), limit: r.number()) }
  packet.streamsBlocked = r.maybe { r in StreamsBlocked(bidirectional: r.number(), unidirectional: r.number()) }
  packet.candidates = r.maybe { r in
    var exchange = Wire.CandidateExchange()
    exchange.generation = r.number()
    exchange.ufrag = r.text(20)
    exchange.password = r.text(60)
    exchange.candidates = r.list(4) { r in
      Wire.Candidate(
        kind: Wire.Candidate.Kind(rawValue: UInt32(r.below(4)))!, address: randomAddress(&r),
        related: r.maybe(randomAddress), priority: r.small(), foundation: r.text(32))
    }
    exchange.complete = r.oneIn(2)
    return exchange
  }
  packet.discover = r.maybe { r in
    var discover = Wire.Discover()
    discover.hopsLeft = UInt32(r.below(9))
    discover.ring = 8
    discover.target = r.bytes(10)
    discover.initiation = r.bytes(148)
    discover.sealed = r.bytes(r.below(513))
    return discover
  }
  packet.found = r.maybe { r in
    var found = Wire.Found()
    found.discover = r.bytes(16)
    found.label = r.small() | 1
    found.hops = r.small()
    found.maxPacket = r.small()
    found.response = r.bytes(r.oneIn(2) ? 64 : 92)
    found.sealed = r.bytes(r.below(513))
    return found
  }
  packet.routeError = r.maybe { r in
    var error = Wire.RouteError()
    error.label = r.small()
    return error
  }
  packet.relayTooBig = r.maybe { r in
    var error = Wire.RelayTooBig()
    error.label = r.small()
    error.max = r.small()
    return error
  }
  packet.ipFragments = r.list(1) { r in
    var fragment = Wire.IPFragment()
    fragment.id = r.small()
    fragment.data = r.bytes(1 + r.below(100))
    fragment.offset = UInt32(r.below(1000))
    fragment.size = fragment.offset + UInt32(fragment.data.count + r.below(1000))
    return fragment
  }
  packet.dictionaryOffers = r.list(1) { r in
    var offer = Wire.DictionaryOffer()
    offer.service = r.text(20)
    offer.dictionaries = r.list(3, randomDictionary)
    return offer
  }
  packet.dictionaryUses = r.list(1) { r in
    var use = Wire.DictionaryUse()
    use.index = 2 + UInt32(r.number(31))
    use.hash = r.bytes(32)
    return use
  }
  packet.extend = r.maybe { r in
    var extend = Wire.Extend()
    extend.request = r.bytes(16)
    extend.label = r.small()
    extend.target = r.bytes(32)
    extend.initiation = r.bytes(148)
    return extend
  }
  packet.padding = r.oneIn(3) ? r.below(200) : 0
  return packet
}

func randomAck(_ r: inout Xorshift) -> Wire.Ack {
  var ack = Wire.Ack()
  ack.largest = r.number(63) + 1
  ack.delay = r.number(30)
  var bottom = ack.largest
  for index in 0...r.below(20) {
    if index > 0 {
      guard bottom > 3 else { break }
      let gap = r.number(20) % (bottom - 2)
      ack.ranges.append(gap)
      bottom -= gap + 2
    }
    let length = r.number(20) % bottom
    ack.ranges.append(length)
    bottom -= length
  }
  ack.ect0 = r.number()
  ack.ect1 = r.number()
  ack.ce = r.number()
  return ack
}

func randomAddress(_ r: inout Xorshift) -> SocketAddress {
  let port = UInt16(r.number(16))
  return r.oneIn(2)
    ? SocketAddress(IPAddress(v4: UInt32(truncatingIfNeeded: r.next())), port: port)
    : SocketAddress(IPAddress(v6High: r.next(), low: r.next()), port: port)
}

func randomHello(_ r: inout Xorshift) -> Wire.Hello {
  var hello = Wire.Hello()
  hello.incarnation = r.next() | 1
  hello.peerIncarnation = r.number()
  hello.heard = r.oneIn(2)
  hello.frames = r.list(28) { r in r.small() }
  hello.limits.maxData = r.number()
  hello.limits.maxStreamData = r.number()
  hello.limits.maxBidirectionalStreams = r.number()
  hello.limits.maxUnidirectionalStreams = r.number()
  hello.limits.maxMessage = r.number()
  hello.limits.maxDatagram = r.number()
  hello.limits.maxPacket = r.number()
  hello.limits.maxAckDelay = r.number()
  hello.limits.idleTimeout = r.number()
  hello.observed = r.maybe(randomAddress)
  hello.software = r.text(60)
  hello.compressions = r.list(2) { r in r.small() }
  hello.encapsulations = r.list(2) { r in r.small() }
  hello.relays = r.oneIn(2)
  hello.settled = r.oneIn(2)
  if r.oneIn(2) { hello.firstNumber = r.number() }
  return hello
}

func randomDictionary(_ r: inout Xorshift) -> Wire.Dictionary {
  var dictionary = Wire.Dictionary()
  dictionary.id = r.small()
  dictionary.hash = r.bytes(32)
  dictionary.size = r.number()
  return dictionary
}
