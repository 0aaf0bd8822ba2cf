internal import Synchronization

/// One way of a ``StreamPipe``: the queue, how it ended, and the app's task while that waits.
final class PipeHalf: Sendable {
  struct State: ~Copyable {
    var ring: ByteRing
    /// The writing end has written all.
    var isFinished = false
    var failure: StreamFailure?
    /// The app's task at this end, while it waits.
    var waiter: CheckedContinuation<Void, Never>?
    /// Whether a task of the app is at work at this end.
    var isBusy = false
    /// The engine found no room: the app's next read is news to it.
    var isEngineBlocked = false
    /// The app has read, or tried to.
    var wasRead = false
    /// Bytes that the app has read and the engine was not told of.
    var consumed = 0
  }

  let state: Mutex<State>
  /// Whether the app reads here; else it writes.
  private let isForReading: Bool

  init(limit: Int, isForReading: Bool) {
    state = Mutex(State(ring: ByteRing(limit: limit)))
    self.isForReading = isForReading
  }

  private func isStuck(_ state: borrowing State) -> Bool {
    guard state.failure == nil else { return false }
    return isForReading ? state.ring.isEmpty && !state.isFinished : state.ring.free == 0
  }

  /// Takes this end for one task.
  func enter() throws(StreamFailure) {
    let wasBusy = state.withLock { state in
      defer { state.isBusy = true }
      return state.isBusy
    }
    if wasBusy { throw .busy }
  }

  func leave() { state.withLock { $0.isBusy = false } }

  /// Suspends the app's task until the engine's end, or a cancellation, wakes it. Does not when there is no need.
  ///
  /// - Throws: `CancellationError` when the task is cancelled and would still have to wait.
  func wait() async throws {
    if Task.isCancelled, state.withLock({ isStuck($0) }) { throw CancellationError() }
    await withTaskCancellationHandler {
      await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
        let waits = state.withLock { state in
          // The handler may have run before: then nobody would wake the task.
          guard isStuck(state), !Task.isCancelled else { return false }
          state.waiter = continuation
          return true
        }
        if !waits { continuation.resume() }
      }
    } onCancel: {
      wake()
    }
  }

  /// Resumes the app's task if it waits.
  func wake() { state.withLock { $0.waiter.take() }?.resume() }

  /// Ends this way with `failure`, unless it ended before.
  func fail(_ failure: StreamFailure, dropping: Bool) {
    let waiter = state.withLock { state in
      if state.failure == nil { state.failure = failure }
      if dropping {
        state.ring.removeAll()
        state.ring.releaseIfEmpty()
      }
      return state.waiter.take()
    }
    waiter?.resume()
  }
}
