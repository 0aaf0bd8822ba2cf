public import MeshRuntime

/// A request to a running node: one line of JSON.
public struct ControlRequest: Codable, Equatable, Sendable {
  public enum Verb: String, Codable, Sendable {
    case status, down, usage, ping
    case peerAdd = "peer-add"
    case peerRemove = "peer-remove"
    /// Opens a stream: after the answer the connection carries it in frames (``ControlFrame``).
    case open
    /// Serves a service while the connection lasts: each stream is announced in a line.
    case listen
    /// Fetches an announced stream: after the answer the connection carries it in frames.
    case take
  }

  public var verb: Verb
  public var key: String?
  public var endpoint: String?
  public var service: String?
  public var access: ServedPeers?
  public var stream: UInt64?
  public var timeoutMilliseconds: Int64?

  public init(_ verb: Verb) { self.verb = verb }

  /// Bytes of a request line at most.
  public static let maximumLength = 65_536
}

/// The answer: one line of JSON.
public struct ControlResponse: Codable, Sendable {
  public struct Refusal: Codable, Equatable, Sendable {
    public var message: String
    public var code: Failure.Code
  }

  public var failure: Refusal?
  public var status: MeshStatus?
  public var usage: ProcessUsage?
  public var ping: PingReply?
  /// Of a stream: who is at its other end.
  public var peer: String?
  /// Of an announced stream: what to ``ControlRequest/Verb/take``.
  public var stream: UInt64?

  public init() {}

  public init(_ failure: Failure) { self.failure = Refusal(message: failure.message, code: failure.code) }

  /// Bytes of an answer line at most: a status of many peers is long.
  public static let maximumLength = 64 << 20
}

/// How a stream travels over a control connection: a little-endian `UInt32`, whose top byte is the kind and whose lower
/// 24 bits are the length of what follows.
enum ControlFrame: UInt8 {
  case data = 0
  /// This side writes no more.
  case finish = 1
  /// The peer has acknowledged all, up to the finish. From the node only.
  case flushed = 2
  /// The stream has failed: a ``ControlResponse/Refusal`` in JSON. From the node only.
  case failure = 3

  /// Bytes that one frame carries at most.
  static let maximumLength = 1 << 18
}
