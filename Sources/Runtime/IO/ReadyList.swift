internal import Synchronization

/// Which pipes have something for the engine: numbers gathered under one lock, with one ring of the doorbell for all.
public final class ReadyList: Sendable {
  private let doorbell: Doorbell
  private let tokens = Mutex<[UInt64]>([])

  public init(doorbell: Doorbell) { self.doorbell = doorbell }

  /// Adds `token` and wakes the engine.
  public func post(_ token: UInt64) {
    let isFirst = tokens.withLock { tokens in
      tokens.append(token)
      return tokens.count == 1
    }
    if isFirst { doorbell.ring() }
  }

  /// Replaces the content of `drained` by all tokens that were posted, in order. Keeps the storage of both: nothing is
  /// allocated once they have grown.
  public func drain(into drained: inout [UInt64]) {
    drained.removeAll(keepingCapacity: true)
    tokens.withLock { swap(&$0, &drained) }
  }
}
