/// A piece of a stream.
@frozen
public struct StreamFrame: Equatable, Sendable {
  public var id: UInt64 = 0
  /// Of the first byte of `data` in the stream. `offset + data.count` is below 2^62.
  public var offset: UInt64 = 0
  /// Whether the stream ends after this data.
  public var fin = false
  /// The service that the stream is opened for: UTF-8, 1 to 255 bytes.
  public var service: Range<Int>?
  /// 0 control, 1 message, 2 bulk.
  public var lane: UInt32 = 0
  /// 0 as it is, 1 zstd without dictionary, from 2 on zstd with the dictionary of that index.
  public var compression: UInt32 = 0
  public var data: Range<Int> = 0..<0

  @inlinable public init() {}
}
