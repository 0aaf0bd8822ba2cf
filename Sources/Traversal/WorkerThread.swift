internal import MeshRuntime
internal import Synchronization

/// A thread that drives sockets for a task, until it is done or told to stop.
final class WorkerThread: Sendable {
  /// What the thread looks at to see whether it is to stop.
  final class Stop: Sendable {
    private let isSet = Atomic<Bool>(false)
    private let doorbell: Doorbell

    init(_ doorbell: Doorbell) { self.doorbell = doorbell }

    var isRequested: Bool { isSet.load(ordering: .acquiring) }

    func request() {
      isSet.store(true, ordering: .releasing)
      doorbell.ring()
    }
  }

  let stop: Stop
  private let thread: EngineThread

  /// Starts a thread that owns `machine` from now on: nobody else touches it.
  init<Machine>(
    _ name: String, _ doorbell: Doorbell, _ machine: sending Machine,
    _ body: @escaping @Sendable (Machine, Stop) -> Void
  ) throws(SocketError) {
    let stop = Stop(doorbell)
    let handed = Handed(machine)
    self.stop = stop
    thread = try EngineThread(name: name) { body(handed.machine, stop) }
  }

  deinit { stop.request() }

  /// Waits until the thread has ended by itself; a task that is cancelled stops it.
  func finished() async {
    await withTaskCancellationHandler {
      await thread.finished()
    } onCancel: {
      stop.request()
    }
  }

  private final class Handed<Machine>: @unchecked Sendable {
    let machine: Machine
    init(_ machine: Machine) { self.machine = machine }
  }
}
