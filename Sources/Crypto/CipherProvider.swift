internal import Synchronization

/// Which library computes ChaCha20-Poly1305, by the length of the message. Made once per engine thread; that thread's
/// keys are made with it.
///
/// The choice is measured, once per process and in about 5 ms, or forced. What a provider lends to its keys (contexts
/// that a call changes) is used by one thread at a time: when another is at it, a call goes to libsodium, which needs
/// none, and gives the same bytes. So providers and keys may move and be shared between threads, and lose only speed.
public final class CipherProvider: Sendable {
  /// The libraries that are there and pass their known-answer test, the reference first.
  public static var available: [CipherBackend] { CipherMeasurement.available }

  let choices: CipherTable
  /// There if `choices` names `ipsecMB`.
  private let manager: IPsecMBManager?
  private let isBusy = Atomic(false)

  /// - Parameter backend: Used for all lengths, if it is available; else, and with `nil`, what was measured as the
  ///   fastest for each.
  public init(preferring backend: CipherBackend? = nil) {
    Sodium.start()
    var choices: CipherTable
    if let backend, Self.available.contains(backend) {
      choices = CipherTable(backend)
    } else {
      choices = CipherMeasurement.fastest
    }
    manager = choices.uses(.ipsecMB) ? IPsecMBManager() : nil
    // No memory for a manager: the rest does without.
    if manager == nil { choices.replace(.ipsecMB, by: .libsodium) }
    self.choices = choices
  }

  /// For the measurement itself: `nil` when the backend is not there.
  init?(measuring backend: CipherBackend) {
    Sodium.start()
    choices = CipherTable(backend)
    manager = backend == .ipsecMB ? IPsecMBManager() : nil
    if backend == .ipsecMB && manager == nil { return nil }
  }

  /// Lives as long as this value; for use between `enter()` and `leave()`.
  var managerAddress: UnsafeMutableRawPointer? {
    switch manager {
    case .some(let manager): unsafe manager.address
    case .none: nil
    }
  }

  /// The backend of each class of lengths, in ascending order; the last row is for all lengths.
  public var table: [CipherChoice] { choices.choices }

  /// Whether the caller may use what can be used by one only, until `leave()`.
  @inline(__always) func enter() -> Bool { !isBusy.exchange(true, ordering: .acquiring) }

  @inline(__always) func leave() { isBusy.store(false, ordering: .releasing) }
}
