internal import Glibc
internal import MeshCrypto
internal import MeshPrimitives

/// Sends files over a stream to the service `pnet.files`.
public struct FileSender: Sendable {
  private let io: StreamIO
  private let report: @Sendable (TransferProgress) -> Void

  /// - Parameter stream: Open to ``FileService/name``.
  public init(_ stream: any NodeStream, report: @escaping @Sendable (TransferProgress) -> Void = { _ in }) {
    io = StreamIO(stream)
    self.report = report
  }

  /// Looks at all files before anything is sent. - Throws: `Failure` for the first that cannot be sent.
  public static func check(_ paths: [String]) throws(Failure) {
    for path in paths {
      _ = try FileAccess.reading(path)
      if let problem = ReceiveDirectory.problem(withName: name(path)) {
        throw Failure("\(path) cannot be sent: \(problem)", .badInput)
      }
    }
  }

  private static func name(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

  /// Sends one file after the other and finishes the stream.
  /// - Throws: `Failure` in words; the files before it are stored.
  public func send(_ paths: [String], each: (TransferredFile) throws -> Void) async throws {
    do {
      for path in paths { try each(try await send(path)) }
      try await io.stream.finish()
    } catch {
      io.stream.reset()
      throw error
    }
  }

  private func send(_ path: String) async throws -> TransferredFile {
    let file = try FileAccess.reading(path)
    let name = Self.name(path)
    let size = file.size
    let hash = SHA256()
    var progress = TransferProgress(name: name, phase: .hashing, done: 0, total: size)
    let hashed = try file.hash(into: hash, upTo: size) { done in
      progress.done = done
      report(progress)
    }
    guard hashed == size else { throw Failure("\(path) became shorter while it was read", .broken) }
    let digest = hexadecimal(hash.digest().rawBytes)

    let start = ContinuousClock.now
    try await io.send(FileOffer(name: name, size: size, sha256: digest))
    let answer = try await answer(path)
    var offset = size
    if answer.verdict == .send {
      offset = answer.offset ?? 0
      guard offset <= size else { throw Failure("the peer asks for what \(path) does not have", .broken) }
      try await sendBytes(file, path, from: offset, progress)
    }
    report(TransferProgress(name: name, phase: .done, done: size, total: size))
    let seconds = Double((ContinuousClock.now - start).wholeNanoseconds) / 1e9
    return TransferredFile(
      name: name, peer: io.stream.peer.description, size: size, transferred: size - offset, sha256: digest,
      seconds: seconds)
  }

  /// The bytes one way, and the peer's verdict the other way, which may come early when it is bad.
  private func sendBytes(
    _ file: FileAccess, _ path: String, from start: UInt64, _ beginning: TransferProgress
  ) async throws {
    try await withThrowingTaskGroup(of: Bool.self) { group in
      group.addTask {
        var progress = beginning
        progress.phase = .transferring
        var offset = start
        while offset < progress.total {
          let count = Int(min(UInt64(FileService.chunk), progress.total - offset))
          let bytes = try file.read(at: offset, upTo: count)
          guard !bytes.isEmpty else { throw Failure("\(path) became shorter while it was sent", .broken) }
          try await io.stream.write(bytes)
          offset += UInt64(bytes.count)
          progress.done = offset
          report(progress)
        }
        return false
      }
      group.addTask {
        let answer = try await answer(path)
        guard answer.verdict == .stored else { throw Failure("the peer answers out of turn", .broken) }
        return true
      }
      // The answer is what counts: a write may fail just because the peer has refused.
      var writeFailure: (any Error)?
      while let result = await group.nextResult() {
        switch result {
        case .success(true): return
        case .success(false): continue
        case .failure(let error as Failure) where error.code == .refused:
          group.cancelAll()
          throw error
        case .failure(let error):
          if let first = writeFailure {
            throw first
          }
          writeFailure = error
          if Task.isCancelled { group.cancelAll() }
          if error is Failure { group.cancelAll() }
        }
      }
      throw writeFailure ?? Failure("the peer went away", .broken)
    }
  }

  private func answer(_ path: String) async throws -> FileAnswer {
    guard let answer = try await io.message(FileAnswer.self) else {
      throw Failure("the peer ended before \(path) was stored; send it again to go on where it stopped", .broken)
    }
    guard answer.verdict != .refused else {
      throw Failure("the peer refused \(path): \(TextScan.printable(answer.reason ?? "no reason given"))", .refused)
    }
    return answer
  }
}
