import MeshCommands
import MeshPrimitives
import MeshRuntime
import Synchronization

/// One way of a stream in memory: a few chunks at most.
final class FakePipe: Sendable {
  struct State {
    var chunks: [[UInt8]] = []
    var isFinished = false
    var isReset = false
    var readers: [CheckedContinuation<Void, Never>] = []
    var writers: [CheckedContinuation<Void, Never>] = []
  }
  struct Reset: Error {}
  let state = Mutex(State())

  func wake() {
    let waiting = state.withLock { state in
      defer { (state.readers, state.writers) = ([], []) }
      return state.readers + state.writers
    }
    for continuation in waiting { continuation.resume() }
  }

  func read(upTo count: Int) async throws -> [UInt8]? {
    while true {
      try Task.checkCancellation()
      let (chunk, isDone) = try state.withLock { state -> ([UInt8]?, Bool) in
        if state.isReset { throw Reset() }
        guard let first = state.chunks.first else { return (nil, state.isFinished) }
        if first.count <= count { return (state.chunks.removeFirst(), false) }
        state.chunks[0] = Array(first[count...])
        return (Array(first[..<count]), false)
      }
      if let chunk {
        wake()
        return chunk
      }
      if isDone { return nil }
      await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
          let isReady = state.withLock { state -> Bool in
            if !state.chunks.isEmpty || state.isFinished || state.isReset { return true }
            state.readers.append(continuation)
            return false
          }
          if isReady || Task.isCancelled { wake(); if isReady { continuation.resume() } }
        }
      } onCancel: {
        wake()
      }
    }
  }

  func write(_ bytes: [UInt8]) async throws {
    while true {
      try Task.checkCancellation()
      let isWritten = try state.withLock { state -> Bool in
        if state.isReset { throw Reset() }
        guard state.chunks.count < 4 else { return false }
        if !bytes.isEmpty { state.chunks.append(bytes) }
        return true
      }
      if isWritten { return wake() }
      await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
          let isReady = state.withLock { state -> Bool in
            if state.chunks.count < 4 || state.isReset { return true }
            state.writers.append(continuation)
            return false
          }
          if isReady || Task.isCancelled { wake(); if isReady { continuation.resume() } }
        }
      } onCancel: {
        wake()
      }
    }
  }

  /// Waits until all was read.
  func flushed() async throws {
    while try state.withLock({ state -> Bool in
      if state.isReset { throw Reset() }
      return !state.chunks.isEmpty
    }) {
      try Task.checkCancellation()
      await Task.yield()
    }
  }

  func finish() {
    state.withLock { $0.isFinished = true }
    wake()
  }

  func reset() {
    state.withLock { $0.isReset = true }
    wake()
  }
}

struct FakeStream: NodeStream {
  let peer: PublicKey
  let incoming: FakePipe
  let outgoing: FakePipe

  static func pair(_ key: PublicKey = FakeNode.key) -> (FakeStream, FakeStream) {
    let first = FakePipe(), second = FakePipe()
    return (
      FakeStream(peer: key, incoming: first, outgoing: second), FakeStream(peer: key, incoming: second, outgoing: first)
    )
  }

  func read(upTo count: Int) async throws -> [UInt8]? { try await incoming.read(upTo: count) }
  func write(_ bytes: [UInt8]) async throws { try await outgoing.write(bytes) }
  func finish() async throws { outgoing.finish() }
  func flushed() async throws { try await outgoing.flushed() }
  func reset() {
    incoming.reset()
    outgoing.reset()
  }
}

/// A node that is its own only peer: what it opens, it serves.
final class FakeNode: NodeAccess {
  static let key = PublicKey("xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=")!

  struct State {
    var handlers: [String: @Sendable (any NodeStream) async -> Void] = [:]
    var peers: [PeerArgument] = []
    var removed: [PublicKey] = []
    var isStopped = false
  }
  let state = Mutex(State())

  func status() async throws -> MeshStatus { throw Failure("no status here", .failed) }

  func ping(_ key: PublicKey, timeout: Duration) async throws -> PingReply {
    guard key == Self.key else { throw Failure("no answer from \(key)", .unreachable) }
    return PingReply(milliseconds: 1.5, path: "direct 192.0.2.1:2552")
  }

  func open(_ service: String, at key: PublicKey, timeout: Duration) async throws -> any NodeStream {
    guard let handler = state.withLock({ $0.handlers[service] }) else {
      throw Failure("the peer does not serve '\(service)'", .refused)
    }
    let (ours, theirs) = FakeStream.pair()
    Task { await handler(theirs) }
    return ours
  }

  func serve(
    _ service: String, from access: ServedPeers, _ handler: @escaping @Sendable (any NodeStream) async -> Void
  ) async throws {
    state.withLock { $0.handlers[service] = handler }
    defer { state.withLock { _ = $0.handlers.removeValue(forKey: service) } }
    try await Task.sleep(for: .seconds(3600))
  }

  func add(_ peer: PeerArgument) async throws { state.withLock { $0.peers.append(peer) } }
  func remove(_ key: PublicKey) async throws { state.withLock { $0.removed.append(key) } }
  func usage() async throws -> ProcessUsage? { nil }
  func stop() async throws { state.withLock { $0.isStopped = true } }
}
