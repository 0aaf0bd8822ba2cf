public import MeshPrimitives
public import MeshRuntime
internal import Synchronization

/// A running node, used through its control socket.
public struct ControlClient: NodeAccess {
  /// Of the socket.
  public let path: String

  public init(_ path: String) { self.path = path }

  /// Whether a node listens there.
  public func isRunning() throws(Failure) -> Bool {
    guard let descriptor = try ControlPath.connect(path) else { return false }
    descriptor.close()
    return true
  }

  private func request(_ request: ControlRequest) async throws -> (ControlResponse, ControlChannel) {
    guard let descriptor = try ControlPath.connect(path) else {
      throw Failure(
        "no node listens on \(path): start one with 'pnet up', name another with --node or --control, "
          + "or give --key and --peer to do without", .noNode)
    }
    let channel = ControlChannel(descriptor)
    do {
      try await channel.send(line: request)
      return (try await Self.response(channel), channel)
    } catch {
      channel.close()
      throw error is DescriptorError ? Self.gone : error
    }
  }

  private static let gone = Failure("the node went away", .noNode)

  private static func response(_ channel: ControlChannel) async throws -> ControlResponse {
    guard let line = try await channel.line(upTo: ControlResponse.maximumLength) else { throw gone }
    guard let response = try? JSON.parse(ControlResponse.self, line) else {
      throw Failure("the node's answer makes no sense: is it another version of pnet?")
    }
    if let failure = response.failure { throw Failure(failure.message, failure.code) }
    return response
  }

  /// One request and its answer.
  private func ask(_ verb: ControlRequest.Verb, _ change: (inout ControlRequest) -> Void = { _ in }) async throws
    -> ControlResponse
  {
    var request = ControlRequest(verb)
    change(&request)
    let (response, channel) = try await self.request(request)
    channel.close()
    return response
  }

  public func status() async throws -> MeshStatus {
    guard let status = try await ask(.status).status else { throw Failure("the node gave no status") }
    return status
  }

  public func ping(_ key: PublicKey, timeout: Duration) async throws -> PingReply {
    let response = try await ask(.ping) {
      $0.key = key.description
      $0.timeoutMilliseconds = timeout.wholeNanoseconds / 1_000_000
    }
    guard let reply = response.ping else { throw Failure("the node gave no answer to a ping") }
    return reply
  }

  public func add(_ peer: PeerArgument) async throws {
    _ = try await ask(.peerAdd) {
      $0.key = peer.key.description
      $0.endpoint = peer.endpoint
    }
  }

  public func remove(_ key: PublicKey) async throws { _ = try await ask(.peerRemove) { $0.key = key.description } }

  public func usage() async throws -> ProcessUsage? { try await ask(.usage).usage }

  public func stop() async throws { _ = try await ask(.down) }

  public func open(_ service: String, at key: PublicKey, timeout: Duration) async throws -> any NodeStream {
    var request = ControlRequest(.open)
    request.service = service
    request.key = key.description
    request.timeoutMilliseconds = timeout.wholeNanoseconds / 1_000_000
    let (_, channel) = try await self.request(request)
    return ControlStream(channel, peer: key)
  }

  public func serve(
    _ service: String, from access: ServedPeers, _ handler: @escaping @Sendable (any NodeStream) async -> Void
  ) async throws {
    var request = ControlRequest(.listen)
    request.service = service
    request.access = access
    let (_, channel) = try await self.request(request)
    defer { channel.close() }
    try await withThrowingDiscardingTaskGroup { group in
      while true {
        let announcement: ControlResponse
        do { announcement = try await Self.response(channel) } catch is DescriptorError { throw Self.gone }
        guard let id = announcement.stream, let peer = announcement.peer.flatMap({ PublicKey($0) }) else { continue }
        group.addTask {
          var take = ControlRequest(.take)
          take.stream = id
          // A stream that is gone again by now is none of the other streams' business.
          guard let (_, channel) = try? await self.request(take) else { return }
          let stream = ControlStream(channel, peer: peer)
          await handler(stream)
          stream.close()
        }
      }
    }
  }
}

/// A stream of a running node, carried in frames over a control connection.
final class ControlStream: NodeStream {
  private struct State {
    var stash: [[UInt8]] = []
    var isAtEnd = false
    var isFlushed = false
    /// Why the stream failed, for all who ask from then on.
    var failure: Failure?
  }

  let peer: PublicKey
  private let channel: ControlChannel
  private let reading = TaskLock()
  private let state = Mutex(State())

  init(_ channel: ControlChannel, peer: PublicKey) {
    self.channel = channel
    self.peer = peer
  }

  deinit { channel.close() }

  func close() { channel.close() }

  func read(upTo count: Int) async throws -> [UInt8]? {
    while true {
      // The lock is let go after each frame, so that a task in `flushed()` sees what came.
      let (bytes, isAtEnd) = try await reading { () async throws -> ([UInt8]?, Bool) in
        if let stashed = takeStashed(count) { return (stashed, false) }
        if state.withLock({ $0.isAtEnd }) { return (nil, true) }
        try await step()
        return (takeStashed(count), false)
      }
      if let bytes { return bytes }
      if isAtEnd { return nil }
    }
  }

  private func takeStashed(_ count: Int) -> [UInt8]? {
    state.withLock { state in
      guard let first = state.stash.first else { return nil }
      if first.count <= count { return state.stash.removeFirst() }
      state.stash[0] = Array(first[count...])
      return Array(first[..<count])
    }
  }

  /// Takes in one frame.
  private func step() async throws {
    if let failure = state.withLock({ $0.failure }) { throw failure }
    let frame: (ControlFrame, [UInt8])?
    do { frame = try await channel.frame() } catch is DescriptorError { frame = nil }
    switch frame {
    case .none: throw fail(Failure("the node went away", .noNode))
    case .some((.data, let bytes)): if !bytes.isEmpty { state.withLock { $0.stash.append(bytes) } }
    case .some((.finish, _)): state.withLock { $0.isAtEnd = true }
    case .some((.flushed, _)): state.withLock { $0.isFlushed = true }
    case .some((.failure, let bytes)):
      let refusal = try JSON.parse(ControlResponse.Refusal.self, bytes)
      throw fail(Failure(refusal.message, refusal.code))
    }
  }

  private func fail(_ failure: Failure) -> Failure {
    state.withLock { state in
      if state.failure == nil { state.failure = failure }
      return state.failure ?? failure
    }
  }

  func write(_ bytes: [UInt8]) async throws { try await send(.data, bytes) }

  func finish() async throws { try await send(.finish) }

  private func send(_ frame: ControlFrame, _ bytes: [UInt8] = []) async throws {
    do { try await channel.send(frame, bytes) } catch is DescriptorError {
      // The node has closed the connection. Why is in what it sent before, behind what is still to be read.
      while state.withLock({ $0.stash.count < 64 }) { try await reading { try await step() } }
      throw Failure("the stream is over", .broken)
    }
  }

  func flushed() async throws {
    while !state.withLock({ $0.isFlushed }) {
      try await reading {
        guard !state.withLock({ $0.isFlushed }) else { return }
        guard state.withLock({ $0.stash.count }) < 64 else {
          throw Failure("the peer sends, and nobody reads it", .broken)
        }
        try await step()
      }
    }
  }

  func reset() { channel.close() }
}
