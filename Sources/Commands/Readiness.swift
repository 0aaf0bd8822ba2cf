internal import Glibc
internal import Synchronization

/// Lets tasks wait until a descriptor can be read or written, by one thread for the whole process: no task ever blocks
/// one of the threads that tasks run on.
@safe final class Readiness: Sendable {
  enum Interest: Sendable { case readable, writable }

  static let shared = Readiness()

  private struct Waiter {
    let descriptor: Int32
    let events: Int16
    let continuation: CheckedContinuation<Void, any Error>
  }
  private struct State {
    var waiters: [UInt64: Waiter] = [:]
    /// Cancelled before their wait began.
    var cancelled: Set<UInt64> = []
    var next: UInt64 = 0
  }

  private let state = Mutex(State())
  private let wakeReader: Int32
  private let wakeWriter: Int32

  private init() {
    var ends: [Int32] = [-1, -1]
    guard unsafe pipe(&ends) == 0 else { fatalError("no descriptors left: raise 'ulimit -n'") }
    wakeReader = ends[0]
    wakeWriter = ends[1]
    for end in ends {
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
    }
    startThread { [self] in run() }
  }

  /// Waits until `descriptor` is ready, or has failed. - Throws: `CancellationError`.
  func wait(_ descriptor: Int32, for interest: Interest) async throws {
    let id = state.withLock { state -> UInt64 in
      state.next += 1
      return state.next
    }
    let events = Int16(interest == .readable ? POLLIN : POLLOUT)
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        let isCancelled = state.withLock { state -> Bool in
          if state.cancelled.remove(id) != nil { return true }
          state.waiters[id] = Waiter(descriptor: descriptor, events: events, continuation: continuation)
          return false
        }
        if isCancelled { continuation.resume(throwing: CancellationError()) } else { wake() }
      }
    } onCancel: {
      let waiter = state.withLock { state -> Waiter? in
        let waiter = state.waiters.removeValue(forKey: id)
        if waiter == nil { state.cancelled.insert(id) }
        return waiter
      }
      waiter?.continuation.resume(throwing: CancellationError())
      wake()
    }
    // Cancelled after it was ready: nothing is to be remembered.
    state.withLock { _ = $0.cancelled.remove(id) }
  }

  /// Ends all waits for `descriptor`, which then find out what is the matter with it.
  func release(_ descriptor: Int32) {
    let released = state.withLock { state -> [Waiter] in
      let ids = state.waiters.filter { $0.value.descriptor == descriptor }.map(\.key)
      return ids.compactMap { state.waiters.removeValue(forKey: $0) }
    }
    for waiter in released { waiter.continuation.resume() }
    wake()
  }

  private func wake() {
    let byte: [UInt8] = [0]
    _ = unsafe write(wakeWriter, byte, 1)
  }

  private func run() {
    var drained = [UInt8](repeating: 0, count: 64)
    while true {
      var ids: [UInt64] = []
      var polled = [pollfd(fd: wakeReader, events: Int16(POLLIN), revents: 0)]
      state.withLock { state in
        for (id, waiter) in state.waiters {
          ids.append(id)
          polled.append(pollfd(fd: waiter.descriptor, events: waiter.events, revents: 0))
        }
      }
      guard unsafe poll(&polled, nfds_t(polled.count), -1) > 0 else { continue }
      if polled[0].revents != 0 { while unsafe read(wakeReader, &drained, drained.count) == drained.count {} }
      let ready = state.withLock { state in
        ids.indices.compactMap { polled[$0 + 1].revents == 0 ? nil : state.waiters.removeValue(forKey: ids[$0]) }
      }
      for waiter in ready { waiter.continuation.resume() }
    }
  }
}

/// Runs `body` on a thread of its own.
func startThread(_ body: @escaping @Sendable () -> Void) {
  final class Box {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  var thread = pthread_t()
  let failure = unsafe pthread_create(
    &thread, nil,
    { argument in
      unsafe Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
      return nil
    }, Unmanaged.passRetained(Box(body)).toOpaque())
  guard failure == 0 else { fatalError("no threads left: raise 'ulimit -u'") }
  pthread_detach(thread)
}
