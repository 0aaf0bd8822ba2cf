internal import MeshRuntime
internal import Synchronization

/// Ends a loop from another thread.
public final class StopFlag: Sendable {
  private let isStopped = Atomic(false)
  private let doorbell = Mutex<Doorbell?>(nil)

  public init() {}

  /// The loop ends soon.
  public func stop() {
    isStopped.store(true, ordering: .releasing)
    doorbell.withLock { $0?.ring() }
  }

  var isSet: Bool { isStopped.load(ordering: .acquiring) }

  func attach(_ bell: Doorbell) {
    doorbell.withLock { $0 = bell }
    if isSet { bell.ring() }
  }
}
