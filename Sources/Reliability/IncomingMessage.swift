/// A message of which pieces have come, or all of them and not yet its turn. Used again for others, so that messages that are
/// cut at the end of a packet allocate nothing.
final class IncomingMessage {
  /// What a message takes of the connection's window besides its bytes, so that a flood of small ones is bounded, too.
  static let overhead: UInt64 = 128

  /// What a message of `size` bytes takes of the connection's window. `size` is below 2^62.
  static func cost(of size: UInt64) -> UInt64 { size + overhead }

  private(set) var id: UInt64
  /// Bytes of the whole message.
  private(set) var size: UInt64
  private(set) var lane: Lane
  /// 0: unordered.
  private(set) var sequence: UInt64
  private(set) unowned var channel: IncomingChannel
  var buffer = ReceiveBuffer()

  init(id: UInt64, size: UInt64, lane: Lane, sequence: UInt64, channel: IncomingChannel) {
    self.id = id
    self.size = size
    self.lane = lane
    self.sequence = sequence
    self.channel = channel
  }

  /// Takes the place of a new one, for another message.
  func begin(id: UInt64, size: UInt64, lane: Lane, sequence: UInt64, channel: IncomingChannel) {
    self.id = id
    self.size = size
    self.lane = lane
    self.sequence = sequence
    self.channel = channel
    buffer.begin()
  }

  var isComplete: Bool { buffer.contiguous == size }
}
