/// Half of an IP packet that the path is too narrow for.
@frozen
public struct IPFragmentFrame: Equatable, Sendable {
  /// Counts the fragmented packets of a direction; wraps.
  public var id: UInt32 = 0
  /// Bytes. `offset + data.count` is at most `size`.
  public var offset: UInt32 = 0
  /// Bytes of the whole IP packet, at most 65,535.
  public var size: UInt32 = 0
  /// Never empty.
  public var data: Range<Int> = 0..<0

  @inlinable public init() {}
}
