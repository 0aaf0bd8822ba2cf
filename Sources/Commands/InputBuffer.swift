internal import Synchronization

/// Cuts what a source gives into lines, blocks and pieces. One task reads at a time.
final class InputBuffer: Sendable {
  private struct State {
    var bytes: [UInt8] = []
    /// Where the unread bytes begin.
    var start = 0
  }
  private let state = Mutex(State())
  private let source: @Sendable (Int) async throws -> [UInt8]?
  private static let chunk = 1 << 18

  /// - Parameter source: Up to so many bytes, at least one; `nil` at the end.
  init(_ source: @escaping @Sendable (Int) async throws -> [UInt8]?) { self.source = source }

  /// Up to and without the next line's end; `nil` at the end.
  func line(upTo limit: Int) async throws -> [UInt8]? {
    var searched = 0
    while true {
      let found = state.withLock { state -> [UInt8]? in
        let from = state.start + searched
        guard let end = state.bytes[from...].firstIndex(of: 0x0A) else {
          searched = state.bytes.count - state.start
          return nil
        }
        defer { state.start = end + 1 }
        return Array(state.bytes[state.start..<end])
      }
      if let found { return found }
      guard searched <= limit else { throw Failure("a line on the control socket is longer than \(limit) bytes") }
      guard try await fill() else { return nil }
    }
  }

  /// Exactly so many bytes; `nil` at the end. - Throws: `Failure` when the end comes in between.
  func bytes(exactly count: Int) async throws -> [UInt8]? {
    while true {
      var isPartial = false
      let found = state.withLock { state -> [UInt8]? in
        let available = state.bytes.count - state.start
        isPartial = available > 0
        guard available >= count else { return nil }
        defer { state.start += count }
        return Array(state.bytes[state.start..<(state.start + count)])
      }
      if let found { return found }
      guard try await fill() else {
        if isPartial { throw Failure("the other side ended in the middle of a message", .broken) }
        return nil
      }
    }
  }

  /// What there is, at least one byte and at most `count`; `nil` at the end.
  func some(upTo count: Int) async throws -> [UInt8]? {
    let buffered = state.withLock { state -> [UInt8]? in
      let available = min(count, state.bytes.count - state.start)
      guard available > 0 else { return nil }
      defer { state.start += available }
      return Array(state.bytes[state.start..<(state.start + available)])
    }
    if let buffered { return buffered }
    return try await source(count)
  }

  private func fill() async throws -> Bool {
    guard let more = try await source(Self.chunk) else { return false }
    state.withLock { state in
      if state.start == state.bytes.count {
        state.bytes = more
      } else {
        state.bytes.removeFirst(state.start)
        state.bytes += more
      }
      state.start = 0
    }
    return true
  }
}
