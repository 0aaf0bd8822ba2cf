internal import CMeshLinux
internal import Glibc
internal import Synchronization

/// A thread of its own for an engine, outside of the pool that tasks run on: it may wait in the kernel.
public final class EngineThread: Sendable {
  /// What the new thread is given.
  private final class Start: Sendable {
    let name: String
    let body: @Sendable () -> Void
    let state: EngineThreadState
    init(name: String, body: @escaping @Sendable () -> Void, state: EngineThreadState) {
      self.name = name
      self.body = body
      self.state = state
    }
  }

  private let state: EngineThreadState
  private let thread: pthread_t

  /// Starts a thread that runs `body` to its end.
  ///
  /// - Parameters:
  ///   - name: As tools show it; Linux keeps 15 bytes.
  ///   - body: Not a closure of top-level code: those belong to the main actor and trap elsewhere.
  /// - Throws: `.system` when the machine gives no more threads.
  public init(name: String, _ body: @escaping @Sendable () -> Void) throws(SocketError) {
    let state = EngineThreadState()
    let start = unsafe Unmanaged.passRetained(Start(name: name, body: body, state: state))
    var thread = pthread_t()
    let result = unsafe pthread_create(
      &thread, nil,
      { argument in
        let start = unsafe Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue()
        let state = start.state
        unsafe cmesh_thread_setup(start.name)
        start.body()
        // What the body holds, such as a socket, is given back before anybody is told.
        _ = consume start
        state.finish()
        return nil
      }, start.toOpaque())
    guard result == 0 else {
      unsafe start.release()
      throw .system(.startThread, errno: result)
    }
    self.state = state
    self.thread = thread
  }

  deinit {
    if state.claimJoin() { pthread_detach(thread) }
  }

  /// Waits, in the kernel, until the body has ended and what it held is given back. Not for tasks: they use ``finished()``.
  public func join() {
    if state.claimJoin() { _ = pthread_join(thread, nil) }
  }

  /// Waits, suspended, until the body has ended and what it held is given back.
  public func finished() async { await state.finished() }
}

/// Whether the body of an ``EngineThread`` has ended, and who waits for it.
final class EngineThreadState: Sendable {
  private struct Shared {
    var isFinished = false
    var isJoined = false
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let shared = Mutex(Shared())

  func finish() {
    let waiting = shared.withLock { shared in
      shared.isFinished = true
      return shared.waiting
    }
    for continuation in waiting { continuation.resume() }
  }

  /// Whether the caller is the first to end the thread's account: a thread is joined or detached once.
  func claimJoin() -> Bool {
    shared.withLock { shared in
      defer { shared.isJoined = true }
      return !shared.isJoined
    }
  }

  func finished() async {
    await withCheckedContinuation { continuation in
      let isFinished = shared.withLock { shared in
        if !shared.isFinished { shared.waiting.append(continuation) }
        return shared.isFinished
      }
      if isFinished { continuation.resume() }
    }
  }
}
