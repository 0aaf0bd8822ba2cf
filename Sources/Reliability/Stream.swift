internal import MeshPacket

/// Both directions of one stream. A class, since the ready list, the control list and the table share it.
///
/// Only the connection that owns it touches it.
final class Stream {
  /// What must be told to the peer about the stream, besides its bytes.
  struct Control: OptionSet {
    let rawValue: UInt8
    static let windowUpdate = Control(rawValue: 1)
    static let reset = Control(rawValue: 2)
    static let stop = Control(rawValue: 4)
  }

  let id: StreamID
  /// Whether this side opened it.
  let isLocal: Bool
  /// The name that this side opened it for, in UTF-8.
  let service: [UInt8]
  /// Of the side that opened it.
  var lane: Lane
  /// Its share among the streams of its lane.
  let weight: Int

  // Sending.
  // Nothing reaches a buffer while it is being changed; the checks for that at run time, which cost more than the changes
  // themselves, are off for the two.
  @exclusivity(unchecked) private var sendStorage = SendBuffer()
  @exclusivity(unchecked) private var receiveStorage = ReceiveBuffer()

  var send: SendBuffer {
    _read { yield unsafe sendStorage }
    _modify { yield unsafe &sendStorage }
  }
  /// Bytes that the peer allows from the beginning of the stream.
  var sendLimit: UInt64
  /// The application has said that nothing follows.
  var isFinishing = false
  /// The end must be put into a packet: for the first time, or again.
  var needsFin = false
  var isFinAcknowledged = false
  /// A frame at offset 0 must be sent even without bytes, since it opens the stream.
  var needsOpening: Bool
  var isOpeningAcknowledged = false
  /// The application knows that all was delivered.
  var isFinishReported = false
  var resetCode: ErrorCode?
  /// Bytes that had been sent when sending was reset.
  var resetSize: UInt64 = 0
  var isResetAcknowledged = false
  /// The code with which the peer asked to stop.
  var peerStopCode: ErrorCode?
  /// A write found the buffer full.
  var wantsWritable = false
  /// A write found the pool empty.
  var isStarving = false

  // Receiving.
  var receive: ReceiveBuffer {
    _read { yield unsafe receiveStorage }
    _modify { yield unsafe &receiveStorage }
  }
  /// Bytes that the peer was allowed from the beginning of the stream.
  var receiveLimit: UInt64
  var window: ReceiveWindow
  var finalSize: UInt64?
  /// The code with which the peer reset the stream.
  var peerResetCode: ErrorCode?
  /// The code with which this side stopped reading.
  var stopCode: ErrorCode?
  /// Nothing is left to be read, or nobody will.
  var isReceiveDone = false
  /// The application knows of the stream.
  var isAnnounced: Bool
  /// The next readable bytes are worth an event.
  var wantsReadable = true

  // Membership.
  var isReady = false
  var isRepairing = false
  var isBlockedByConnection = false
  var control: Control = []
  var isInControlList = false
  var isRemoved = false

  init(
    id: StreamID, isLocal: Bool, service: [UInt8], options: StreamOptions, sendLimit: UInt64, window: ReceiveWindow
  ) {
    self.id = id
    self.isLocal = isLocal
    self.service = service
    lane = options.lane
    weight = options.weight
    self.sendLimit = sendLimit
    self.window = window
    receiveLimit = window.size
    needsOpening = isLocal
    isAnnounced = isLocal
    isReceiveDone = isLocal && id.isOneWay
  }

  /// Whether this side may send.
  var isWritable: Bool { isLocal || !id.isOneWay }
  /// Whether the peer may send.
  var isReadable: Bool { !isLocal || !id.isOneWay }

  var isSendDone: Bool {
    guard isWritable else { return true }
    return resetCode == nil
      ? isFinAcknowledged && send.isFullyAcknowledged && (!isLocal || isOpeningAcknowledged) : isResetAcknowledged
  }

  /// Whether the application has something to read: bytes in order, or the end behind them.
  var hasUnread: Bool {
    isAnnounced && stopCode == nil && !isReceiveDone && peerResetCode == nil
      && (receive.readable > 0 || finalSize == receive.position)
  }

  /// Bytes that may be sent for the first time, as far as the stream alone is concerned.
  var freshBytes: UInt64 {
    let allowed = min(send.end, sendLimit)
    return allowed > send.sent ? allowed - send.sent : 0
  }

  /// Whether something was sent, and has to be sent again.
  var hasLost: Bool {
    !isRemoved && resetCode == nil && (send.hasLost || needsOpening || needsFin && send.sent == send.end)
  }

  /// What of the stream could go into a packet.
  enum Readiness: Equatable { case nothing, onlyWithConnectionWindow, something }

  var readiness: Readiness {
    guard resetCode == nil else { return .nothing }
    if send.hasLost || needsOpening || needsFin && send.sent == send.end { return .something }
    return freshBytes > 0 ? .onlyWithConnectionWindow : .nothing
  }
}
