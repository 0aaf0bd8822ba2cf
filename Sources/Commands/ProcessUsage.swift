internal import Glibc

/// What a process has used so far.
public struct ProcessUsage: Equatable, Sendable, Codable {
  /// User and system time of all threads.
  public var cpuSeconds: Double
  /// Bytes of memory at present.
  public var residentBytes: UInt64

  public init(cpuSeconds: Double, residentBytes: UInt64) {
    self.cpuSeconds = cpuSeconds
    self.residentBytes = residentBytes
  }

  /// Of this process.
  public static func current() -> ProcessUsage {
    var usage = rusage()
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return ProcessUsage(cpuSeconds: seconds(usage), residentBytes: resident())
  }

  static func seconds(_ usage: rusage) -> Double {
    Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
      + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1_000_000
  }

  private static func resident() -> UInt64 {
    // Pages: total, resident, …
    guard let text = try? KeyFile.read("/proc/self/statm", limit: 4096, isSecret: false).bytes else { return 0 }
    let fields = text.split(separator: 0x20)
    guard fields.count > 1, let pages = UInt64(String(decoding: fields[1], as: UTF8.self)) else { return 0 }
    return pages * UInt64(max(1, sysconf(Int32(_SC_PAGESIZE))))
  }
}
