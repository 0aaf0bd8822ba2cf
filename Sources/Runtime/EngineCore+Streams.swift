internal import MeshNode
internal import MeshPacket
internal import MeshPrimitives
internal import MeshReliability
internal import MeshSession

/// A stream at the edge of the engine.
final class EngineStream {
  let handle: StreamHandle
  let peer: PublicKey
  let pipe: StreamPipe
  let delivery: Gate<Void>
  /// When bytes last moved through the pipe; `nil`: its storage was given back since.
  var lastMoved: Instant?
  var isFinishing = false
  var isFinished = false
  /// The peer's end, or its reset, was passed on.
  var isReadEnded = false
  var isWriteEnded = false
  /// Why the connection is over: told to the reader behind what had come before.
  var failure: StreamFailure?

  init(handle: StreamHandle, peer: PublicKey, pipe: StreamPipe, delivery: Gate<Void>) {
    self.handle = handle
    self.peer = peer
    self.pipe = pipe
    self.delivery = delivery
  }

  func fail(_ failure: StreamFailure) {
    if !isReadEnded { pipe.engineFailReading(failure) }
    pipe.engineFailWriting(failure)
    delivery.settle(.failure(MeshStream.error(failure, peer: peer)))
  }
}

extension EngineCore {
  /// Works off all events of the node.
  func drainEvents() {
    while let event = node.nextEvent() { handle(event) }
  }

  private func handle(_ event: NodeEvent) {
    switch event {
    case .readable(let handle): stream(handle).map(deliver)
    case .writable(let handle): stream(handle).map(takeFromApp)
    case .streamOpened(let handle, let service, let peer): accept(handle, service: service, peer: peer)
    case .finished(let handle):
      guard let stream = stream(handle) else { return }
      stream.isWriteEnded = true
      stream.delivery.settle(.success(()))
      releaseIfDone(stream)
    case .reset(let handle, let code):
      guard let stream = stream(handle) else { return }
      stream.pipe.engineFailReading(.reset(code: code.rawValue))
      stream.isReadEnded = true
      // The connection holds the stream until its end was read.
      try? node.stop(handle, code: code)
      if code == .refused { endWriting(stream, code: code) }
      releaseIfDone(stream)
    case .stopped(let handle, let code):
      guard let stream = stream(handle) else { return }
      endWriting(stream, code: code)
      releaseIfDone(stream)
    case .connected(let id), .streamsAvailable(let id): connected(id)
    case .plain(let id): failCalls(to: id) { .plainWireGuard($0) }
    case .unreachable(let id): retryCalls(to: id)
    case .disconnected(let id, let reason): disconnected(id, reason)
    case .pong(let id, let token, let roundTrip, let source): pong(id, token, roundTrip, source)
    case .messages(let inbox, let service, let peer): readable(inbox, service: service, peer: peer, datagrams: false)
    case .datagrams(let inbox, let service, let peer): readable(inbox, service: service, peer: peer, datagrams: true)
    case .messagesWritable(let id, let lane): messagesWritable(id, lane)
    case .refused(let channel, let datagrams): refused(channel, datagrams: datagrams)
    case .messagesDelivered(let id): messagesDelivered(id)
    case .packetSizeChanged(let id): packetSizeChanged(id)
    case .pathChanged: break
    case .strangerAdded, .strangerRemoved: break
    }
  }

  private func stream(_ handle: StreamHandle) -> EngineStream? { tokens[handle].flatMap { streams[$0] } }

  private func endWriting(_ stream: EngineStream, code: ErrorCode) {
    stream.pipe.engineFailWriting(.reset(code: code.rawValue))
    stream.isWriteEnded = true
    stream.delivery.settle(.failure(MeshStream.error(.reset(code: code.rawValue), peer: stream.peer)))
  }

  // MARK: - Making and ending

  /// A stream of the node gets an edge.
  func makeStream(_ handle: StreamHandle, service: String, peer: PublicKey) -> MeshStream {
    let token = nextToken
    nextToken += 1
    let pipe = StreamPipe(token: token, limit: 512 << 10, ready: readyPipes)
    let delivery = Gate<Void>()
    let stream = EngineStream(handle: handle, peer: peer, pipe: pipe, delivery: delivery)
    streams[token] = stream
    tokens[handle] = token
    if !node.isReadable(handle) {
      pipe.engineFailReading(.notReadable)
      stream.isReadEnded = true
    }
    if !node.isWritable(handle) {
      pipe.engineFailWriting(.finished)
      stream.isWriteEnded = true
      delivery.settle(.success(()))
    }
    return MeshStream(peer: peer, service: service, pipe: pipe, delivery: delivery)
  }

