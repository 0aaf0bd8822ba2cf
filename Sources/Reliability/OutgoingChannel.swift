/// What stands for a service in front of messages and datagrams: a number, once the peer knows it.
final class OutgoingChannel {
  /// The most channels in one direction of a connection.
  static let most = 255

  /// 1 to ``most``.
  let number: UInt32
  /// UTF-8.
  let service: [UInt8]
  let lane: Lane
  /// A frame with number and name was acknowledged: the number says enough.
  var isBound = false
  /// Of the next message that is to be delivered in order.
  var nextSequence: UInt64 = 1

  init(number: UInt32, service: [UInt8], lane: Lane) {
    self.number = number
    self.service = service
    self.lane = lane
  }
}

/// A service of the peer, and the lane, that messages or datagrams are sent to.
public struct MessageChannel: Hashable, Sendable {
  let number: UInt32
  let lane: Lane
}
