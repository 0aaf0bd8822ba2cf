/// A whole message, or a piece of one.
@frozen
public struct MessageFrame: Equatable, Sendable {
  public var id: UInt64 = 0
  /// Of the first byte of `data` in the message. `offset + data.count` is below 2^62.
  public var offset: UInt64 = 0
  /// Bytes of the whole message as it is sent; 0: this frame is the whole message. Otherwise the piece lies within it.
  public var size: UInt64 = 0
  /// 0 control, 1 message, 2 bulk.
  public var lane: UInt32 = 0
  /// 0: unordered. From 1 on: delivered in this order within the channel.
  public var sequence: UInt64 = 0
  /// Stands for a service once both ends know; 0: none.
  public var channel: UInt32 = 0
  /// UTF-8, 1 to 255 bytes; binds `channel` when both are there.
  public var service: Range<Int>?
  /// 0 as it is, 1 zstd without dictionary, from 2 on zstd with the dictionary of that index.
  public var compression: UInt32 = 0
  public var data: Range<Int> = 0..<0

  @inlinable public init() {}
}
