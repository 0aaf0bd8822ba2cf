internal import Glibc
internal import MeshPrimitives
internal import Synchronization

/// Lets other processes of the same user use a node through its control socket.
///
/// Each connection carries one request. Only the user that the node runs as, and root, are answered.
public final class ControlServer: Sendable {
  private struct Pending {
    let stream: any NodeStream
    let done: CheckedContinuation<Void, Never>
  }
  private struct State {
    var connections = 0
    var pending: [UInt64: Pending] = [:]
    var services: Set<String> = []
    var next: UInt64 = 0
  }

  private let listener: ControlListener
  private let node: any NodeAccess
  private let state = Mutex(State())
  /// Connections at once; more are told to come back.
  private static let maximumConnections = 256

  /// - Throws: `Failure` when another node listens there, or the socket cannot be made.
  public init(_ path: String, for node: any NodeAccess) throws(Failure) {
    listener = try ControlListener(path)
    self.node = node
  }

  /// Answers until the task is cancelled or the node is told to stop.
  public func run() async throws {
    try await withThrowingDiscardingTaskGroup { group in
      while true {
        let connection: Descriptor
        do { connection = try await listener.descriptor.accept() } catch let error as DescriptorError {
          // Out of descriptors: wait for some to be closed.
          guard error.code == EMFILE || error.code == ENFILE else { throw error }
          try await Task.sleep(for: .milliseconds(50))
          continue
        }
        group.addTask { await self.serve(ControlChannel(connection)) }
      }
    }
  }

  private func serve(_ channel: ControlChannel) async {
    defer { channel.close() }
    guard let user = channel.descriptor.peerUser, user == geteuid() || user == 0 else { return }
    let isTooMany = state.withLock { state -> Bool in
      state.connections += 1
      return state.connections > Self.maximumConnections
    }
    defer { state.withLock { $0.connections -= 1 } }
    do {
      guard let line = try await channel.line(upTo: ControlRequest.maximumLength) else { return }
      guard !isTooMany else {
        throw Failure("the node has too many connections on its control socket: try again later")
      }
      guard let request = try? JSON.parse(ControlRequest.self, line) else {
        throw Failure("the node does not know this request: is it another version of pnet?", .badInput)
      }
      try await answer(request, channel)
    } catch {
      try? await channel.send(line: ControlResponse(Failure(describing: error)))
    }
  }

  private func answer(_ request: ControlRequest, _ channel: ControlChannel) async throws {
    var response = ControlResponse()
    let timeout = Duration.milliseconds(min(max(request.timeoutMilliseconds ?? 10_000, 1), 3_600_000))
    switch request.verb {
    case .status: response.status = try await node.status()
    case .usage: response.usage = ProcessUsage.current()
    case .down: try await node.stop()
    case .ping: response.ping = try await node.ping(try key(request), timeout: timeout)
    case .peerAdd:
      if let endpoint = request.endpoint, let problem = EndpointText.problem(endpoint) {
        throw Failure("\(TextScan.quoted(endpoint)) is no endpoint: \(problem)", .badInput)
      }
      try await node.add(PeerArgument(key: try key(request), endpoint: request.endpoint))
    case .peerRemove: try await node.remove(try key(request))
    case .open:
      let stream = try await node.open(try service(request), at: try key(request), timeout: timeout)
      return await carry(stream, channel)
    case .listen: return try await listen(try service(request), request.access ?? .peers, channel)
    case .take:
      guard let pending = state.withLock({ $0.pending.removeValue(forKey: request.stream ?? 0) }) else {
        throw Failure("that stream is gone", .broken)
      }
      await carry(pending.stream, channel)
      return pending.done.resume()
    }
    try await channel.send(line: response)
  }

  private func key(_ request: ControlRequest) throws -> PublicKey { try PeerArgument.key(request.key ?? "") }

  private func service(_ request: ControlRequest) throws -> String {
    guard let service = request.service, (1...255).contains(service.utf8.count) else {
      throw Failure("a service has a name of 1 to 255 bytes", .badInput)
    }
    return service
  }

  // MARK: - Streams

  /// Passes bytes both ways until both have ended, or one side is gone.
  private func carry(_ stream: any NodeStream, _ channel: ControlChannel) async {
    var response = ControlResponse()
    response.peer = stream.peer.description
    do {
      try await channel.send(line: response)
      try await withThrowingTaskGroup(of: Bool.self) { group in
        group.addTask {
          while let bytes = try await stream.read(upTo: 131_072) { try await channel.send(.data, bytes) }
          try await channel.send(.finish)
          return false
        }
        group.addTask {
          while let (kind, bytes) = try await channel.frame() {
            switch kind {
            case .data: try await stream.write(bytes)
            case .finish:
              try await stream.finish()
              try await stream.flushed()
              try await channel.send(.flushed)
            case .flushed, .failure: throw Failure("a frame that only a node sends", .badInput)
            }
          }
          return true
        }
        // The client closes last; when it does so before the stream has ended, it gave up.
        var isAtEnd = false
        while let isClosed = try await group.next() {
          guard isClosed else {
            isAtEnd = true
            continue
          }
          if !isAtEnd { stream.reset() }
          group.cancelAll()
          break
        }
      }
    } catch {
      stream.reset()
      let failure = Failure(describing: error)
      let refusal = ControlResponse.Refusal(message: failure.message, code: failure.code)
      if let bytes = try? JSON.line(refusal) { try? await channel.send(.failure, bytes) }
    }
  }

  /// Announces each stream of a service in a line, until the connection closes.
  private func listen(_ service: String, _ access: ServedPeers, _ channel: ControlChannel) async throws {
    guard state.withLock({ $0.services.insert(service).inserted }) else {
      throw Failure("the service \(TextScan.quoted(service)) is served already by another command of this node")
    }
    defer { state.withLock { _ = $0.services.remove(service) } }
    try await channel.send(line: ControlResponse())
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        try await self.node.serve(service, from: access) { stream in await self.offer(stream, channel) }
      }
      group.addTask { while try await channel.line(upTo: ControlRequest.maximumLength) != nil {} }
      try await group.next()
      group.cancelAll()
    }
  }

  /// Announces `stream` and waits until it has been taken and is over; gives it up when nobody comes for it.
  private func offer(_ stream: any NodeStream, _ channel: ControlChannel) async {
    let id = state.withLock { state -> UInt64 in
      state.next += 1
      return state.next
    }
    let watch = Task {
      try await Task.sleep(for: .seconds(10))
      self.withdraw(id)
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        state.withLock { $0.pending[id] = Pending(stream: stream, done: continuation) }
        Task {
          var announcement = ControlResponse()
          announcement.stream = id
          announcement.peer = stream.peer.description
          do { try await channel.send(line: announcement) } catch { self.withdraw(id) }
        }
      }
    } onCancel: {
      withdraw(id)
    }
    watch.cancel()
  }

  /// Gives up a stream that was announced and not taken.
  private func withdraw(_ id: UInt64) {
    guard let pending = state.withLock({ $0.pending.removeValue(forKey: id) }) else { return }
    pending.stream.reset()
    pending.done.resume()
  }
}
