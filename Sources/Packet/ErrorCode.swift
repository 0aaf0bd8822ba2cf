/// Why a connection or stream ended: `pnet.mesh.v1.ErrorCode`. Codes from 256 on belong to applications.
public struct ErrorCode: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt64

  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

  public static let noError = ErrorCode(rawValue: 0)
  public static let `internal` = ErrorCode(rawValue: 1)
  /// The bytes are not what the protocol allows.
  public static let malformed = ErrorCode(rawValue: 2)
  /// A field of `Packet` is unknown.
  public static let unsupported = ErrorCode(rawValue: 3)
  /// More bytes than the limit allows.
  public static let flowControl = ErrorCode(rawValue: 4)
  /// More streams than the limit allows.
  public static let streamLimit = ErrorCode(rawValue: 5)
  /// A frame for a stream that cannot have it.
  public static let streamState = ErrorCode(rawValue: 6)
  /// Bytes beyond the end of a stream, or an end that moved.
  public static let finalSize = ErrorCode(rawValue: 7)
  /// No such service, or not for this peer.
  public static let refused = ErrorCode(rawValue: 8)
  public static let cancelled = ErrorCode(rawValue: 9)
  /// A message above the limit.
  public static let tooLarge = ErrorCode(rawValue: 10)
  /// The node shuts down.
  public static let goingAway = ErrorCode(rawValue: 11)
  /// The peer is no longer configured.
  public static let peerRemoved = ErrorCode(rawValue: 12)
}
