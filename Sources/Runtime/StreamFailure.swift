public import MeshNode

/// Why a stream ended before its end.
public enum StreamFailure: Error, Equatable, Sendable {
  /// One side gave the stream up, with a code that means something to the service.
  case reset(code: UInt64)
  /// The connection is gone, and why.
  case disconnected(DisconnectReason)
  /// Wrong use: written after ``StreamPipe/finish()``.
  case finished
  /// Wrong use: read from a stream that only this side writes.
  case notReadable
  /// Wrong use: two tasks read, or two write, at the same time.
  case busy
}
