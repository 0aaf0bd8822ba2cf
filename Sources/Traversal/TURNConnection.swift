internal import MeshCrypto
internal import MeshPrimitives
internal import MeshRuntime
internal import MeshTURN

/// How a TURN server is reached.
public enum TURNTransport: String, CaseIterable, Codable, Sendable {
  case udp, tcp, tls
}

/// One allocation on a TURN server, on a socket of a ``SocketGroup`` or on a connection of its own.
final class TURNConnection {
  private enum Way {
    case datagrams(socket: Int)
    case stream(Stream)
  }

  private final class Stream {
    let socket: TCPSocket
    let token: UInt64
    let tls: TLSClient?
    var isOpen = false
    var isWaiting = true
    var deframer = StreamDeframer(limit: 4096)
    var output: [UInt8] = []

    init(_ socket: consuming TCPSocket, token: UInt64, tls: TLSClient?) {
      self.socket = socket
      self.token = token
      self.tls = tls
    }
  }

  private let group: SocketGroup
  private let way: Way
  private(set) var client: TURNClient
  /// Why the connection to the server is over, in words; `nil` while it is not.
  private(set) var problem: String?
  private var received: [(bytes: [UInt8], peer: SocketAddress)] = []

  /// Bytes that may wait to be written; data beyond that is dropped.
  private static let mostPending = 256 << 10

  /// - Parameters:
  ///   - socket: of the group, for UDP.
  ///   - token: for TCP and TLS; one of its own, 2^32 or more.
  ///   - host: whose certificate TLS expects.
  init(
    _ group: SocketGroup, _ configuration: TURNClient.Configuration, over transport: TURNTransport, socket: Int,
    token: UInt64, host: String, isVerifying: Bool, now: Instant
  ) throws(SocketError) {
    self.group = group
    var configuration = configuration
    switch transport {
    case .udp: way = .datagrams(socket: socket)
    case .tcp, .tls:
      configuration.transport = .stream
      var tls: TLSClient?
      if transport == .tls {
        tls = TLSClient(host: host, isVerifying: isVerifying)
        guard tls != nil else { throw .outOfMemory }
      }
      let stream = Stream(try TCPSocket(connectingTo: configuration.server), token: token, tls: tls)
      try group.watch(stream.socket.descriptor, token: token, [.readable, .writable])
      way = .stream(stream)
    }
    client = TURNClient(configuration, entropy: SystemEntropy(), now: now)
  }

  deinit {
    if case .stream(let stream) = way { group.unwatch(stream.socket.descriptor) }
  }

  // MARK: - Commands

  func permit(_ address: IPAddress, now: Instant) { client.permit(address, now: now) }
  func bindChannel(to peer: SocketAddress, now: Instant) { client.bindChannel(to: peer, now: now) }

  /// Sends data to a peer through the relay; nothing happens without permission.
  func send(_ data: RawSpan, to peer: SocketAddress, now: Instant) {
    let room = TURNClient.headroom
    var buffer =
      [UInt8](repeating: 0, count: room) + [UInt8](copying: data) + [UInt8](repeating: 0, count: TURNClient.tailroom)
    let end = room + data.byteCount
    let range = wrap(&buffer, room..<end, peer, now)
    if let range { write(Array(buffer[range])) }
  }

  private func wrap(
    _ buffer: inout [UInt8], _ range: Range<Int>, _ peer: SocketAddress, _ now: Instant
  ) -> Range<Int>? {
    var bytes = buffer.mutableBytes
    return client.wrap(&bytes, range, for: peer, now: now)
  }

  /// Gives the allocation back. Then ``step(now:)`` once more.
  func free(now: Instant) { client.free(now: now) }

  // MARK: - Doors

  var deadline: Instant? { problem == nil ? client.deadline : nil }

  func nextEvent() -> TURNClient.Event? { client.nextEvent() }

  /// Data of a peer that came through the relay.
  func nextData() -> (bytes: [UInt8], peer: SocketAddress)? { received.isEmpty ? nil : received.removeFirst() }

