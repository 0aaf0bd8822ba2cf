internal import MeshPrimitives
internal import Synchronization

/// The edge between tasks and the engine thread, for one stream: a bounded queue of bytes each way.
///
/// The app's side suspends: a reader until there are bytes, a writer until there is room. The engine's side never waits;
/// it learns from a ``ReadyList`` that the app did something, calls ``engineAttend()``, and then reads and writes. Any
/// number of acts of the app between two visits of the engine post the pipe once.
///
/// One task may read while another one writes. A task that is cancelled while it waits gets `CancellationError`; no byte
/// is lost by it.
public final class StreamPipe: Sendable {
  /// From the app to the engine, and back.
  private let outgoing: PipeHalf
  private let incoming: PipeHalf
  private let ready: ReadyList
  private let isPosted = Atomic<Bool>(false)
  /// Bytes that each way holds at most.
  public let limit: Int
  /// What the pipe is called in the ``ReadyList``.
  public let token: UInt64

  /// - Parameters:
  ///   - limit: Bytes that each way holds at most. Storage is allocated as it is needed.
  ///   - ready: Where the engine learns what the app did.
  public init(token: UInt64, limit: Int = 65_536, ready: ReadyList) {
    self.token = token
    self.limit = limit
    self.ready = ready
    outgoing = PipeHalf(limit: limit, isForReading: false)
    incoming = PipeHalf(limit: limit, isForReading: true)
  }

  /// Bytes that wait for the app's first read at most.
  private static var unreadLimit: Int { 16_384 }

  private func post() {
    if !isPosted.exchange(true, ordering: .acquiringAndReleasing) { ready.post(token) }
  }

  // MARK: - The app's side

  /// Appends to `output` what has come, at least one byte; waits until there is one.
  ///
  /// - Returns: the number of bytes; 0 at the end of the stream, or when `output` has no room.
  /// - Throws: ``StreamFailure``, once all bytes that came before it were read; `CancellationError`.
  public func read(into output: inout OutputRawSpan) async throws -> Int {
    try incoming.enter()
    defer { incoming.leave() }
    guard output.freeCapacity > 0 else { return 0 }
    while true {
      if let count = try readNow(&output) { return count }
      try await incoming.wait()
    }
  }

  /// Writes all of `bytes`; waits for room as often as it takes.
  ///
  /// - Throws: ``StreamFailure``; `CancellationError`, after which some of the bytes may have been written.
  public func write(_ bytes: RawSpan) async throws {
    try outgoing.enter()
    defer { outgoing.leave() }
    var written = 0
    while true {
      written += try writeNow(bytes.extracting(written..<bytes.byteCount))
      if written == bytes.byteCount { return }
      try await outgoing.wait()
    }
  }

  /// Says that all is written: the peer reads what there is and then the end. Does not wait.
  public func finish() {
    outgoing.state.withLock { $0.isFinished = true }
    post()
  }

  /// Gives the stream up in both directions: what is queued is dropped, and the engine learns `code`.
  public func reset(code: UInt64) {
    outgoing.fail(.reset(code: code), dropping: true)
    incoming.fail(.reset(code: code), dropping: true)
    post()
  }

  /// What has come, the end as 0, or `nil` when the reader has to wait.
  private func readNow(_ output: inout OutputRawSpan) throws(StreamFailure) -> Int? {
    var isNews = false
    var failure: StreamFailure?
    let count = incoming.state.withLock { state -> Int? in
      state.wasRead = true
      let count = state.ring.read(into: &output)
      if count == 0 {
        // Bytes that find no room in `output` are still to be read.
        guard state.ring.isEmpty else { return nil }
        failure = state.failure
        return state.isFinished ? 0 : nil
      }
      state.consumed += count
      isNews = state.isEngineBlocked || state.consumed >= limit / 4
      if isNews { state.isEngineBlocked = false }
      return count
    }
    if let failure { throw failure }
    if isNews { post() }
    return count
  }

  /// Writes what there is room for and returns how many bytes that is.
  private func writeNow(_ bytes: RawSpan) throws(StreamFailure) -> Int {
    var failure: StreamFailure?
    let count = outgoing.state.withLock { state -> Int in
      failure = state.failure ?? (state.isFinished ? .finished : nil)
      return failure == nil ? state.ring.write(bytes) : 0
    }
    if let failure { throw failure }
    if count > 0 { post() }
    return count
  }

  // MARK: - The engine's side

  /// What the engine has to do for a pipe.
  public struct Attention: Equatable, Sendable {
    /// Bytes that wait to be sent.
    public var outgoing: Int
    /// The app has written all: the end comes behind the outgoing bytes.
    public var isFinished: Bool
    /// The code that the app gave up writing with.
    public var resetCode: UInt64?
    /// The code that the app gave up reading with.
    public var stopCode: UInt64?
    /// Bytes that the app has read since the last visit: the peer may send as many more.
    public var consumed: Int
  }

