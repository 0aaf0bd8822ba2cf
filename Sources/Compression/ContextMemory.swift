/// Memory of fixed size that a context of libzstd lives in: the context can neither grow nor allocate.
@safe struct ContextMemory: ~Copyable {
  let address: UnsafeMutableRawPointer
  let count: Int

  /// `count` bytes, not zeroed.
  init(_ count: Int) {
    self.count = (count + 63) & ~63
    unsafe address = .allocate(byteCount: self.count, alignment: 64)
  }

  deinit { unsafe address.deallocate() }
}
