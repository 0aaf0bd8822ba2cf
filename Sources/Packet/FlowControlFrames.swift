/// How many bytes of a stream may be sent.
@frozen
public struct StreamMaxData: Equatable, Sendable {
  public var id: UInt64
  /// Bytes from the beginning of the stream.
  public var max: UInt64

  @inlinable public init(id: UInt64 = 0, max: UInt64 = 0) {
    self.id = id
    self.max = max
  }
}

/// The sender gives a stream up.
@frozen
public struct ResetStream: Equatable, Sendable {
  public var id: UInt64
  public var code: ErrorCode
  /// Bytes that were sent on the stream.
  public var finalSize: UInt64

  @inlinable public init(id: UInt64 = 0, code: ErrorCode = ErrorCode(rawValue: 0), finalSize: UInt64 = 0) {
    self.id = id
    self.code = code
    self.finalSize = finalSize
  }
}

/// The receiver of a stream wants no more of it.
@frozen
public struct StopSending: Equatable, Sendable {
  public var id: UInt64
  public var code: ErrorCode

  @inlinable public init(id: UInt64 = 0, code: ErrorCode = ErrorCode(rawValue: 0)) {
    self.id = id
    self.code = code
  }
}

/// How many streams may have been opened since the connection began.
@frozen
public struct MaxStreams: Equatable, Sendable {
  public var bidirectional: UInt64
  public var unidirectional: UInt64

  @inlinable public init(bidirectional: UInt64 = 0, unidirectional: UInt64 = 0) {
    self.bidirectional = bidirectional
    self.unidirectional = unidirectional
  }
}

/// The limit of a stream, in bytes, that stops its sender.
@frozen
public struct StreamDataBlocked: Equatable, Sendable {
  public var id: UInt64
  public var limit: UInt64

  @inlinable public init(id: UInt64 = 0, limit: UInt64 = 0) {
    self.id = id
    self.limit = limit
  }
}

/// The numbers of streams that stop the sender from opening more; 0: that kind does not.
@frozen
public struct StreamsBlocked: Equatable, Sendable {
  public var bidirectional: UInt64
  public var unidirectional: UInt64

  @inlinable public init(bidirectional: UInt64 = 0, unidirectional: UInt64 = 0) {
    self.bidirectional = bidirectional
    self.unidirectional = unidirectional
  }
}