  /// Begins a visit of the engine: from here on the app's next act posts the pipe again.
  public func engineAttend() -> Attention {
    _ = isPosted.exchange(false, ordering: .acquiringAndReleasing)
    var attention = outgoing.state.withLock { state in
      var resetCode: UInt64?
      if case .reset(let code)? = state.failure { resetCode = code }
      return Attention(
        outgoing: state.ring.count, isFinished: state.isFinished, resetCode: resetCode, consumed: 0)
    }
    incoming.state.withLock { state in
      attention.consumed = state.consumed
      state.consumed = 0
      if case .reset(let code)? = state.failure { attention.stopCode = code }
    }
    return attention
  }

  /// Lends `body` what the app has written, in one piece, until it takes less than it got or nothing is left.
  ///
  /// `body` runs under the pipe's lock and returns how many bytes it took.
  public func engineTake(_ body: (RawSpan) -> Int) {
    var waiter: CheckedContinuation<Void, Never>?
    outgoing.state.withLock { state in
      while true {
        var offered = 0
        let taken = state.ring.consume { bytes in
          offered = bytes.byteCount
          return body(bytes)
        }
        if taken == 0 || taken < offered { break }
      }
      // A writer that was woken for every few bytes would cost more than it writes.
      if state.ring.count <= limit / 2 { waiter = state.waiter.take() }
    }
    waiter?.resume()
  }

  /// Lets `body` append what came from the peer where the app will read it, until it appends nothing or there is no room.
  /// A pipe that the app has never read from takes little: nobody may ever read it.
  ///
  /// `body` runs under the pipe's lock. When there is no room left, the app's next read posts the pipe. After a reset of
  /// the app's nothing is asked for.
  public func engineFill(_ body: (inout OutputRawSpan) -> Void) {
    var waiter: CheckedContinuation<Void, Never>?
    incoming.state.withLock { state in
      guard state.failure == nil else { return }
      while true {
        var offered = 0
        let most = state.wasRead ? 65_536 : max(0, Self.unreadLimit - state.ring.count)
        let added = state.ring.fill(atMost: most) { output in
          offered = output.freeCapacity
          body(&output)
        }
        if added > 0, waiter == nil { waiter = state.waiter.take() }
        if offered == 0 { state.isEngineBlocked = true }
        if added == 0 { return }
      }
    }
    waiter?.resume()
  }

  /// Nobody holds the app's side any more: what it finished goes on, the rest is given up.
  func abandon(code: UInt64) {
    let isFinished = outgoing.state.withLock { $0.isFinished && $0.failure == nil }
    if isFinished {
      incoming.fail(.reset(code: code), dropping: true)
      post()
    } else {
      reset(code: code)
    }
  }

  /// Says that the peer has written all.
  public func engineFinish() {
    incoming.state.withLock { $0.isFinished = true }
    incoming.wake()
  }

  /// Ends what the app may still write: the peer reads no more, or is gone. What is queued is dropped.
  public func engineFailWriting(_ failure: StreamFailure) { outgoing.fail(failure, dropping: true) }

  /// Ends what the app may still read, behind the bytes that are queued.
  public func engineFailReading(_ failure: StreamFailure) { incoming.fail(failure, dropping: false) }

  /// Gives back the storage of queues that are empty; for streams that have been idle.
  public func engineReleaseStorage() {
    outgoing.state.withLock { $0.ring.releaseIfEmpty() }
    incoming.state.withLock { $0.ring.releaseIfEmpty() }
  }
}

extension StreamPipe {
  /// What has come, up to `maximum` bytes; waits until there is at least one. `nil` at the end of the stream.
  ///
  /// - Throws: as ``read(into:)`` does.
  public func read(upTo maximum: Int = 65_536) async throws -> [UInt8]? {
    precondition(maximum > 0, "give room for at least one byte")
    try incoming.enter()
    defer { incoming.leave() }
    while true {
      let available = incoming.state.withLock { $0.ring.count }
      var count: Int?
      let bytes = try [UInt8](capacity: min(maximum, available)) { (output) throws(StreamFailure) in
        count = try readNow(&output)
      }
      if !bytes.isEmpty { return bytes }
      // Bytes that came after the look at the queue did not fit into an array of none: look again.
      if count == 0, available == 0, isAtEnd { return nil }
      try await incoming.wait()
    }
  }

  /// Writes all of `bytes`; see ``write(_:)-(RawSpan)``.
  public func write(_ bytes: [UInt8]) async throws { try await write(bytes.bytes) }

  private var isAtEnd: Bool { incoming.state.withLock { $0.ring.isEmpty && $0.isFinished } }
}
