/// Bytes that are delivered once or not at all.
@frozen
public struct DatagramFrame: Equatable, Sendable {
  /// Stands for a service once both ends know; 0: none.
  public var channel: UInt32 = 0
  /// UTF-8, 1 to 255 bytes; binds `channel` when both are there.
  public var service: Range<Int>?
  /// 0 as it is, 1 zstd without dictionary, from 2 on zstd with the dictionary of that index.
  public var compression: UInt32 = 0
  public var data: Range<Int> = 0..<0

  @inlinable public init() {}
}
