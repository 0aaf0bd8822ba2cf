public import MeshPacket
internal import MeshPrimitives
public import MeshReliability
public import MeshSession

extension Node {
  /// Opens a stream to a service of the peer.
  /// - Throws: `.closed` when the peer is not connected (``connect(to:now:)``), and what `Connection` throws.
  public mutating func openStream(
    to id: PeerID, service: String, options: StreamOptions = StreamOptions()
  ) throws(StreamError) -> StreamHandle {
    guard let peer = self[id], peer.isConnected, let connection = peer.connection else { throw .closed(.peerVanished) }
    let stream = try connection.machine.openStream(service: service, options: options)
    markReady(peer)
    return StreamHandle(peer: id, connection: peer.connectionNumber, id: stream)
  }

  /// Whether this side may read from the stream, and write to it: a one-way stream goes from who opened it.
  public func isReadable(_ stream: StreamHandle) -> Bool { !stream.id.isOneWay || !isOwn(stream) }
  public func isWritable(_ stream: StreamHandle) -> Bool { !stream.id.isOneWay || isOwn(stream) }

  private func isOwn(_ stream: StreamHandle) -> Bool {
    guard let peer = self[stream.peer] else { return false }
    // Odd streams belong to the greater key.
    return stream.id.isOdd == (peer.publicKey < publicKey)
  }

  /// Takes in as much of `bytes` as there is room for, and returns how much that was.
  public mutating func write(_ bytes: RawSpan, to stream: StreamHandle) throws(StreamError) -> Int {
    let (peer, connection) = try find(stream)
    let count = try connection.machine.write(bytes, to: stream.id)
    if count > 0 { markReady(peer) }
    return count
  }

  /// No more will be written: the peer reads what was, and then the end.
  public mutating func finish(_ stream: StreamHandle) throws(StreamError) {
    let (peer, connection) = try find(stream)
    try connection.machine.finish(stream.id)
    markReady(peer)
  }

  /// Gives up sending: what is not delivered is dropped.
  public mutating func reset(_ stream: StreamHandle, code: ErrorCode) throws(StreamError) {
    let (peer, connection) = try find(stream)
    try connection.machine.reset(stream.id, code: code)
    markReady(peer)
  }

  /// Gives up reading, and asks the peer to send no more.
  public mutating func stop(_ stream: StreamHandle, code: ErrorCode) throws(StreamError) {
    let (peer, connection) = try findToRead(stream)
    defer { peer.releaseRemnant() }
    try connection.machine.stop(stream.id, code: code)
    markReady(peer)
  }

  /// Appends what has come, up to the capacity of `output`; this lets the peer send more. What had come before the peer
  /// ended the connection, or vanished, can still be read.
  public mutating func read(
    _ stream: StreamHandle, into output: inout OutputRawSpan
  ) throws(StreamError) -> ReadResult {
    let (peer, connection) = try findToRead(stream)
    defer { peer.releaseRemnant() }
    let result = try connection.machine.read(stream.id, into: &output)
    if case .bytes = result { markReady(peer) }
    return result
  }

  private func find(_ stream: StreamHandle) throws(StreamError) -> (NodePeer, OpenConnection) {
    guard let peer = self[stream.peer], peer.connectionNumber == stream.connection, let connection = peer.connection
    else { throw .closed(.peerVanished) }
    return (peer, connection)
  }

  /// Also on the last connection of the peer that ended.
  private func findToRead(_ stream: StreamHandle) throws(StreamError) -> (NodePeer, OpenConnection) {
    if let peer = self[stream.peer], let remnant = peer.remnant, remnant.number == stream.connection {
      return (peer, remnant.connection)
    }
    return try find(stream)
  }
}

extension NodePeer {
  /// Forgets the connection that has ended when nothing is left to be read on it.
  func releaseRemnant() {
    if let remnant, !remnant.connection.machine.hasUnread { self.remnant = nil }
  }
}
