internal import MeshNode
internal import MeshPrimitives

/// What one stream should carry, from one host to another, and how far it got: the model that is held against the nodes.
///
/// The first eight bytes are the flow's number; all others follow from it and their position, so that every byte that comes
/// can be checked.
struct Flow {
  enum Kind { case messages, oneMessage, transfer }
  enum Side { case open, finished, broken }

  /// A message that is on its way: where it ends in the stream, and when it was given to the sender.
  struct Message {
    let end: UInt64
    let sent: Instant
  }

  let sender: Int
  let receiver: Int
  let kind: Kind
  let began: Instant
  var senderStream: StreamHandle?
  /// Bytes that the application wants to send, and those that the node took.
  var offered: UInt64 = 8
  var written: UInt64 = 0
  /// Bytes that came out at the other end.
  var received: UInt64 = 0
  var sending = Side.open
  var receiving = Side.open
  /// The sender knows that all has arrived.
  var isAcknowledged = false
  /// The receiver has learned which flow it is.
  var isBound = false
  /// It ends when all that was offered is written.
  var isComplete = false
  var ended: Instant?
  /// When bytes last came.
  var progress = Instant(nanoseconds: .min)

  private var messages: [Message] = []
  private var firstMessage = 0

  init(sender: Int, receiver: Int, kind: Kind, began: Instant) {
    self.sender = sender
    self.receiver = receiver
    self.kind = kind
    self.began = began
  }

  var isBroken: Bool { sending == .broken || receiving == .broken }
  /// The oldest message that has not come.
  var oldest: Message? { firstMessage < messages.count ? messages[firstMessage] : nil }
  var waiting: Int { messages.count - firstMessage }

  mutating func offer(_ size: Int, now: Instant) {
    offered += UInt64(size)
    messages.append(Message(end: offered, sent: now))
  }

  /// The next message that has come as a whole.
  mutating func popReceived() -> Message? {
    guard firstMessage < messages.count, messages[firstMessage].end <= received else { return nil }
    defer {
      firstMessage += 1
      if firstMessage == messages.count {
        messages.removeAll(keepingCapacity: true)
        firstMessage = 0
      } else if firstMessage >= 64, firstMessage * 2 > messages.count {
        messages.removeFirst(firstMessage)
        firstMessage = 0
      }
    }
    return messages[firstMessage]
  }
}

/// The bytes of flows: a long table without short repetitions, read from another place for each flow.
struct FlowContent {
  static let period = 65_521
  static let longest = 16_384
  private let table: [UInt8]

  init() {
    var word = UInt64(0x1234_5678)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.period + Self.longest)
    for _ in 0..<Self.period {
      word = word &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      bytes.append(UInt8(truncatingIfNeeded: word >> 56))
    }
    for index in 0..<Self.longest { bytes.append(bytes[index]) }
    table = bytes
  }

  /// Up to ``longest`` bytes of a flow from `position` on, and none before its number has gone.
  @_lifetime(borrow self)
  func bytes(of flow: Int, from position: UInt64, count: Int) -> RawSpan {
    let start = Int((position &+ UInt64(flow) &* 7919) % UInt64(Self.period))
    let all = table.bytes
    return unsafe _overrideLifetime(
      all.extracting(start..<start + min(count, Self.longest)), borrowing: self)
  }
}
