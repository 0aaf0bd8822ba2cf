internal import Glibc

/// Connects streams with processes and terminals.
public enum Bridge {
  /// Standard input goes to the stream, and the stream to standard output, until both have ended. On a terminal the end
  /// of what the peer sends ends it all.
  public static func standard(_ stream: any NodeStream) async throws {
    let isTerminal = Descriptor.standardInput.isTerminal
    do {
      try await withThrowingTaskGroup(of: Bool.self) { group in
        group.addTask {
          while let bytes = try await Descriptor.standardInput.read() { try await stream.write(bytes) }
          try await stream.finish()
          try await stream.flushed()
          return false
        }
        group.addTask {
          while let bytes = try await stream.read(upTo: 65_536) { try await Descriptor.standardOutput.write(bytes) }
          return true
        }
        var isOutputDone = false
        while let result = await group.nextResult() {
          switch result {
          case .success(true):
            isOutputDone = true
            if isTerminal { group.cancelAll() }
          case .success(false): break
          case .failure(let error):
            // A peer that has said all may stop listening.
            if isOutputDone, !Task.isCancelled { return group.cancelAll() }
            throw error
          }
        }
      }
    } catch {
      stream.reset()
      throw error
    }
  }

  /// Runs `command` with the stream as its standard input and output, and ends it with the stream.
  /// - Returns: its exit code; when that is not 0, the peer sees a reset and not an end.
  public static func run(_ command: [String], _ stream: any NodeStream, service: String) async throws -> Int32 {
    do {
      let child = try ChildProcess(
        command, environment: ["PNET_PEER=\(stream.peer)", "PNET_SERVICE=\(service)"], pipes: [.input, .output])
      return try await withThrowingTaskGroup(of: Int32?.self) { group in
        group.addTask {
          try await feed(child, from: stream)
          return nil
        }
        group.addTask {
          try await withTaskCancellationHandler {
            while let bytes = try await child.output?.read() { try await stream.write(bytes) }
            let exit = await child.exit()
            if exit.code == 0 {
              try await stream.finish()
              try await stream.flushed()
            } else {
              stream.reset()
            }
            return exit.code
          } onCancel: {
            Task { await child.stop() }
          }
        }
        defer { group.cancelAll() }
        while true {
          // A stream that breaks ends the command too: the error cancels the other task.
          if case .some(.some(let code)) = try await group.next() { return code }
        }
      }
    } catch {
      stream.reset()
      throw error
    }
  }

  private static func feed(_ child: ChildProcess, from stream: any NodeStream) async throws {
    guard let input = child.input else { return }
    defer { input.close() }
    while let bytes = try await stream.read(upTo: 65_536) {
      do { try await input.write(bytes) } catch let error as DescriptorError where error.code == EPIPE {
        // The command has closed its input: what else comes is dropped.
        while try await stream.read(upTo: 65_536) != nil {}
      }
    }
  }
}
