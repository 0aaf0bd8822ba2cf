/// One field of a `Packet`. Ranges are byte offsets into the message that was read, so a frame is a plain value.
///
/// A field with its default value (`max_data` 0, `ping` false) is the same as an absent one and gives no frame.
@frozen
public enum Frame: Equatable, Sendable {
  /// The packet's number, from 1 on. The first frame if there is one; without it the packet is never acknowledged.
  case number(UInt64)
  case ack(AckFrame)
  case stream(StreamFrame)
  case message(MessageFrame)
  case datagram(DatagramFrame)
  /// Bytes that may be sent on the whole connection.
  case maxData(UInt64)
  case streamMaxData(StreamMaxData)
  case resetStream(ResetStream)
  case stopSending(StopSending)
  case maxStreams(MaxStreams)
  /// The connection's limit, in bytes, that stops the sender.
  case dataBlocked(UInt64)
  case streamDataBlocked(StreamDataBlocked)
  case streamsBlocked(StreamsBlocked)
  case pathProbe(UInt64)
  case pathReply(PathReply)
  case relay(RelayFrame)
  case ping
  case ipFragment(IPFragmentFrame)
  case refuseChannel(RefuseChannel)
  /// A field that this codec does not read: a message for MeshWire when ``FieldNumber`` knows `field`, and something
  /// unknown (close with ``ErrorCode/unsupported``) when not. `bytes` is the content of a length-delimited value.
  case other(field: UInt32, bytes: Range<Int>)

  /// Whether the peer must acknowledge the packet for this frame (if the packet has a number).
  @inlinable public var isAckEliciting: Bool {
    switch self {
    case .number, .ack, .pathProbe, .pathReply, .relay, .ipFragment: false
    case .other(let field, _): field != FieldNumber.close
    default: true
    }
  }
}

/// Numbers of the fields of `pnet.mesh.v1.Packet`, as a `Hello` lists them.
public enum FieldNumber {
  public static let number: UInt32 = 1
  public static let ack: UInt32 = 2
  public static let streams: UInt32 = 3
  public static let messages: UInt32 = 4
  public static let datagrams: UInt32 = 5
  public static let maxData: UInt32 = 6
  public static let streamMaxData: UInt32 = 7
  public static let resets: UInt32 = 8
  public static let stops: UInt32 = 9
  public static let pathProbe: UInt32 = 10
  public static let pathReply: UInt32 = 11
  public static let relay: UInt32 = 12
  public static let hello: UInt32 = 13
  @inlinable public static var close: UInt32 { 14 }
  public static let ping: UInt32 = 15
  public static let maxStreams: UInt32 = 16
  public static let dataBlocked: UInt32 = 17
  public static let streamDataBlocked: UInt32 = 18
  public static let streamsBlocked: UInt32 = 19
  public static let candidates: UInt32 = 20
  public static let discover: UInt32 = 21
  public static let found: UInt32 = 22
  public static let routeError: UInt32 = 23
  public static let relayTooBig: UInt32 = 24
  public static let ipFragments: UInt32 = 25
  public static let dictionaryOffers: UInt32 = 26
  public static let dictionaryUses: UInt32 = 27
  public static let extend: UInt32 = 28
  public static let refusedChannels: UInt32 = 30
  public static let padding: UInt32 = 64

  /// All content fields that this version knows: what a node's own `Hello` may list.
  public static let all: [UInt32] = Array(1...28) + [refusedChannels]

  /// Bit n set: ``all`` has field n.
  static let known: UInt64 = all.reduce(0) { $0 | 1 << UInt64($1) }

  /// Bit n set: this codec reads field n itself (1 to 12, 15 to 19, 25 and 30).
  static let hot: UInt64 = 0b0100_0010_0000_1111_1001_1111_1111_1110

  /// Bit n set: field n may be there more than once.
  static let repeated: UInt64 = 0b0100_1110_0000_0100_0000_0011_1011_1000
}
