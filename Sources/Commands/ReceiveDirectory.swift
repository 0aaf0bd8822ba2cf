internal import Glibc
internal import MeshCrypto
internal import MeshPrimitives

/// Takes files from `pnet.files` into one directory.
///
/// A file appears under its name only when it is whole, verified and on disk. What has come of an unfinished one waits in
/// a hidden `.NAME.HASH.part`, from which the next attempt goes on.
@safe public final class ReceiveDirectory: Sendable {
  private let directory: FileAccess
  private let path: String
  private let isOverwriting: Bool

  /// - Parameter isOverwriting: Replace files of the same name; otherwise they are refused.
  /// - Throws: `Failure` when it is no directory that can be written to.
  public init(_ path: String, isOverwriting: Bool = false) throws(Failure) {
    let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw Failure("cannot receive into \(path): \(systemMessage(errno))", .badInput)
    }
    directory = FileAccess(descriptor)
    guard unsafe faccessat(descriptor, ".", W_OK | X_OK, 0) == 0 else {
      throw Failure("cannot write to \(path): \(systemMessage(errno))", .badInput)
    }
    self.path = path
    self.isOverwriting = isOverwriting
  }

  /// Why no file may have this name; `nil` when it may.
  static func problem(withName name: String) -> String? {
    if name.isEmpty { return "its name is empty" }
    if name.utf8.first == UInt8(ascii: ".") { return "its name begins with a point" }
    if name.utf8.contains(UInt8(ascii: "/")) || name.utf8.contains(0) { return "its name contains a '/'" }
    if name.utf8.count > 230 { return "its name is longer than 230 bytes" }
    if name.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }) {
      return "its name contains control characters"
    }
    return nil
  }

  /// Takes all files of one stream.
  ///
  /// - Parameter each: Called for each file that is stored.
  /// - Throws: `Failure` in words, after the sender was told.
  public func receive(
    _ stream: any NodeStream, report: @Sendable (TransferProgress) -> Void = { _ in },
    each: (TransferredFile) throws -> Void
  ) async throws {
    let io = StreamIO(stream)
    do {
      while let offer = try await io.message(FileOffer.self) { try each(try await receive(offer, io, report)) }
      try await stream.finish()
      try await stream.flushed()
    } catch let failure as Failure where failure.code != .broken {
      // The sender may be busy sending: it hears the reason, and then what it still sends is dropped.
      let answer = FileAnswer(verdict: .refused, reason: failure.message)
      try? await withDeadline(.seconds(5)) {
        try await io.send(answer)
        try await stream.finish()
        while try await io.bytes(upTo: 1 << 18) != nil {}
      }
      stream.reset()
      throw failure
    } catch {
      stream.reset()
      throw error
    }
  }

  private func receive(
    _ offer: FileOffer, _ io: StreamIO, _ report: @Sendable (TransferProgress) -> Void
  ) async throws -> TransferredFile {
    let start = ContinuousClock.now
    if let problem = Self.problem(withName: offer.name) { throw Failure("the file is not taken: \(problem)") }
    guard offer.sha256.utf8.count == 64,
      offer.sha256.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }),
      offer.size <= UInt64(Int64.max / 2)
    else { throw Failure("the offer of '\(offer.name)' makes no sense") }
    func done(_ transferred: UInt64) -> TransferredFile {
      report(TransferProgress(name: offer.name, phase: .done, done: offer.size, total: offer.size))
      let seconds = Double((ContinuousClock.now - start).wholeNanoseconds) / 1e9
      return TransferredFile(
        name: offer.name, peer: io.stream.peer.description, size: offer.size, transferred: transferred,
        sha256: offer.sha256, seconds: seconds)
    }

    if try isStored(offer) {
      try await io.send(FileAnswer(verdict: .have))
      return done(0)
    }
    let part = try PartFile(offer, in: directory.descriptor)
    var progress = TransferProgress(name: offer.name, phase: .hashing, done: 0, total: offer.size)
    let first = try part.resume {
      progress.done = $0; report(progress)
    }
    try checkSpace(offer.size - first, offer.name)
    try await io.send(FileAnswer(verdict: .send, offset: first))
    progress.phase = .transferring
    var offset = first
    while offset < offer.size {
      let count = Int(min(UInt64(FileService.chunk), offer.size - offset))
      guard let bytes = try await io.bytes(upTo: count) else {
        throw Failure("the sender went away after \(offset) of \(offer.size) bytes of '\(offer.name)'", .broken)
      }
      try part.append(bytes, at: offset)
      offset += UInt64(bytes.count)
      progress.done = offset
      report(progress)
    }
    try part.store(isOverwriting: isOverwriting)
    try await io.send(FileAnswer(verdict: .stored))
    return done(offer.size - first)
  }

  /// Whether the very file is here. - Throws: `Failure` when another one has its name.
  private func isStored(_ offer: FileOffer) throws -> Bool {
    var facts = stat()
    guard unsafe fstatat(directory.descriptor, offer.name, &facts, AT_SYMLINK_NOFOLLOW) == 0 else { return false }
    if facts.st_mode & S_IFMT == S_IFREG, UInt64(max(0, facts.st_size)) == offer.size {
      let descriptor = unsafe openat(directory.descriptor, offer.name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
      if descriptor >= 0 {
        let hash = SHA256()
        _ = try FileAccess(descriptor).hash(into: hash, upTo: offer.size)
        if hexadecimal(hash.digest().rawBytes) == offer.sha256 { return true }
      }
    }
    guard isOverwriting, facts.st_mode & S_IFMT == S_IFREG else {
      throw Failure("another file '\(offer.name)' is there already: move it away, or receive with --overwrite")
    }
    return false
  }

  private func checkSpace(_ needed: UInt64, _ name: String) throws(Failure) {
    var facts = statvfs()
    guard unsafe fstatvfs(directory.descriptor, &facts) == 0 else { return }
    let (free, overflow) = UInt64(facts.f_bavail).multipliedReportingOverflow(by: UInt64(facts.f_frsize))
    if !overflow, free < needed {
      throw Failure(
        "not enough room for '\(name)': \(byteCount(needed)) more are needed, \(byteCount(free)) are free; "
          + "make room and send it again")
    }
  }
}
