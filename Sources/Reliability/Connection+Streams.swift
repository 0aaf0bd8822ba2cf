public import MeshPacket
internal import MeshPrimitives

// What the application does with streams.
extension Connection {
  private func requireOpen() throws(StreamError) {
    if case .closed(let reason) = state { throw .closed(reason) }
  }

  private mutating func find(_ id: StreamID) throws(StreamError) -> Stream {
    try requireOpen()
    guard let stream = table.find(id.rawValue) else { throw .unknownStream }
    return stream
  }

  /// Opens a stream for the service of this name. The peer learns of it with the next packet.
  /// - Throws: `.tooManyStreams` (``ConnectionEvent/streamsAvailable`` tells when to try again), `.serviceTooLong`, `.closed`.
  public mutating func openStream(
    service: String, options: StreamOptions = StreamOptions()
  ) throws(StreamError) -> StreamID {
    try requireOpen()
    precondition((1...16).contains(options.weight), "a weight is 1 to 16")
    let name = Array(service.utf8)
    guard name.count <= PacketLimits.serviceLength else { throw .serviceTooLong(bytes: name.count) }
    let quota = table[isOneWay: options.isOneWay]
    guard quota.opened < quota.mayOpen else {
      wantsStreams = true
      throw .tooManyStreams(limit: quota.mayOpen)
    }
    let id = StreamID(index: quota.opened, odd: table.opensOdd, oneWay: options.isOneWay)
    table[isOneWay: options.isOneWay].opened += 1
    let stream = Stream(
      id: id, isLocal: true, service: name, options: options, sendLimit: configuration.peer.streamData,
      window: newStreamWindow)
    table.add(stream)
    markReady(stream)
    return id
  }

  /// Copies as much of `bytes` into the stream's buffer as fits, and returns how many bytes those are. After fewer than
  /// all, ``ConnectionEvent/writable(_:)`` tells when there is room again.
  /// - Throws: `.notWritable` after the end or a reset, `.stopped`, `.unknownStream`, `.closed`.
  public mutating func write(_ bytes: RawSpan, to id: StreamID) throws(StreamError) -> Int {
    let stream = try find(id)
    if let code = stream.peerStopCode { throw .stopped(code: code) }
    guard stream.isWritable, !stream.isFinishing, stream.resetCode == nil else { throw .notWritable }
    let limit = min(sendLimit, stream.send.buffered - stream.send.unsent + Self.mostUnsent)
    let count = stream.send.write(bytes, limit: limit, from: pool)
    if count < bytes.byteCount {
      stream.wantsWritable = true
      if stream.send.buffered < limit { starve(stream) }
    }
    if count > 0 { markReady(stream) }
    return count
  }

  /// Bytes that a stream may hold for sending: two windows.
  private var sendLimit: Int { min(configuration.sendBuffer, max(512 << 10, 2 * path.congestion.window)) }

  /// Bytes of a stream that wait to be sent for the first time: enough for a few bursts. More would be no faster, and would
  /// have left the processor's cache when their turn comes.
  private static var mostUnsent: Int { 512 << 10 }

  /// The pool has no memory for what the stream was to take. Its own acknowledgements may never come.
  private mutating func starve(_ stream: Stream) {
    pool.noteShortage()
    guard !stream.isStarving else { return }
    stream.isStarving = true
    if starving.count >= 2 * table.count { starving.removeAll(where: \.isRemoved) }
    starving.append(stream)
  }

  /// To be called when the pool has room again (``ChunkPool/takeRelief()``): whoever found none is told by events.
  /// - Returns: whether anybody did.
  public mutating func offerRoom() -> Bool {
    guard case .open = state, !starving.isEmpty || messages.contains(where: \.isStarving) else { return false }
    for stream in starving {
      stream.isStarving = false
      if !stream.isRemoved { offerRoom(in: stream) }
    }
    starving.removeAll(keepingCapacity: true)
    for lane in Lane.allCases where messages[lane.index].isStarving {
      messages[lane.index].isStarving = false
      offerRoomForMessages(on: lane)
    }
    return true
  }

  /// Tells the application that there is room again, when it waits for that and it is worth its while.
  mutating func offerRoom(in stream: Stream) {
    guard stream.wantsWritable, stream.send.unsent <= Self.mostUnsent / 2,
      stream.send.buffered <= sendLimit / 4 * 3
    else { return }
    stream.wantsWritable = false
    if !stream.isFinishing { events.append(.writable(stream.id)) }
  }

  var newStreamWindow: ReceiveWindow {
    ReceiveWindow(size: configuration.local.streamData, largest: configuration.largestStreamWindow)
  }

  /// Nothing follows what was written; reading goes on. Harmless when said twice.
  public mutating func finish(_ id: StreamID) throws(StreamError) {
    let stream = try find(id)
    if let code = stream.peerStopCode { throw .stopped(code: code) }
    guard stream.isWritable, stream.resetCode == nil else { throw .notWritable }
    guard !stream.isFinishing else { return }
    stream.isFinishing = true
    stream.needsFin = true
    markReady(stream)
  }

  /// Gives up sending: what was not delivered is dropped, and the peer told. Harmless when all was delivered.
  public mutating func reset(_ id: StreamID, code: ErrorCode) throws(StreamError) {
    let stream = try find(id)
    guard stream.resetCode == nil, !stream.isSendDone else { return }
    resetSending(stream, code: code)
  }

