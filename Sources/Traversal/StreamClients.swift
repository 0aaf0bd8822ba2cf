internal import MeshPrimitives
internal import MeshRuntime
internal import MeshTURN

/// The TCP connections of a TURN server's clients: accepted, cut into frames, written to without waiting.
///
/// Everything is bounded: connections, those of one address, a frame that is not whole, the bytes that wait to be written on
/// each, and how long one without an allocation may be silent.
final class StreamClients {
  /// Bytes that may wait to be written on a connection; data beyond that is dropped, as a network would.
  static let mostPending = 256 << 10
  /// Connections from one address.
  static let mostPerAddress = 64
  static let maximum = 4096
  /// How long a connection without an allocation may say nothing.
  static let patience = Duration.seconds(60)
  private static let listenerToken = UInt64(1) << 32

  final class Client {
    let socket: TCPSocket
    let number: UInt32
    var deframer = StreamDeframer(limit: 4096)
    var output: [UInt8] = []
    var written = 0
    var isWaiting = false
    var lastHeard: Instant

    init(_ socket: consuming TCPSocket, _ number: UInt32, now: Instant) {
      self.socket = socket
      self.number = number
      lastHeard = now
    }
  }

  private let group: SocketGroup
  private let listener: TCPListener
  private var input: [UInt8] = []
  private var clients: [UInt32: Client] = [:]
  private var perAddress: [IPAddress: Int] = [:]
  private var next: UInt32 = 0
  private var sweepAt: Instant?
  private(set) var refused: UInt64 = 0
  private(set) var lost: UInt64 = 0

  init(_ group: SocketGroup, port: UInt16, address: IPAddress?) throws(SocketError) {
    self.group = group
    listener = try TCPListener(port: port, address: address)
    try group.watch(listener.descriptor, token: Self.listenerToken)
  }

  var local: SocketAddress { listener.local }

  /// Works off the events of the last wait.
  /// - Parameters:
  ///   - frame: called for each whole frame.
  ///   - closed: called when a connection has ended.
  func work(
    now: Instant, frame: (_ path: ClientPath, _ frame: inout [UInt8]) -> Void, closed: (_ path: ClientPath) -> Void
  ) {
    group.others { event in
      if event.token == Self.listenerToken { return acceptAll(now) }
      guard let client = clients[UInt32(truncatingIfNeeded: event.token)] else { return }
      if event.isWritable { flush(client) }
      guard event.isReadable || event.isFailed else { return }
      client.lastHeard = now
      if !read(client, frame) {
        closed(path(client))
        close(client)
      }
    }
  }

  /// When ``expire(now:hasAllocation:)`` is to be called.
  var deadline: Instant? { sweepAt }

  /// Closes connections that were silent for too long and have no allocation.
  func expire(now: Instant, hasAllocation: (ClientPath) -> Bool) {
    guard let due = sweepAt, due <= now else { return }
    for client in clients.values where client.lastHeard + Self.patience <= now && !hasAllocation(path(client)) {
      close(client)
    }
    sweepAt = clients.isEmpty ? nil : now + .seconds(10)
  }

  private func acceptAll(_ now: Instant) {
    while let socket = listener.accept() {
      let address = socket.peer.address
      guard clients.count < Self.maximum, perAddress[address, default: 0] < Self.mostPerAddress else {
        refused += 1
        continue
      }
      next &+= 1
      let client = Client(socket, next, now: now)
      guard (try? group.watch(client.socket.descriptor, token: token(client))) != nil else { continue }
      clients[client.number] = client
      perAddress[address, default: 0] += 1
      if sweepAt == nil { sweepAt = now + Self.patience }
    }
  }

  private func token(_ client: Client) -> UInt64 { 2 << 32 | UInt64(client.number) }

  private func path(_ client: Client) -> ClientPath {
    ClientPath(client.socket.peer, socket: client.number, transport: .stream)
  }

  /// Reads what has come, at most four times: then others have their turn. - Returns: `false` when the connection is over.
  private func read(_ client: Client, _ frame: (ClientPath, inout [UInt8]) -> Void) -> Bool {
    for _ in 0..<4 {
      input.removeAll(keepingCapacity: true)
      switch client.socket.read(into: &input) {
      case .blocked: return true
      case .ended, .failed: return false
      case .bytes:
        var offset = 0
        let received = input
        do {
          while offset < received.count {
            offset += try client.deframer.append(received.bytes.extracting(offset..<received.count))
            while var next = try client.deframer.nextFrame() { frame(path(client), &next) }
          }
        } catch { return false }
      }
    }
    return true
  }

  /// Writes `bytes` to the client, now or when it takes more.
  func send(_ bytes: RawSpan, to path: ClientPath) {
    guard let client = clients[path.socket] else { return }
    guard client.output.count - client.written + bytes.byteCount <= Self.mostPending else {
      lost += 1
      return
    }
    client.output += [UInt8](copying: bytes)
    if !client.isWaiting { flush(client) }
  }

  private func flush(_ client: Client) {
    while client.written < client.output.count {
      let output = client.output
      guard case .bytes(let count) = client.socket.write(output.bytes.extracting(client.written..<output.count)) else {
        // A broken connection shows itself by its next event.
        wait(client, true)
        return
      }
      client.written += count
    }
    client.output.removeAll(keepingCapacity: true)
    client.written = 0
    wait(client, false)
  }

  private func wait(_ client: Client, _ isWaiting: Bool) {
    guard client.isWaiting != isWaiting else { return }
    client.isWaiting = isWaiting
    group.rewatch(
      client.socket.descriptor, token: token(client), isWaiting ? [.readable, .writable] : .readable)
  }

  private func close(_ client: Client) {
    group.unwatch(client.socket.descriptor)
    clients[client.number] = nil
    let address = client.socket.peer.address
    let left = perAddress[address, default: 1] - 1
    perAddress[address] = left > 0 ? left : nil
  }
}
