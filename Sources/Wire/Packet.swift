internal import CMeshProto
internal import CMeshProtobufC
public import MeshPacket

extension Wire {
  /// All that travels between two mesh nodes in one payload.
  public struct Packet: Equatable, Sendable {
    /// From 1 on; 0: unnumbered.
    public var number: UInt64 = 0
    public var ack: Ack?
    public var streams: [StreamFrame] = []
    public var messages: [MessageFrame] = []
    public var datagrams: [DatagramFrame] = []
    public var maxData: UInt64 = 0
    public var streamMaxData: [StreamMaxData] = []
    public var resets: [ResetStream] = []
    public var stops: [StopSending] = []
    public var pathProbe: PathProbe?
    public var pathReply: PathReply?
    public var relay: Relay?
    public var hello: Hello?
    public var close: Close?
    public var ping = false
    public var maxStreams: MaxStreams?
    public var dataBlocked: UInt64 = 0
    public var streamDataBlocked: [StreamDataBlocked] = []
    public var streamsBlocked: StreamsBlocked?
    public var candidates: CandidateExchange?
    public var discover: Discover?
    public var found: Found?
    public var routeError: RouteError?
    public var relayTooBig: RelayTooBig?
    public var ipFragments: [IPFragment] = []
    public var dictionaryOffers: [DictionaryOffer] = []
    public var dictionaryUses: [DictionaryUse] = []
    public var extend: Extend?
    public var refusedChannels: [RefuseChannel] = []
    /// Bytes of padding, without tag and length.
    public var padding: Int = 0

    public init() {}
  }
}

extension Wire.Packet: WireMessage {
  public init(decoding bytes: RawSpan, using arena: inout WireArena) throws(WireError) {
    self = try unsafe Self.unpack(bytes, &arena)
  }

  public func encode(into output: inout OutputRawSpan, using arena: inout WireArena) throws(WireError) {
    try unsafe pack(into: &output, &arena)
  }

  public func encodedSize(using arena: inout WireArena) throws(WireError) -> Int { try unsafe packedSize(&arena) }
}

extension Wire.Packet: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__Packet>) {
    unsafe pnet__mesh__v1__packet__init(message)
  }

  init(_ c: Pnet__Mesh__V1__Packet) throws(WireError) {
    number = unsafe c.number
    guard number <= PacketLimits.maxNumber else { throw .invalid(field: 1) }
    ack = unsafe try read(c.ack)
    streams = unsafe try read(c.n_streams, c.streams)
    messages = unsafe try read(c.n_messages, c.messages)
    datagrams = unsafe try read(c.n_datagrams, c.datagrams)
    maxData = unsafe c.max_data
    streamMaxData = unsafe try read(c.n_stream_max_data, c.stream_max_data)
    resets = unsafe try read(c.n_resets, c.resets)
    stops = unsafe try read(c.n_stops, c.stops)
    pathProbe = unsafe try read(c.path_probe)
    pathReply = unsafe try read(c.path_reply)
    relay = unsafe try read(c.relay)
    hello = unsafe try read(c.hello)
    close = unsafe try read(c.close)
    ping = unsafe c.ping != 0
    maxStreams = unsafe try read(c.max_streams)
    dataBlocked = unsafe c.data_blocked
    streamDataBlocked = unsafe try read(c.n_stream_data_blocked, c.stream_data_blocked)
    streamsBlocked = unsafe try read(c.streams_blocked)
    candidates = unsafe try read(c.candidates)
    discover = unsafe try read(c.discover)
    found = unsafe try read(c.found)
    routeError = unsafe try read(c.route_error)
    relayTooBig = unsafe try read(c.relay_too_big)
    ipFragments = unsafe try read(c.n_ip_fragments, c.ip_fragments)
    dictionaryOffers = unsafe try read(c.n_dictionary_offers, c.dictionary_offers)
    dictionaryUses = unsafe try read(c.n_dictionary_uses, c.dictionary_uses)
    extend = unsafe try read(c.extend)
    refusedChannels = unsafe try read(c.n_refused_channels, c.refused_channels)
    padding = unsafe c.padding.len
  }

  func fill(_ c: inout Pnet__Mesh__V1__Packet, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.number = number
    unsafe c.ack = try arena.message(ack)
    unsafe c.n_streams = streams.count
    unsafe c.streams = try arena.messages(streams)
    unsafe c.n_messages = messages.count
    unsafe c.messages = try arena.messages(messages)
    unsafe c.n_datagrams = datagrams.count
    unsafe c.datagrams = try arena.messages(datagrams)
    unsafe c.max_data = maxData
    unsafe c.n_stream_max_data = streamMaxData.count
    unsafe c.stream_max_data = try arena.messages(streamMaxData)
    unsafe c.n_resets = resets.count
    unsafe c.resets = try arena.messages(resets)
    unsafe c.n_stops = stops.count
    unsafe c.stops = try arena.messages(stops)
    unsafe c.path_probe = try arena.message(pathProbe)
    unsafe c.path_reply = try arena.message(pathReply)
    unsafe c.relay = try arena.message(relay)
    unsafe c.hello = try arena.message(hello)
    unsafe c.close = try arena.message(close)
    unsafe c.ping = ping ? 1 : 0
    unsafe c.max_streams = try arena.message(maxStreams)
    unsafe c.data_blocked = dataBlocked
    unsafe c.n_stream_data_blocked = streamDataBlocked.count
    unsafe c.stream_data_blocked = try arena.messages(streamDataBlocked)
    unsafe c.streams_blocked = try arena.message(streamsBlocked)
    unsafe c.candidates = try arena.message(candidates)
    unsafe c.discover = try arena.message(discover)
    unsafe c.found = try arena.message(found)
    unsafe c.route_error = try arena.message(routeError)
    unsafe c.relay_too_big = try arena.message(relayTooBig)
    unsafe c.n_ip_fragments = ipFragments.count
    unsafe c.ip_fragments = try arena.messages(ipFragments)
    unsafe c.n_dictionary_offers = dictionaryOffers.count
    unsafe c.dictionary_offers = try arena.messages(dictionaryOffers)
    unsafe c.n_dictionary_uses = dictionaryUses.count
    unsafe c.dictionary_uses = try arena.messages(dictionaryUses)
    unsafe c.extend = try arena.message(extend)
    unsafe c.n_refused_channels = refusedChannels.count
    unsafe c.refused_channels = try arena.messages(refusedChannels)
    unsafe c.padding = try arena.zeros(padding)
  }
}
