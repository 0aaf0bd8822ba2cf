import ArgumentParser
import MeshCommands
import MeshPrimitives

struct Cat: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Connect standard input and output with a service of a peer.")

  @Argument(help: ArgumentHelp("The peer's public key.", valueName: "key[@host:port]"))
  var peer: String

  @Argument(help: ArgumentHelp("The name of the service.", valueName: "service"))
  var service: String

  @OptionGroup var use: UseOptions

  func run() async throws {
    let target = try PeerArgument(peer)
    try await use.withNode(for: target) { node in
      try await Bridge.standard(try await node.open(service, at: target.key, timeout: use.limit))
    }
  }
}

struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a command for each stream that a peer opens.",
    discussion: """
      The stream is the command's standard input and output; PNET_PEER holds the peer's key, PNET_SERVICE the name. \
      Without a command, the first stream is connected with standard input and output. Only listed peers are served, \
      unless --anyone says otherwise.
      """)

  @Argument(help: ArgumentHelp("The name of the service.", valueName: "service"))
  var service: String

  @Argument(parsing: .postTerminator, help: ArgumentHelp("What to run, after '--'.", valueName: "command"))
  var command: [String] = []

  @OptionGroup var access: AccessOptions
  @OptionGroup var use: UseOptions

  func run() async throws {
    let access = try access.access()
    try await use.withNode(serving: [service: access]) { node in
      do {
        if command.isEmpty { return try await serveOnce(node, access) }
        try await node.serve(service, from: access) { stream in
          do {
            let code = try await Bridge.run(command, stream, service: service)
            if code != 0 { Console.note("'\(command[0])' for \(stream.peer) ended with exit code \(code)") }
          } catch is CancellationError {
          } catch {
            Console.note("for \(stream.peer): \(Failure(describing: error).message)")
          }
        }
      } catch is CancellationError where !command.isEmpty {
        // Ctrl-C is how this ends.
      }
    }
  }

  /// The first stream is connected with our own input and output; others are refused.
  private func serveOnce(_ node: any NodeAccess, _ access: ServedPeers) async throws {
    let (streams, continuation) = AsyncStream.makeStream(of: Result<Void, Failure>.self)
    let first = FirstOnly()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        try await node.serve(service, from: access) { stream in
          guard first.take() else { return stream.reset() }
          do {
            try await Bridge.standard(stream)
            continuation.yield(.success(()))
          } catch { continuation.yield(.failure(Failure(describing: error))) }
          continuation.finish()
        }
      }
      group.addTask { for await result in streams { try result.get() } }
      defer { group.cancelAll() }
      try await group.next()
    }
  }
}
