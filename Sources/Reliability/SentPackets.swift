internal import MeshPrimitives

/// What a packet carried that must be repaired when it is lost.
struct SentFrame {
  enum Kind: UInt8 { case none, stream, message, datagram, maxData, streamMaxData, maxStreams, reset, stop, refusal }
  var kind = Kind.none
  /// Of a stream: its end. Of a message: the name of its service. Of a refusal: it is of datagrams.
  var fin = false
  /// Bytes of the stream, or of the lane's message buffer.
  var length: UInt32 = 0
  /// The number of the stream, of the lane, or of the channel.
  var stream: UInt64 = 0
  /// Where the bytes begin, in the stream or in the lane's message buffer.
  var offset: UInt64 = 0
}

/// One packet that was sent.
struct SentPacket {
  enum State: UInt8 { case outstanding, acknowledged, lost }
  var state = State.outstanding
  var asksForAck = false
  var ecnMarked = false
  /// The number was left out.
  var isSkipped = false
  /// Bytes that count as in flight; 0 for a packet of acknowledgements only.
  var size: UInt16 = 0
  /// Whether it counts for the background lane, too.
  var isBackground = false
  /// Index of more frames in ``SentPackets``; -1: none.
  var more: Int32 = -1
  var sentAt = Instant(nanoseconds: 0)
  /// The largest number that the packet acknowledged; 0: it did not.
  var acknowledges: UInt64 = 0
  /// The first frame. Most packets carry one.
  var frame = SentFrame()
}

/// The records of the packets that may still be acknowledged, by number, in a ring that is reused.
struct SentPackets {
  private struct Node {
    var frame: SentFrame
    var next: Int32
  }

  private var ring: [SentPacket] = []
  /// The lowest number with a record.
  private(set) var base: UInt64
  /// The number of the next packet.
  private(set) var next: UInt64
  private var nodes: [Node] = []
  private var freeNode: Int32 = -1

  init(from first: UInt64) {
    base = first
    next = first
  }

  var count: Int { Int(next &- base) }

  private func slot(_ number: UInt64) -> Int { Int(truncatingIfNeeded: number) & (ring.count &- 1) }

  subscript(number: UInt64) -> SentPacket {
    get { ring[slot(number)] }
    _modify { yield &ring[slot(number)] }
  }

  /// Appends the record of packet ``next``.
  mutating func append(_ packet: SentPacket) {
    if count == ring.count { grow() }
    ring[slot(next)] = packet
    next &+= 1
  }

  private mutating func grow() {
    let capacity = max(64, ring.count * 2)
    var larger = [SentPacket](repeating: SentPacket(), count: capacity)
    for number in base..<next { larger[Int(truncatingIfNeeded: number) & (capacity - 1)] = ring[slot(number)] }
    ring = larger
  }

  /// Forgets the oldest record.
  mutating func removeFirst() {
    freeFrames(from: self[base].more)
    base &+= 1
  }

  /// Puts `frame` in front of the further frames that begin at `head`; returns the new head.
  mutating func chain(_ frame: SentFrame, before head: Int32) -> Int32 {
    if freeNode >= 0 {
      let index = freeNode
      freeNode = nodes[Int(index)].next
      nodes[Int(index)] = Node(frame: frame, next: head)
      return index
    }
    nodes.append(Node(frame: frame, next: head))
    return Int32(nodes.count - 1)
  }

  /// A further frame, and the index of the one after it.
  func further(_ index: Int32) -> (frame: SentFrame, next: Int32) {
    let node = nodes[Int(index)]
    return (node.frame, node.next)
  }

  /// Gives back the further frames that begin at `head`.
  mutating func freeFrames(from head: Int32) {
    var index = head
    while index >= 0 {
      let after = nodes[Int(index)].next
      nodes[Int(index)].next = freeNode
      freeNode = index
      index = after
    }
  }

  /// Frees what a burst has left behind, when nothing is recorded.
  mutating func trim() {
    guard count == 0 else { return }
    if ring.count > 64 { ring = [] }
    nodes = []
    freeNode = -1
  }
}
