import Glibc

enum CPUTime {
  /// CPU seconds that the process has used so far, of all threads.
  static func ofProcess() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