  mutating func resetSending(_ stream: Stream, code: ErrorCode) {
    stream.resetCode = code
    stream.resetSize = stream.send.sent
    stream.needsFin = false
    stream.needsOpening = false
    stream.send.discard(pool: pool)
    tell(.reset, of: stream)
  }

  /// Reads no more of the stream: what came and comes is dropped, and the peer asked to stop.
  public mutating func stop(_ id: StreamID, code: ErrorCode) throws(StreamError) {
    if closeReason != nil, let stream = table.find(id.rawValue) { forget(stream) }
    let stream = try find(id)
    guard !stream.isReceiveDone, stream.stopCode == nil else { return }
    stream.stopCode = code
    discardReceived(stream)
    // The end is known: there is nothing to ask for.
    if stream.finalSize == nil { tell(.stop, of: stream) }
    if stream.finalSize != nil {
      stream.isReceiveDone = true
      removeIfDone(stream)
    }
  }

  /// Appends what has come, in order, up to `output.freeCapacity` bytes, and lets the peer send as much again.
  ///
  /// The stream is gone after `.finished` or `.reset`, once sending has ended too. What had come in order before the peer
  /// ended the connection, or vanished, can still be read; only behind that `.closed` is thrown.
  /// - Throws: `.notReadable` after ``stop(_:code:)`` or the end, `.unknownStream`, `.closed`.
  public mutating func read(_ id: StreamID, into output: inout OutputRawSpan) throws(StreamError) -> ReadResult {
    guard closeReason == nil else { return try readLeft(id, into: &output) }
    let stream = try find(id)
    guard stream.stopCode == nil, !stream.isReceiveDone else { throw .notReadable }
    precondition(output.freeCapacity > 0, "give room for at least one byte")
    if let code = stream.peerResetCode {
      stream.isReceiveDone = true
      removeIfDone(stream)
      return .reset(code: code)
    }
    let count = stream.receive.read(into: &output, pool: pool)
    if count > 0 {
      consumed(UInt64(count))
      if stream.finalSize == nil {
        if stream.window.isWorthTelling(position: stream.receive.position, limit: stream.receiveLimit) {
          tell(.windowUpdate, of: stream)
        }
      }
      return .bytes(count)
    }
    if let size = stream.finalSize, stream.receive.position == size {
      stream.isReceiveDone = true
      removeIfDone(stream)
      return .finished
    }
    stream.wantsReadable = true
    return .blocked
  }

  /// Reads what a connection that has ended has left.
  private mutating func readLeft(_ id: StreamID, into output: inout OutputRawSpan) throws(StreamError) -> ReadResult {
    guard let stream = table.find(id.rawValue) else { throw .closed(closeReason!) }
    precondition(output.freeCapacity > 0, "give room for at least one byte")
    let count = stream.receive.read(into: &output, pool: pool)
    if count > 0 { return .bytes(count) }
    let isAtEnd = stream.finalSize == stream.receive.position
    forget(stream)
    guard isAtEnd else { throw .closed(closeReason!) }
    return .finished
  }

  /// Whether bytes, the end or a reset can be read at once.
  public mutating func isReadable(_ id: StreamID) -> Bool {
    guard let stream = table.find(id.rawValue), stream.stopCode == nil, !stream.isReceiveDone else { return false }
    return stream.receive.readable > 0 || stream.peerResetCode != nil || stream.finalSize == stream.receive.position
  }

  /// Counts bytes that flow control holds no longer.
  mutating func consumed(_ count: UInt64) {
    dataConsumed += count
    if dataWindow.isWorthTelling(position: dataConsumed, limit: dataAllowed) { needsMaxData = true }
  }

  /// Drops what a stream has received, and credits it.
  mutating func discardReceived(_ stream: Stream) {
    gaps -= stream.receive.gaps
    let unread = stream.receive.highest - stream.receive.position
    stream.receive.discard(pool: pool)
    consumed(unread)
  }

  // MARK: Bookkeeping

  /// Puts a stream that has something to send into the queue.
  mutating func markReady(_ stream: Stream) {
    guard !stream.isReady, !stream.isRemoved, !stream.isBlockedByConnection || stream.readiness == .something,
      stream.readiness != .nothing
    else { return }
    stream.isReady = true
    lanes[stream.lane.index].append(.stream(stream))
  }

  /// Puts a frame about a stream on the list.
  mutating func tell(_ control: Stream.Control, of stream: Stream) {
    stream.control.insert(control)
    guard !stream.isInControlList else { return }
    stream.isInControlList = true
    controlList.append(stream)
  }

  /// Forgets a stream that has ended in both directions.
  mutating func removeIfDone(_ stream: Stream) {
    guard stream.isReceiveDone, stream.isSendDone, !stream.isRemoved else { return }
    stream.isRemoved = true
    gaps -= stream.receive.gaps
    forget(stream)
    guard !stream.isLocal else { return }
    table[isOneWay: stream.id.isOneWay].peerEnded += 1
    if table[isOneWay: stream.id.isOneWay].isWorthTelling { needsMaxStreams = true }
  }

  /// Gives back the memory of a stream, and its place.
  mutating func forget(_ stream: Stream) {
    stream.send.discard(pool: pool)
    stream.receive.discard(pool: pool)
    table.remove(stream)
  }
}
