internal import Synchronization

/// Lets one task at a time through a stretch with suspensions, in order of arrival.
final class TaskLock: Sendable {
  private struct State {
    var isHeld = false
    var waiting: [CheckedContinuation<Void, Never>] = []
  }
  private let state = Mutex(State())

  nonisolated(nonsending) func callAsFunction<Result>(
    _ body: nonisolated(nonsending) () async throws -> Result
  ) async rethrows -> Result {
    await acquire()
    defer { release() }
    return try await body()
  }

  private nonisolated(nonsending) func acquire() async {
    await withCheckedContinuation { continuation in
      let isFree = state.withLock { state -> Bool in
        if !state.isHeld {
          state.isHeld = true
          return true
        }
        state.waiting.append(continuation)
        return false
      }
      if isFree { continuation.resume() }
    }
  }

  private func release() {
    let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
      guard !state.waiting.isEmpty else {
        state.isHeld = false
        return nil
      }
      return state.waiting.removeFirst()
    }
    next?.resume()
  }
}
