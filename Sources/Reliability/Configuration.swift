/// The limits that one side sets for the other at the beginning of a connection.
public struct ConnectionLimits: Equatable, Sendable {
  /// Bytes that may be sent on all streams together before more is allowed.
  public var data: UInt64
  /// Bytes that may be sent on each stream before more is allowed.
  public var streamData: UInt64
  /// Bidirectional streams that may be open.
  public var streams: UInt64

  public init(data: UInt64 = 8 << 20, streamData: UInt64 = 4 << 20, streams: UInt64 = 256) {
    self.data = data
    self.streamData = streamData
    self.streams = streams
  }
}

/// How a connection behaves. Both ends agree on ``local`` and ``peer`` before it begins; all else is one's own.
public struct Configuration: Sendable {
  /// What the peer may send to us. Memory for receiving is at most `local.data` plus a chunk per stream.
  public var local = ConnectionLimits()
  /// What we may send to the peer.
  public var peer = ConnectionLimits()
  /// Bytes that a stream holds for sending, acknowledged or not.
  public var sendBuffer = 4 << 20
  public var congestion = CongestionAlgorithm.cubic
  /// Bytes of a full packet, with overhead, for the arithmetic of congestion control.
  public var packetSize = 1_400
  /// Bytes around each Packet message that count as in flight: framing, tag, headers.
  public var overheadPerPacket = 60
  /// An acknowledgement leaves after this many packets in order, if not before.
  public var packetsPerAck = 10
  /// An acknowledgement leaves at most this much later than the packet came. Both ends must agree.
  public var maximumAckDelay = Duration.milliseconds(20)
  /// The round-trip time to assume before the first sample (RFC 9002 §6.2.2); the handshake may have measured a better one.
  public var initialRTT = Duration.milliseconds(333)
  /// The peer is gone when nothing came back for so long on what was sent.
  public var vanishedAfter = Duration.seconds(15)
  /// The connection ends when nothing came for so long; `nil`: never.
  public var idleTimeout: Duration?
  /// Whether packets ask for ECN marks, as long as the path carries them (RFC 9000 §13.4).
  public var usesECN = true

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
  public var probeTimeouts: UInt64 = 0
  /// Packets that found no memory.
  public var noRoom: UInt64 = 0

  public init() {}
}
