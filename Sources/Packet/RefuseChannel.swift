/// The receiver of messages or datagrams has dropped what came on a channel: it has no such service, or not for the sender.
@frozen
public struct RefuseChannel: Equatable, Sendable {
  /// The number that the sender of what was dropped has given to service and lane.
  public var channel: UInt32
  public var code: ErrorCode
  /// It was datagrams; otherwise messages.
  public var datagrams: Bool

  @inlinable public init(channel: UInt32 = 0, code: ErrorCode = ErrorCode(rawValue: 0), datagrams: Bool = false) {
    self.channel = channel
    self.code = code
    self.datagrams = datagrams
  }
}
