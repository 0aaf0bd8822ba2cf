/// The limits that one side sets for the other at the beginning of a connection.
public struct ConnectionLimits: Equatable, Sendable {
  /// Bytes that may be sent on all streams and as messages together before more is allowed; a message counts as 128 more
  /// than it has.
  public var data: UInt64
  /// Bytes that may be sent on each stream before more is allowed.
  public var streamData: UInt64
  /// Bidirectional streams that may be open.
  public var streams: UInt64
  /// One-way streams that may be open.
  public var oneWayStreams: UInt64
  /// Bytes in one message, and in one datagram; 0: none are understood. A message must fit into ``data``.
  public var message: UInt64
  public var datagram: UInt64
  /// Whether it understands that a channel is refused (`RefuseChannel`).
  public var refusals = true

  public init(
    data: UInt64 = 2 << 20, streamData: UInt64 = 1 << 20, streams: UInt64 = 256, oneWayStreams: UInt64 = 256,
    message: UInt64 = 1 << 20, datagram: UInt64 = 65_535
  ) {
    self.data = data
    self.streamData = streamData
    self.streams = streams
    self.oneWayStreams = oneWayStreams
    self.message = message
    self.datagram = datagram
  }
}

/// How a connection behaves. Both ends agree on ``local`` and ``peer`` before it begins; all else is one's own.
public struct Configuration: Sendable {
  /// What the peer may send to us at the beginning.
  public var local = ConnectionLimits()
  /// How far ``ConnectionLimits/data`` grows while the peer needs it: whatever arrives within four round trips fits.
  /// Memory for receiving is at most so much plus a chunk per stream and per unfinished message.
  public var largestWindow: UInt64 = 16 << 20
  /// The same for ``ConnectionLimits/streamData``.
  public var largestStreamWindow: UInt64 = 8 << 20
  /// What we may send to the peer.
  public var peer = ConnectionLimits()
  /// Bytes that a stream holds for sending, acknowledged or not: twice the congestion window, and at most so much.
  public var sendBuffer = 8 << 20
  /// Bytes that each lane holds in messages for sending.
  public var messageBuffer = 4 << 20
  public var congestion = CongestionAlgorithm.cubic
  /// Bytes of a full packet, with overhead, for the arithmetic of congestion control.
  public var packetSize = 1_400
  /// Bytes around each Packet message that count as in flight: framing, tag, headers.
  public var overheadPerPacket = 60
  /// An acknowledgement leaves after this many packets in order, if not before.
  public var packetsPerAck = 10
  /// An acknowledgement leaves at most this much later than the packet came; at most a second.
  public var maximumAckDelay = Duration.milliseconds(20)
  /// The same of the peer: what its acknowledgements are waited for besides the round trip (RFC 9002 §6.2.1).
  public var peerMaximumAckDelay = Duration.milliseconds(20)
  /// The round-trip time to assume before the first sample (RFC 9002 §6.2.2); the handshake may have measured a better one.
  public var initialRTT = Duration.milliseconds(333)
  /// The peer is gone when nothing came back for so long on what was sent.
  public var vanishedAfter = Duration.seconds(15)
  /// The connection ends when nothing came for so long; `nil`: never. Half of it after the last packet, a side with open
  /// streams asks for an acknowledgement. Both ends must agree: the shorter one holds.
  public var idleTimeout: Duration?
  /// Whether packets ask for ECN marks, as long as the path carries them (RFC 9000 §13.4).
  public var usesECN = true

  /// Of the first packet, from 1 on: above all that an earlier connection with the peer used, so that its packets, which may
  /// still be on their way, are told apart.
  public var firstNumber: UInt64 = 1
  /// Random, and unknown to the peer: which packet numbers are left out, to catch a peer that acknowledges what it never
  /// got. 0: none.
  public var skipSeed: UInt64 = 0

  public init() {}
}

/// Counters and estimates of a connection, for status and tests.
public struct ConnectionStatistics: Equatable, Sendable {
  public var smoothedRTT = Duration.zero
  public var minimumRTT = Duration.zero
  /// Bytes.
  public var congestionWindow = 0
  /// Bytes, with overhead.
  public var bytesInFlight = 0
  /// Bytes that the background lane may have in flight, and has; 0 while nobody has used it.
  public var backgroundWindow = 0
  public var backgroundBytesInFlight = 0
  /// Packets with a number.
  public var packetsSent: UInt64 = 0
  public var packetsReceived: UInt64 = 0
  public var duplicates: UInt64 = 0
  /// Packets taken for lost, and those of them that came after all.
  public var packetsLost: UInt64 = 0
  public var spuriousLosses: UInt64 = 0
  /// Bytes of stream data that were sent more than once.
  public var bytesRetransmitted: UInt64 = 0
  /// Bytes of stream data sent for the first time, and received in new frames.
  public var bytesSent: UInt64 = 0
  public var bytesReceived: UInt64 = 0
  public var acksSent: UInt64 = 0
  public var acksReceived: UInt64 = 0
  public var congestionEvents: UInt64 = 0
  /// Packets that the peer says came with CE, the mark of congestion.
  public var congestionMarks: UInt64 = 0
  /// Whether packets ask for marks: not any more once the path was seen not to carry them.
  public var usesECN = false
  public var probeTimeouts: UInt64 = 0
  /// Messages, and datagrams, that were sent and that came whole.
  public var messagesSent: UInt64 = 0
  public var messagesReceived: UInt64 = 0
  public var datagramsSent: UInt64 = 0
  public var datagramsReceived: UInt64 = 0
  /// Datagrams given up before they were sent, and on arrival because too many waited to be read.
  public var datagramsDropped: UInt64 = 0
  /// Packets that found no memory.
  public var noRoom: UInt64 = 0

  public init() {}
}
