internal import CMeshSodium
internal import Synchronization

/// Locked memory for all secrets but the identity keys, 32 bytes a slot.
///
/// A slab is four pages of its own, locked by one call so that they are never swapped, left out of core dumps and read
/// as zeros in a forked child. A slot is wiped when its secret goes, and is zero when handed out. Slabs are kept for
/// the next secrets and never given back.
///
/// There is one for the process, as there is one heap, behind a mutex that is held for some nanoseconds when a secret
/// is made or goes, never while one is used: no packet waits for it. So a secret may be made on one thread and go on
/// another.
public enum SecretSlab {
  /// What the secrets of this process take. All in bytes but `secrets`.
  public struct Usage: Equatable, Sendable {
    /// Secrets that live now.
    public internal(set) var secrets = 0
    public internal(set) var mapped = 0
    /// Mapped but not locked, since the limit on locked memory (`ulimit -l`) was reached: these can be swapped out.
    public internal(set) var unlocked = 0
  }

  public static var usage: Usage { pool.withLock { $0.usage } }

  static let pool = Mutex(SecretPool())
}

/// The slots behind `SecretSlab`. Not thread-safe by itself.
@safe struct SecretPool: ~Copyable {
  static let slotSize = 32
  static let slabSize = 16_384
  private static let slotsPerSlab = slabSize / slotSize

  /// 32 bytes that are on loan to one secret.
  @safe struct Slot: @unchecked Sendable {
    let address: UnsafeMutableRawPointer
    fileprivate let number: UInt32
  }

  private var slabs: [UnsafeMutableRawPointer] = unsafe []
  // Last in, first out, so that few pages are in use.
  private var free: [UInt32] = []
  private(set) var usage = SecretSlab.Usage()
  private let locks: Bool

  /// - Parameter locks: `false` behaves as if the system refused to lock anything.
  init(locking locks: Bool = true) {
    Sodium.start()
    self.locks = locks
  }

  deinit {
    for index in unsafe slabs.indices {
      unsafe Sodium.wipe(slabs[index], Self.slabSize)
      unsafe mesh_secret_unmap(slabs[index], Self.slabSize)
    }
  }

  /// A slot of zeros.
  mutating func take() -> Slot {
    if free.isEmpty { grow() }
    let number = free.removeLast()
    usage.secrets += 1
    let (slab, index) = Int(number).quotientAndRemainder(dividingBy: Self.slotsPerSlab)
    return unsafe Slot(address: slabs[slab] + index * Self.slotSize, number: number)
  }

  /// Wipes the slot and takes it back.
  mutating func giveBack(_ slot: Slot) {
    unsafe Sodium.wipe(slot.address, Self.slotSize)
    usage.secrets -= 1
    free.append(slot.number)
  }

  private mutating func grow() {
    guard let slab = unsafe mesh_secret_map(Self.slabSize) else { fatalError("out of memory") }
    unsafe mesh_secret_wipe_on_fork(slab, Self.slabSize, 4096)
    if unsafe !locks || sodium_mlock(slab, Self.slabSize) != 0 { usage.unlocked += Self.slabSize }
    usage.mapped += Self.slabSize
    let first = unsafe slabs.count * Self.slotsPerSlab
    unsafe slabs.append(slab)
    free.reserveCapacity(unsafe slabs.count * Self.slotsPerSlab)
    for number in (first..<first + Self.slotsPerSlab).reversed() { free.append(UInt32(number)) }
  }
}
