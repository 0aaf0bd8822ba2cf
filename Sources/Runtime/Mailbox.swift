internal import Synchronization

/// Acts that tasks ask the engine thread for: peers, services, status. Not for data.
final class Mailbox: Sendable {
  typealias Act = @Sendable (EngineCore) -> Void

  private struct State {
    var acts: [Act] = []
    var isClosed = false
  }

  private let state = Mutex(State())
  private let doorbell: Doorbell

  init(doorbell: Doorbell) { self.doorbell = doorbell }

  /// Has `act` run on the engine thread, soon; `false` when the engine has ended.
  @discardableResult
  func post(_ act: @escaping Act) -> Bool {
    let isOpen = state.withLock { state in
      if !state.isClosed { state.acts.append(act) }
      return !state.isClosed
    }
    if isOpen { doorbell.ring() }
    return isOpen
  }

  /// What was posted, in order.
  func drain() -> [Act] {
    state.withLock { state in
      guard !state.acts.isEmpty else { return [] }
      defer { state.acts = [] }
      return state.acts
    }
  }

  func close() { state.withLock { $0.isClosed = true } }
}
