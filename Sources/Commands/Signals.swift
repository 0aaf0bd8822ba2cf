internal import Glibc
internal import Synchronization

/// Ctrl-C and SIGTERM as an event that a task can wait for.
public enum Signals {
  private static let writer = Atomic<Int32>(-1)
  private static let received = Atomic<Bool>(false)

  /// Takes SIGINT, SIGTERM and SIGHUP over, and ignores SIGPIPE. Once per process, before tasks start.
  ///
  /// - Parameter handler: Called with the signal, once; a second signal ends the process at once.
  public static func install(_ handler: @escaping @Sendable (Int32) -> Void) {
    _ = signal(SIGPIPE, SIG_IGN)
    var ends: [Int32] = [-1, -1]
    guard unsafe pipe(&ends) == 0 else { return }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    writer.store(ends[1], ordering: .relaxed)
    for number in [SIGINT, SIGTERM, SIGHUP] {
      var action = sigaction()
      unsafe action.__sigaction_handler.sa_handler = { number in
        // Only what is safe in a signal handler.
        if Signals.received.exchange(true, ordering: .relaxed) { _exit(128 + number) }
        var byte = UInt8(truncatingIfNeeded: number)
        _ = unsafe write(Signals.writer.load(ordering: .relaxed), &byte, 1)
      }
      unsafe sigaction(number, &action, nil)
    }
    let reader = ends[0]
    startThread {
      var byte: UInt8 = 0
      while unsafe read(reader, &byte, 1) != 1 {}
      handler(Int32(byte))
    }
  }
}
