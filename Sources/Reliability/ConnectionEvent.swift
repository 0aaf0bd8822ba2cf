public import MeshPacket

/// What happened on a connection.
public enum ConnectionEvent: Equatable, Sendable {
  /// The peer opened a stream for the service of this name.
  case streamOpened(StreamID, service: String)
  /// Bytes, or the end, can be read. Comes again only after a read has said `.blocked`.
  case readable(StreamID)
  /// A stream whose buffer was full takes bytes again.
  case writable(StreamID)
  /// The peer has all that was written, and the end.
  case streamFinished(StreamID)
  /// The peer will send no more on this stream, and what was not read is gone.
  case reset(StreamID, code: ErrorCode)
  /// The peer reads no more of this stream; sending was reset with the same code.
  case stopped(StreamID, code: ErrorCode)
  /// Messages for the service of this name can be read. Comes again only after ``Connection/readMessage(_:into:)`` has said
  /// that there is none.
  case messages(InboxID, service: String)
  /// The same for datagrams.
  case datagrams(InboxID, service: String)
  /// A lane whose message buffer was full takes messages again.
  case messagesWritable(Lane)
  /// The peer has every message that was sent.
  case messagesDelivered
  /// The peer has dropped messages, or datagrams, that were sent on this channel: it has no such service, or not for us.
  case refused(MessageChannel, datagrams: Bool, code: ErrorCode)
  /// The peer allows more streams again, after ``StreamError/tooManyStreams(limit:)``.
  case streamsAvailable
  /// The connection is over, and so is every stream.
  case closed(CloseReason)
}

/// What came of reading.
public enum ReadResult: Equatable, Sendable {
  /// So many bytes were appended, at least one.
  case bytes(Int)
  /// Nothing has come; ``ConnectionEvent/readable(_:)`` tells when.
  case blocked
  /// All was read up to the end.
  case finished
  /// The peer gave up sending.
  case reset(code: ErrorCode)
}

/// What became of a packet.
public enum PacketOutcome: Equatable, Sendable {
  /// It has a new number and was processed. `hasForeignFrames` tells whether it carries frames that are not the
  /// connection's; they are delivered by whoever knows them, once, now.
  case accepted(hasForeignFrames: Bool)
  /// It came before.
  case duplicate
  /// It has no number: nothing in it belongs to the connection.
  case unnumbered
  /// There was no memory for it. It counts as not received, and the peer will send it again.
  case noRoom
  /// The connection has ended.
  case closed
}
