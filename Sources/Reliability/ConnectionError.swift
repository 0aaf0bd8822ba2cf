public import MeshPacket

/// How a peer broke the rules. It ends the connection; the node tells the peer ``code``.
public enum ConnectionError: Error, Equatable, Sendable {
  /// The packet could not be read. After `.notCanonical` the connection goes on: the same packet may be given again in
  /// canonical form.
  case packet(PacketError)
  /// It acknowledged a packet that was never sent.
  case acknowledgedUnsent(number: UInt64)
  /// It sent more than a window allows. `limit` in bytes; `stream` is `nil` for the window of the connection.
  case windowExceeded(stream: StreamID?, limit: UInt64)
  /// An offset or size beyond 2^62 - 1.
  case offsetTooLarge(StreamID)
  /// It sent beyond the end of a stream, or gave two different ends.
  case finalSizeChanged(StreamID, was: UInt64, now: UInt64)
  /// It opened more streams than it may.
  case tooManyStreams(StreamID, limit: UInt64)
  /// A message, or a datagram, longer than it may be. `limit` in bytes.
  case messageTooLong(bytes: UInt64, limit: UInt64)
  /// Two pieces of a message, or two messages, that cannot both be meant.
  case contradictoryMessage(UInt64)
  /// A channel that has another name or none, or whose number is out of range.
  case contradictoryChannel(UInt32)
  /// More services than a connection takes messages for.
  case tooManyChannels(limit: Int)
  /// A frame for a stream that we would have to open and did not, or of a kind that the stream does not have.
  case wrongStream(StreamID)

  /// What the peer is told.
  public var code: ErrorCode {
    switch self {
    case .packet(.unsupported): .unsupported
    case .packet(.tooLarge), .messageTooLong: .tooLarge
    case .packet, .acknowledgedUnsent, .contradictoryMessage, .contradictoryChannel: .malformed
    case .windowExceeded: .flowControl
    case .tooManyStreams, .tooManyChannels: .streamLimit
    case .wrongStream: .streamState
    case .offsetTooLarge, .finalSizeChanged: .finalSize
    }
  }
}

/// Why a call on a stream did nothing.
public enum StreamError: Error, Equatable, Sendable {
  /// There is no such stream, or it has ended in both directions.
  case unknownStream
  /// The stream was finished or reset for sending.
  case notWritable
  /// Reading was stopped.
  case notReadable
  /// The peer asked to stop sending, with this code.
  case stopped(code: ErrorCode)
  /// The peer does not allow more streams now.
  case tooManyStreams(limit: UInt64)
  /// The name of the service is longer than 255 bytes.
  case serviceTooLong(bytes: Int)
  /// The connection has ended.
  case closed(CloseReason)
}

/// Why a message or datagram was not taken.
public enum MessageError: Error, Equatable, Sendable {
  /// It is longer than the peer, the path (a datagram), or the buffer (a message) allows. `limit` in bytes.
  case tooLarge(bytes: Int, limit: Int)
  /// The buffer is full; ``ConnectionEvent/messagesWritable(_:)`` tells when there is room again.
  case full
  /// The peer does not understand messages, or datagrams.
  case unsupported
  /// The name of the service is empty or longer than 255 bytes.
  case badServiceName(bytes: Int)
  /// More services and lanes than a connection can tell apart.
  case tooManyServices(limit: Int)
  /// The connection has ended.
  case closed(CloseReason)
}

/// Why a connection ended.
public enum CloseReason: Error, Equatable, Sendable {
  /// This side closed it.
  case closedLocally(code: ErrorCode, reason: String)
  /// The peer closed it.
  case closedByPeer(code: ErrorCode, reason: String)
  /// The peer broke the rules.
  case violation(ConnectionError)
  /// Nothing came back for the configured time.
  case timedOut
  /// Whoever watches the session says that the peer is gone, or has started again without its old state.
  case peerVanished
}
