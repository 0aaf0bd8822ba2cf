internal import Synchronization

/// A bounded first-in first-out queue between tasks and the engine thread, for whole messages.
///
/// Tasks suspend: a sender while it is full, a receiver while it is empty. The engine never waits; it learns from a
/// ``ReadyList`` that a task did something, once for any number of acts between two of its visits.
final class MessageBox<Element: Sendable>: Sendable {
  private struct State {
    /// What is queued, and the bytes of each.
    var items: [(element: Element, bytes: Int)] = []
    var head = 0
    var bytes = 0
    var failure: (any Error)?
    /// What the next task that adds something is told, once.
    var notice: (any Error)?
    var isEnded = false
    /// Tasks that wait, by number.
    var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    var nextWaiter: UInt64 = 0
    /// The engine found no room: a task that takes something is news to it.
    var isEngineBlocked = false
    var isPosted = false

    var count: Int { items.count - head }
  }

  /// The most bytes and messages that are queued; one longer message fits when nothing else is there.
  private static var mostBytes: Int { 1 << 20 }
  private static var most: Int { 1024 }

  private let state = Mutex(State())
  private let ready: ReadyList
  /// What the box is called in the ``ReadyList``; 0 as long as the engine does not know it.
  private let name = Atomic<UInt64>(0)

  init(ready: ReadyList) { self.ready = ready }

  var token: UInt64 {
    get { name.load(ordering: .relaxed) }
    set { name.store(newValue, ordering: .relaxed) }
  }

  private static func isFull(_ state: borrowing State) -> Bool {
    state.count >= most || state.bytes >= mostBytes
  }

  // MARK: Tasks

  /// Adds a message behind all others; waits while there is no room.
  /// - Throws: what the engine failed the box with; `CancellationError`, and nothing was added.
  func push(_ element: Element, bytes: Int) async throws {
    while true {
      var isNews = false
      let isDone = try state.withLock { state in
        if let failure = state.failure { throw failure }
        if let notice = state.notice.take() { throw notice }
        guard !Self.isFull(state) else { return false }
        state.items.append((element, bytes))
        state.bytes += bytes
        isNews = !state.isPosted
        state.isPosted = true
        return true
      }
      if isNews { ready.post(token) }
      if isDone { return }
      try await wait { Self.isFull($0) && $0.failure == nil && $0.notice == nil }
    }
  }

  /// Takes the oldest message; waits until there is one. `nil` when none will come.
  /// - Throws: `CancellationError`.
  func pop() async throws -> Element? {
    while true {
      var isNews = false
      let (element, isEnded) = state.withLock { state -> (Element?, Bool) in
        guard state.count > 0 else { return (nil, state.isEnded) }
        let element = Self.removeFirst(&state)
        if state.isEngineBlocked, state.count <= Self.most / 2, state.bytes <= Self.mostBytes / 2 {
          state.isEngineBlocked = false
          isNews = !state.isPosted
          state.isPosted = true
        }
        return (element, false)
      }
      if isNews { ready.post(token) }
      if element != nil || isEnded { return element }
      try await wait { $0.count == 0 && !$0.isEnded }
    }
  }

  private static func removeFirst(_ state: inout State) -> Element {
    let (element, bytes) = state.items[state.head]
    state.head += 1
    state.bytes -= bytes
    if state.head == state.items.count {
      state.items.removeAll(keepingCapacity: true)
      state.head = 0
    } else if state.head >= 256, state.head * 2 >= state.items.count {
      state.items.removeFirst(state.head)
      state.head = 0
    }
    return element
  }

  private func wait(while isStuck: @Sendable (borrowing State) -> Bool) async throws {
    let number = state.withLock { state in
      state.nextWaiter += 1
      return state.nextWaiter
    }
    try Task.checkCancellation()
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let waits = state.withLock { state in
          guard isStuck(state), !Task.isCancelled else { return false }
          state.waiters[number] = continuation
          return true
        }
        if !waits { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.waiters.removeValue(forKey: number) }?.resume()
    }
    try Task.checkCancellation()
  }

  // MARK: The engine

  var isEmpty: Bool { state.withLock { $0.count == 0 } }

  /// Begins a visit of the engine: from here on the next act of a task posts the box again.
  func attend() { state.withLock { $0.isPosted = false } }

  /// Takes messages from the front as long as `body` says that it has taken the one it got.
  func drain(_ body: (Element) -> Bool) {
    let woken = state.withLock { state in
      let wasFull = Self.isFull(state)
      while state.count > 0, body(state.items[state.head].element) { _ = Self.removeFirst(&state) }
      return wasFull && !Self.isFull(state) ? Self.takeWaiters(&state) : []
    }
    for waiter in woken { waiter.resume() }
  }

  /// Adds what `next` gives, with its bytes, until it gives nothing or there is no room; then the next
  /// ``pop()`` posts the box.
  func fill(_ next: () -> (element: Element, bytes: Int)?) {
    let woken = state.withLock { state -> [CheckedContinuation<Void, Never>] in
      let wasEmpty = state.count == 0
      while true {
        guard !Self.isFull(state) else {
          state.isEngineBlocked = true
          break
        }
        guard let item = next() else { break }
        state.items.append(item)
        state.bytes += item.bytes
      }
      return wasEmpty && state.count > 0 ? Self.takeWaiters(&state) : []
    }
    for waiter in woken { waiter.resume() }
  }

  /// Lets no more messages in, and drops those that are there.
  func fail(_ error: any Error) {
    let woken = state.withLock { state in
      state.failure = error
      state.items = []
      state.head = 0
      state.bytes = 0
      return Self.takeWaiters(&state)
    }
    for waiter in woken { waiter.resume() }
  }

  /// Drops what is queued, and lets one task that adds something, now or later, know of it.
  func notify(_ error: any Error) {
    let woken = state.withLock { state in
      state.notice = error
      state.items = []
      state.head = 0
      state.bytes = 0
      return Self.takeWaiters(&state)
    }
    for waiter in woken { waiter.resume() }
  }

  /// Takes what the next task would have been told.
  func takeNotice() -> (any Error)? { state.withLock { $0.notice.take() } }

  /// No more will come: whoever takes gets what there is and then the end.
  func end() {
    let woken = state.withLock { state in
      state.isEnded = true
      return Self.takeWaiters(&state)
    }
    for waiter in woken { waiter.resume() }
  }

  /// All who wait, in the order in which they came.
  private static func takeWaiters(_ state: inout State) -> [CheckedContinuation<Void, Never>] {
    defer { state.waiters = [:] }
    return state.waiters.sorted { $0.key < $1.key }.map(\.value)
  }
}
