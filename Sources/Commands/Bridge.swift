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
            if isOutputDone, !Task.isCancelled { return }
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
  /// - Returns: its exit code.
  public static func run(_ command: [String], _ stream: any NodeStream, service: String) async throws -> Int32 {
    let child: ChildProcess
    do {
      child = try ChildProcess(
        command, environment: ["PNET_PEER=\(stream.peer)", "PNET_SERVICE=\(service)"], pipes: [.input, .output])
    } catch {
      stream.reset()
      throw error
    }
    guard let input = child.input, let output = child.output else { return 0 }
    do {
      let exit = try await withThrowingTaskGroup(of: Void.self) { group in
        let isFed = group.addTaskUnlessCancelled {
          do {
            while let bytes = try await stream.read(upTo: 65_536) { try await input.write(bytes) }
          } catch let error as DescriptorError where error.code == EPIPE {
            // The command has closed its input: what else comes is dropped.
            while try await stream.read(upTo: 65_536) != nil {}
          }
          input.close()
        }
        guard isFed else { throw CancellationError() }
        // A stream that breaks must end the command, also while that writes nothing.
        let output = Task {
          while let bytes = try await output.read() { try await stream.write(bytes) }
        }
        defer { output.cancel() }
        return try await withTaskCancellationHandler {
          async let fed: Void = waitFor(&group)
          try await output.value
          let exit = await child.exit()
          if exit.code == 0 {
            try await stream.finish()
            try await stream.flushed()
          } else {
            stream.reset()
          }
          group.cancelAll()
          _ = try? await fed
          return exit
        } onCancel: {
          output.cancel()
          child.signal(SIGTERM)
        }
      }
      return exit.code
    } catch {
      stream.reset()
      _ = await child.stop()
      throw error
    }
  }
}
