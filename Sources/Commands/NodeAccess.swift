public import MeshPrimitives
public import MeshRuntime

/// A stream to a peer, as commands use it: of a node in this process, or of a running node behind its control socket.
public protocol NodeStream: Sendable {
  var peer: PublicKey { get }
  /// What has come, at least one byte; `nil` at the end.
  func read(upTo count: Int) async throws -> [UInt8]?
  func write(_ bytes: [UInt8]) async throws
  /// Nothing more will be written.
  func finish() async throws
  /// Waits until the peer has acknowledged all, up to the finish.
  func flushed() async throws
  /// Gives the stream up in both directions.
  func reset()
}

/// What the commands want of a node.
public protocol NodeAccess: Sendable {
  func status() async throws -> MeshStatus
  func ping(_ key: PublicKey, timeout: Duration) async throws -> PingReply
  func open(_ service: String, at key: PublicKey, timeout: Duration) async throws -> any NodeStream
  /// Serves `service` until the task is cancelled: each stream in a task of its own, at most
  /// ``ServiceLimits/streams`` at once. - Throws: when the node goes away.
  func serve(
    _ service: String, from access: ServedPeers, _ handler: @escaping @Sendable (any NodeStream) async -> Void
  ) async throws
  func add(_ peer: PeerArgument) async throws
  func remove(_ key: PublicKey) async throws
  /// What the node's process has used; `nil` when the node is in this process.
  func usage() async throws -> ProcessUsage?
  /// Ends the node.
  func stop() async throws
}

public enum ServiceLimits {
  /// Streams that one service handles at once; more wait.
  public static let streams = 64
}

/// Who may open streams to a service.
public enum ServedPeers: Equatable, Sendable, Codable {
  case peers
  case keys([String])
  case any
}

/// An answer to a ping.
public struct PingReply: Equatable, Sendable, Codable {
  public var milliseconds: Double
  /// In words, such as `direct 192.0.2.1:2552`.
  public var path: String

  public init(milliseconds: Double, path: String) {
    self.milliseconds = milliseconds
    self.path = path
  }
}
