/// Names a stream of a connection.
///
/// Bit 0 tells which side opened it, bit 1 whether it is one-way; the rest counts the streams of that kind.
@frozen
public struct StreamID: Hashable, Sendable, Comparable, CustomStringConvertible {
  public let rawValue: UInt64

  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// The stream number `index` of its kind, opened by the side whose streams are odd, or by the other.
  init(index: UInt64, odd: Bool, oneWay: Bool) { rawValue = index << 2 | (oneWay ? 2 : 0) | (odd ? 1 : 0) }

  /// Whether the side that opens odd streams opened it.
  @inlinable public var isOdd: Bool { rawValue & 1 == 1 }

  /// Whether only the side that opened it sends.
  @inlinable public var isOneWay: Bool { rawValue & 2 == 2 }

  /// How many streams of the same kind were opened before it.
  @inlinable public var index: UInt64 { rawValue >> 2 }

  @inlinable public static func < (left: StreamID, right: StreamID) -> Bool { left.rawValue < right.rawValue }

  public var description: String { "stream \(rawValue)" }
}
