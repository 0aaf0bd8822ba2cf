internal import MeshPrimitives

/// 32 secret bytes in a slot of the slab: noncopyable, wiped when they go.
@safe struct SecretBytes: ~Copyable, @unchecked Sendable {
  static let count = SecretPool.slotSize
  private let slot: SecretPool.Slot

  /// Zeros, to be written by way of `address`.
  init() { slot = SecretSlab.pool.withLock { $0.take() } }

  /// - Precondition: `bytes` holds 32 bytes.
  init(copying bytes: RawSpan) {
    precondition(bytes.byteCount == Self.count, "a secret has 32 bytes")
    self.init()
    unsafe bytes.withUnsafeBytes { unsafe address.copyMemory(from: $0.baseAddress!, byteCount: Self.count) }
  }

  init(generating entropy: inout some Entropy) {
    self.init()
    var bytes = unsafe MutableRawSpan(
      _unsafeBytes: UnsafeMutableRawBufferPointer(start: address, count: Self.count))
    entropy.fill(&bytes)
  }

  deinit {
    let slot = slot
    SecretSlab.pool.withLock { $0.giveBack(slot) }
  }

  /// Valid for as long as this value lives.
  var address: UnsafeMutableRawPointer { unsafe slot.address }

  var octets: UnsafeMutablePointer<UInt8> { unsafe address.assumingMemoryBound(to: UInt8.self) }

  var bytes: RawSpan {
    @_lifetime(borrow self) get {
      let buffer = unsafe UnsafeRawBufferPointer(start: address, count: Self.count)
      return unsafe _overrideLifetime(RawSpan(_unsafeBytes: buffer), borrowing: self)
    }
  }

  func copy() -> SecretBytes { SecretBytes(copying: bytes) }
}
