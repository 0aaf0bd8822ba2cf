internal import Synchronization

/// Says yes once.
public final class FirstOnly: Sendable {
  private let isTaken = Atomic<Bool>(false)

  public init() {}

  public func take() -> Bool { !isTaken.exchange(true, ordering: .acquiringAndReleasing) }
}