  /// Does what is due, and sends what is to be sent.
  func step(now: Instant) {
    guard problem == nil else { return }
    if case .stream(let stream) = way, !stream.isOpen { return }
    if let deadline = client.deadline, deadline <= now { client.handleTimeout(now: now) }
    while true {
      var destination: SocketAddress?
      let bytes = [UInt8](capacity: TURNClient.maximumSize) { destination = client.nextTransmit(into: &$0, now: now) }
      guard destination != nil else { return }
      write(bytes)
    }
  }

  /// Takes in a datagram of the group. - Returns: whether it was of this allocation: the same server may be asked for more.
  func handle(_ bytes: RawSpan, from source: SocketAddress, on number: Int, now: Instant) -> Bool {
    guard case .datagrams(let socket) = way, number == socket, source == client.server else { return false }
    return take([UInt8](copying: bytes), now)
  }

  @discardableResult
  private func take(_ frame: [UInt8], _ now: Instant) -> Bool {
    switch client.handle(frame.bytes, from: client.server, now: now) {
    case .data(let range, let peer):
      // Whoever drains after each input leaves nothing here.
      if received.count < 1024 { received.append((Array(frame[range]), peer)) }
      return true
    case .control: return true
    case .ignored: return false
    }
  }

  /// Works off an event of the group's others. - Returns: whether it was this connection's.
  func handle(_ event: Poller.Event, now: Instant) -> Bool {
    guard case .stream(let stream) = way, event.token == stream.token else { return false }
    guard problem == nil else { return true }
    if !stream.isOpen, event.isWritable || event.isFailed {
      if let error = stream.socket.connectError() {
        end("no connection: \(error)", stream)
        return true
      }
      if stream.tls == nil { stream.isOpen = true } else { feed([], stream, now) }
    }
    if event.isReadable || event.isFailed { read(stream, now) }
    if problem == nil { flush(stream) }
    return true
  }

  // MARK: - Streams

  private func read(_ stream: Stream, _ now: Instant) {
    while problem == nil {
      var bytes: [UInt8] = []
      switch stream.socket.read(into: &bytes) {
      case .bytes: feed(bytes, stream, now)
      case .blocked: return
      case .ended, .failed: return end("the server closed the connection", stream)
      }
    }
  }

  private func feed(_ bytes: [UInt8], _ stream: Stream, _ now: Instant) {
    var plain = bytes
    if let tls = stream.tls {
      plain = []
      do { try tls.receive(bytes, into: &plain) } catch {
        switch error {
        case .handshake(let text): return end(text, stream)
        case .closed: return end("the server closed the connection", stream)
        }
      }
      stream.isOpen = tls.isConnected
      stream.output += tls.outgoing()
    }
    var offset = 0
    do {
      while offset < plain.count {
        offset += try stream.deframer.append(plain.bytes.extracting(offset..<plain.count))
        while let frame = try stream.deframer.nextFrame() { take(frame, now) }
      }
    } catch { end("what the server sends is not TURN", stream) }
  }

  private func write(_ bytes: [UInt8]) {
    switch way {
    case .datagrams(let socket): group.send(bytes.bytes, from: socket, to: client.server)
    case .stream(let stream):
      guard stream.output.count + bytes.count <= Self.mostPending else { return }
      if let tls = stream.tls {
        tls.send(bytes)
        stream.output += tls.outgoing()
      } else {
        stream.output += bytes
      }
      flush(stream)
    }
  }

  private func flush(_ stream: Stream) {
    var written = 0
    while written < stream.output.count,
      case .bytes(let count) = stream.socket.write(stream.output.bytes.extracting(written..<stream.output.count))
    { written += count }
    stream.output.removeFirst(written)
    let isWaiting = !stream.output.isEmpty
    guard isWaiting != stream.isWaiting else { return }
    stream.isWaiting = isWaiting
    group.rewatch(stream.socket.descriptor, token: stream.token, isWaiting ? [.readable, .writable] : .readable)
  }

  private func end(_ text: String, _ stream: Stream) {
    problem = text
    group.unwatch(stream.socket.descriptor)
  }
}
