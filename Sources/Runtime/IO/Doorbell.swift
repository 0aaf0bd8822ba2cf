internal import CMeshLinux
internal import Synchronization

/// Wakes the thread that waits in a ``Poller``, from any other. Rings between two wake-ups cost one system call.
public final class Doorbell: Sendable {
  let descriptor: Int32
  private let isRung = Atomic<Bool>(false)

  init() throws(SocketError) {
    descriptor = cmesh_eventfd_create()
    guard descriptor >= 0 else { throw SocketError(.eventfd, descriptor) }
  }

  deinit { cmesh_close(descriptor) }

  /// Makes the present or next ``Poller/wait(until:)`` return.
  ///
  /// What was written before is seen by the thread that wakes.
  public func ring() {
    guard !isRung.exchange(true, ordering: .acquiringAndReleasing) else { return }
    cmesh_eventfd_ring(descriptor)
  }

  /// Whoever rings from here on wakes the waiting thread again. Before looking for what the ring was about.
  func answer() {
    cmesh_eventfd_clear(descriptor)
    // An exchange, not a store: what was written before a ring that found the bell rung is seen after it.
    _ = isRung.exchange(false, ordering: .acquiringAndReleasing)
  }
}
