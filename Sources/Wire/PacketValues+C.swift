internal import CMeshProto
internal import CMeshProtobufC
internal import MeshPacket
internal import MeshPrimitives

// The values of MeshPacket and MeshPrimitives that are messages themselves.

extension StreamMaxData: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__StreamMaxData>) {
    unsafe pnet__mesh__v1__stream_max_data__init(message)
  }

  init(_ c: Pnet__Mesh__V1__StreamMaxData) throws(WireError) {
    unsafe self.init(id: c.id, max: c.max)
  }

  func fill(_ c: inout Pnet__Mesh__V1__StreamMaxData, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.id = id
    unsafe c.max = max
  }
}

extension ResetStream: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__ResetStream>) {
    unsafe pnet__mesh__v1__reset_stream__init(message)
  }

  init(_ c: Pnet__Mesh__V1__ResetStream) throws(WireError) {
    unsafe self.init(id: c.id, code: ErrorCode(rawValue: c.code), finalSize: c.final_size)
  }

  func fill(_ c: inout Pnet__Mesh__V1__ResetStream, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.id = id
    unsafe c.code = code.rawValue
    unsafe c.final_size = finalSize
  }
}

extension StopSending: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__StopSending>) {
    unsafe pnet__mesh__v1__stop_sending__init(message)
  }

  init(_ c: Pnet__Mesh__V1__StopSending) throws(WireError) {
    unsafe self.init(id: c.id, code: ErrorCode(rawValue: c.code))
  }

  func fill(_ c: inout Pnet__Mesh__V1__StopSending, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.id = id
    unsafe c.code = code.rawValue
  }
}

extension RefuseChannel: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__RefuseChannel>) {
    unsafe pnet__mesh__v1__refuse_channel__init(message)
  }

  init(_ c: Pnet__Mesh__V1__RefuseChannel) throws(WireError) {
    unsafe self.init(channel: c.channel, code: ErrorCode(rawValue: c.code), datagrams: c.datagrams != 0)
  }

  func fill(_ c: inout Pnet__Mesh__V1__RefuseChannel, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.channel = channel
    unsafe c.code = code.rawValue
    unsafe c.datagrams = datagrams ? 1 : 0
  }
}

extension MaxStreams: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__MaxStreams>) {
    unsafe pnet__mesh__v1__max_streams__init(message)
  }

  init(_ c: Pnet__Mesh__V1__MaxStreams) throws(WireError) {
    unsafe self.init(bidirectional: c.bidirectional, unidirectional: c.unidirectional)
  }

  func fill(_ c: inout Pnet__Mesh__V1__MaxStreams, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.bidirectional = bidirectional
    unsafe c.unidirectional = unidirectional
  }
}

extension StreamDataBlocked: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__StreamDataBlocked>) {
    unsafe pnet__mesh__v1__stream_data_blocked__init(message)
  }

  init(_ c: Pnet__Mesh__V1__StreamDataBlocked) throws(WireError) {
    unsafe self.init(id: c.id, limit: c.limit)
  }

  func fill(_ c: inout Pnet__Mesh__V1__StreamDataBlocked, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.id = id
    unsafe c.limit = limit
  }
}

extension StreamsBlocked: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__StreamsBlocked>) {
    unsafe pnet__mesh__v1__streams_blocked__init(message)
  }

  init(_ c: Pnet__Mesh__V1__StreamsBlocked) throws(WireError) {
    unsafe self.init(bidirectional: c.bidirectional, unidirectional: c.unidirectional)
  }

  func fill(_ c: inout Pnet__Mesh__V1__StreamsBlocked, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.bidirectional = bidirectional
    unsafe c.unidirectional = unidirectional
  }
}

extension PathReply: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__PathReply>) {
    unsafe pnet__mesh__v1__path_reply__init(message)
  }

  init(_ c: Pnet__Mesh__V1__PathReply) throws(WireError) {
    unsafe self.init(data: c.data, observed: try read(c.observed))
  }

  func fill(_ c: inout Pnet__Mesh__V1__PathReply, _ arena: borrowing WireArena) throws(WireError) {
    unsafe c.data = data
    unsafe c.observed = try arena.message(observed)
  }
}

extension SocketAddress: @unsafe CConvertible {
  static func initialize(_ message: UnsafeMutablePointer<Pnet__Mesh__V1__Address>) {
    unsafe pnet__mesh__v1__address__init(message)
  }

  init(_ c: Pnet__Mesh__V1__Address) throws(WireError) {
    let bytes = unsafe read(c.ip)
    guard [4, 16].contains(bytes.count) else { throw .invalid(field: 1) }
    guard let port = unsafe UInt16(exactly: c.port) else { throw .invalid(field: 2) }
    var (high, low): (UInt64, UInt64) = (0, 0)
    for byte in bytes {
      high = high << 8 | low >> 56
      low = low << 8 | UInt64(byte)
    }
    self.init(bytes.count == 4 ? IPAddress(v4: UInt32(low)) : IPAddress(v6High: high, low: low), port: port)
  }

  func fill(_ c: inout Pnet__Mesh__V1__Address, _ arena: borrowing WireArena) throws(WireError) {
    let count = address.family == .v4 ? 4 : 16
    let bytes = (0..<count).map { index in
      let position = UInt64(count - 1 - index)
      return UInt8(
        truncatingIfNeeded: position < 8 ? address.low >> (8 * position) : address.high >> (8 * (position - 8)))
    }
    unsafe c.ip = try arena.bytes(bytes)
    unsafe c.port = UInt32(port)
  }
}