  private func accept(_ handle: StreamHandle, service: String, peer: PublicKey) {
    guard let queue = incoming[service] else { return refuse(handle) }
    let stream = makeStream(handle, service: service, peer: peer)
    // When it is dropped, the stream goes with it, and its end gives it up.
    if case .enqueued = queue.continuation.yield(stream) { return }
    stream.reset(code: .refused)
  }

  private func refuse(_ handle: StreamHandle) {
    try? node.stop(handle, code: .refused)
    try? node.reset(handle, code: .refused)
  }

  private func releaseIfDone(_ stream: EngineStream) {
    guard stream.isReadEnded, stream.isWriteEnded, let token = tokens.removeValue(forKey: stream.handle) else { return }
    streams[token] = nil
  }

  private func disconnected(_ id: PeerID, _ reason: DisconnectReason) {
    failMessages(to: id, reason)
    retryBlockedCalls(to: id)
    let failure = StreamFailure.disconnected(reason)
    for stream in streams.values where stream.handle.peer == id {
      stream.pipe.engineFailWriting(failure)
      stream.delivery.settle(.failure(MeshStream.error(failure, peer: stream.peer)))
      stream.isWriteEnded = true
      stream.failure = failure
      deliver(stream)
      releaseIfDone(stream)
    }
  }

  // MARK: - Memory

  /// Storage of a pipe that nothing has moved through for so many nanoseconds is given back.
  private static var quietTime: Int64 { 2_000_000_000 }

  private func moved(_ stream: EngineStream) {
    stream.lastMoved = now
    if quietCheck == nil { quietCheck = now.advanced(nanoseconds: Self.quietTime) }
  }

  /// Gives back the storage of pipes that have gone quiet.
  func releaseQuietPipes() {
    guard let due = quietCheck, due <= now else { return }
    quietCheck = nil
    for stream in streams.values {
      guard let moved = stream.lastMoved else { continue }
      if now.nanoseconds(since: moved) >= Self.quietTime {
        stream.pipe.engineReleaseStorage()
        stream.lastMoved = nil
      } else {
        quietCheck = now.advanced(nanoseconds: Self.quietTime)
      }
    }
  }

  // MARK: - Moving bytes

  /// The app did something with the stream: wrote, finished, read, or gave it up.
  func attend(_ stream: EngineStream) {
    let attention = stream.pipe.engineAttend()
    moved(stream)
    // What the peer's stop has ended is no act of the app's.
    if let code = attention.resetCode, !stream.isWriteEnded {
      try? node.stop(stream.handle, code: ErrorCode(rawValue: code))
      try? node.reset(stream.handle, code: ErrorCode(rawValue: code))
      stream.isReadEnded = true
      stream.isWriteEnded = true
      stream.delivery.settle(.failure(MeshError.reset(code: code)))
      releaseIfDone(stream)
      return
    }
    if let code = attention.stopCode, !stream.isReadEnded {
      // What the app will not read must not hold the peer's window.
      try? node.stop(stream.handle, code: ErrorCode(rawValue: code))
      stream.isReadEnded = true
      releaseIfDone(stream)
    }
    stream.isFinishing = attention.isFinished
    takeFromApp(stream)
    if attention.consumed > 0 || attention.outgoing == 0 { deliver(stream) }
  }

  /// From the app to the connection, as far as it has room; the rest waits in the pipe.
  private func takeFromApp(_ stream: EngineStream) {
    guard !stream.isFinished, !stream.isWriteEnded else { return }
    var isFull = false
    stream.pipe.engineTake { bytes in
      // A stream that takes no more swallows: its end has been or will be told by an event.
      let taken = (try? node.write(bytes, to: stream.handle)) ?? bytes.byteCount
      isFull = taken < bytes.byteCount
      return taken
    }
    if stream.isFinishing, !isFull {
      stream.isFinished = true
      try? node.finish(stream.handle)
    }
  }

  /// From the connection to the app, as far as it has room; the rest waits in the connection, whose window stays shut.
  func deliver(_ stream: EngineStream) {
    guard !stream.isReadEnded else { return }
    moved(stream)
    var result: ReadResult? = .blocked
    stream.pipe.engineFill { output in result = try? node.read(stream.handle, into: &output) }
    switch result {
    case .bytes, .blocked: return
    case .finished: stream.pipe.engineFinish()
    case .reset(let code): stream.pipe.engineFailReading(.reset(code: code.rawValue))
    case nil:
      // Nothing is left of a connection that is over; before its end is told, its last events are worked off.
      guard let failure = stream.failure else { return }
      stream.pipe.engineFailReading(failure)
    }
    stream.isReadEnded = true
    releaseIfDone(stream)
  }
}
