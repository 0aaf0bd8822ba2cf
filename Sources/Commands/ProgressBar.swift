internal import Glibc
internal import MeshPrimitives
internal import Synchronization

/// A bar on standard error with rate and time left; silent when that is no terminal.
public final class ProgressBar: Sendable {
  private struct State {
    var name = ""
    var phase = TransferProgress.Phase.hashing
    var first: UInt64 = 0
    var began = ContinuousClock.now
    var drawn: ContinuousClock.Instant?
    var isShown = false
  }
  private let state = Mutex(State())
  private let isTerminal = isatty(2) == 1

  public init() {}

  public func show(_ progress: TransferProgress) {
    guard isTerminal else { return }
    let now = ContinuousClock.now
    let line = state.withLock { state -> String? in
      if state.name != progress.name || state.phase != progress.phase {
        state.name = progress.name
        state.phase = progress.phase
        state.first = progress.done
        state.began = now
        state.drawn = nil
      }
      if let drawn = state.drawn, now - drawn < .milliseconds(100), progress.phase != .done { return nil }
      state.drawn = now
      state.isShown = true
      guard progress.phase != .done else {
        state.isShown = false
        return ""
      }
      let seconds = Double((now - state.began).wholeNanoseconds) / 1e9
      let rate = seconds > 0.05 ? Double(progress.done - min(progress.done, state.first)) / seconds : 0
      return Self.line(progress, rate: rate, width: Self.width())
    }
    if let line { Self.write("\r\u{1B}[K" + line) }
  }

  /// A bar for work in steps that are not bytes.
  public func show(_ name: String, step: Int, of total: Int) {
    guard isTerminal else { return }
    state.withLock { $0.isShown = true }
    let width = 24
    let filled = total > 0 ? min(width, step * width / total) : width
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
    Self.write("\r\u{1B}[K\(name)  [\(bar)] \(step) of \(total)")
  }

  /// Removes the bar, so that other output can follow.
  public func clear() {
    let isShown = state.withLock { state -> Bool in
      defer { state.isShown = false }
      return state.isShown
    }
    if isShown { Self.write("\r\u{1B}[K") }
  }

  /// One line of at most `width` columns.
  static func line(_ progress: TransferProgress, rate: Double, width: Int) -> String {
    let share = progress.total == 0 ? 1 : Double(progress.done) / Double(progress.total)
    let percent = "\(Int(share * 100))%"
    var tail = "\(byteCount(progress.done)) of \(byteCount(progress.total))"
    if progress.phase == .hashing {
      tail += "  checking"
    } else if rate > 0 {
      tail += "  \(byteCount(UInt64(rate)))/s  \(clockDuration(Double(progress.total - progress.done) / rate)) left"
    }
    let name = String(progress.name.prefix(24))
    let room = width - name.count - percent.count - tail.count - 8
    guard room >= 8 else { return String("\(percent)  \(tail)".prefix(max(0, width - 1))) }
    let filled = min(min(room, 40), Int(share * Double(min(room, 40))))
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: min(room, 40) - filled)
    return "\(name)  [\(bar)] \(percent)  \(tail)"
  }

  private static func width() -> Int {
    var size = winsize()
    guard unsafe ioctl(2, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  private static func write(_ text: String) {
    let bytes = Array(text.utf8)
    _ = unsafe Glibc.write(2, bytes, bytes.count)
  }
}
