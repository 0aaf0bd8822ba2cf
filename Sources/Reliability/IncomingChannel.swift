internal import MeshPrimitives

/// Where messages and datagrams of one service arrive.
final class IncomingChannel {
  /// In the table.
  let index: Int
  /// What the peer means it by; 0: it names the service each time.
  let number: UInt32
  /// UTF-8.
  let service: [UInt8]
  /// Of its messages; `nil` before the first.
  var lane: Lane?
  /// Of the message that is delivered next, among those in order.
  var nextSequence: UInt64 = 1
  /// Whole messages before whose turn others must come, by sequence.
  var held: [UInt64: IncomingMessage] = [:]
  var messages = Inbox()
  var datagrams = Inbox()
  /// What the peer is still to be told of: that its messages, or its datagrams, are dropped.
  var refusal: Refusal = []

  struct Refusal: OptionSet {
    let rawValue: UInt8
    static let messages = Refusal(rawValue: 1)
    static let datagrams = Refusal(rawValue: 2)
  }

  var name: String { String(decoding: service, as: UTF8.self) }

  init(index: Int, number: UInt32, service: [UInt8]) {
    self.index = index
    self.number = number
    self.service = service
  }

  func isNamed(_ name: RawSpan) -> Bool {
    let service = service
    return service.bytes.elementsEqual(name)
  }

  /// Gives up what waits for its turn.
  func discardHeld(pool: ChunkShare) {
    for sequence in held.keys.sorted() { held[sequence]?.buffer.discard(pool: pool) }
    held = [:]
  }

  func discard(pool: ChunkShare) {
    discardHeld(pool: pool)
    messages.discard(pool: pool)
    datagrams.discard(pool: pool)
  }
}

/// Where messages of one service, or its datagrams, are read.
public struct InboxID: Hashable, Sendable {
  let channel: Int
}

/// The channels of the peer.
struct IncomingChannels {
  private(set) var all: [IncomingChannel] = []
  /// By the peer's number, from 1 on.
  private var byNumber: [IncomingChannel?] = []
  /// Those without a number, by name: a peer that names its services in each frame must not make look-ups slow.
  private var byName: [[UInt8]: IncomingChannel] = [:]
  /// Of these, the one asked for last.
  private var recent: IncomingChannel?

  /// The channel that the peer has given this number.
  func numbered(_ number: UInt64) -> IncomingChannel? {
    number < UInt64(byNumber.count) ? byNumber[Int(number)] : nil
  }

  subscript(id: InboxID) -> IncomingChannel? { id.channel < all.count ? all[id.channel] : nil }

  /// The channel of a frame, made if it is new.
  ///
  /// - Parameter service: the name in the frame; empty: none.
  /// - Throws: `.contradictoryChannel` when the number is out of range, has another name, or has none yet;
  ///   `.tooManyChannels`.
  mutating func find(_ number: UInt32, service: RawSpan) throws(ConnectionError) -> IncomingChannel {
    guard number <= UInt32(OutgoingChannel.most) else { throw .contradictoryChannel(number) }
    if number > 0 {
      if Int(number) < byNumber.count, let known = byNumber[Int(number)] {
        guard service.isEmpty || known.isNamed(service) else { throw .contradictoryChannel(number) }
        return known
      }
      guard !service.isEmpty else { throw .contradictoryChannel(number) }
    }
    if number == 0, let recent, recent.isNamed(service) { return recent }
    let name = [UInt8](copying: service)
    if number == 0, let known = byName[name] {
      recent = known
      return known
    }
    guard all.count < 2 * OutgoingChannel.most else { throw .tooManyChannels(limit: 2 * OutgoingChannel.most) }
    let channel = IncomingChannel(index: all.count, number: number, service: name)
    all.append(channel)
    if number == 0 { byName[name] = channel }
    if number > 0 {
      while byNumber.count <= Int(number) { byNumber.append(nil) }
      byNumber[Int(number)] = channel
    }
    return channel
  }
}
