internal import CMeshLibcrypto
internal import MeshPrimitives

/// A hashing context, made once for several hashes in a row: a handshake step takes a dozen or two.
@safe struct BLAKE2sContext: ~Copyable {
  private let context: OpaquePointer

  init() {
    guard let context = unsafe EVP_MD_CTX_new() else { fatalError("out of memory") }
    unsafe self.context = context
    check(unsafe EVP_DigestInit_ex2(context, Algorithms.hash, nil))
  }

  // Wipes first.
  deinit { unsafe EVP_MD_CTX_free(context) }

  func hash(_ first: RawSpan, _ second: RawSpan) -> Digest32 {
    Digest32 { output in
      unsafe output.withUnsafeMutableBytes { target, count in
        start()
        update(first)
        update(second)
        unsafe finish(to: target.baseAddress!)
        count = 32
      }
    }
  }

  /// HMAC of two parts. `result` takes 32 bytes and may lie where `key` does.
  func hmac(key: RawSpan, _ first: RawSpan, _ second: RawSpan, to result: UnsafeMutableRawPointer) {
    unsafe withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { block in
      let block = block.baseAddress!
      unsafe block.initializeMemory(as: UInt8.self, repeating: 0, count: 64)
      if key.byteCount > 64 {
        start()
        update(key)
        unsafe finish(to: block)
      } else {
        unsafe key.withUnsafeBytes { source in
          guard let from = source.baseAddress else { return }
          unsafe block.copyMemory(from: from, byteCount: source.count)
        }
      }
      unsafe Self.flip(block, 0x36)
      start()
      unsafe update(block, 64)
      update(first)
      update(second)
      unsafe finish(to: result)
      unsafe Self.flip(block, 0x36 ^ 0x5C)
      start()
      unsafe update(block, 64)
      unsafe update(result, 32)
      unsafe finish(to: result)
      unsafe Sodium.wipe(block, 64)
    }
  }

  /// One value derived from `input` under `key`, written over `first`, which may be where `key` lies.
  func derive(key: RawSpan, input: RawSpan, _ first: borrowing SecretBytes) {
    let extracted = SecretBytes()
    unsafe hmac(key: key, input, RawSpan(), to: extracted.address)
    expand(extracted, nil, 1, to: first)
  }

  /// Two values.
  func derive(key: RawSpan, input: RawSpan, _ first: borrowing SecretBytes, _ second: borrowing SecretBytes) {
    let extracted = SecretBytes()
    unsafe hmac(key: key, input, RawSpan(), to: extracted.address)
    expand(extracted, nil, 1, to: first)
    expand(extracted, first.bytes, 2, to: second)
  }

  /// Three values.
  func derive(
    key: RawSpan, input: RawSpan, _ first: borrowing SecretBytes, _ second: borrowing SecretBytes,
    _ third: borrowing SecretBytes
  ) {
    let extracted = SecretBytes()
    unsafe hmac(key: key, input, RawSpan(), to: extracted.address)
    expand(extracted, nil, 1, to: first)
    expand(extracted, first.bytes, 2, to: second)
    expand(extracted, second.bytes, 3, to: third)
  }

  private func expand(
    _ key: borrowing SecretBytes, _ previous: RawSpan?, _ number: UInt8, to result: borrowing SecretBytes
  ) {
    unsafe withUnsafeBytes(of: number) { suffix in
      let suffix = unsafe RawSpan(_unsafeBytes: suffix)
      if let previous {
        unsafe hmac(key: key.bytes, previous, suffix, to: result.address)
      } else {
        unsafe hmac(key: key.bytes, suffix, RawSpan(), to: result.address)
      }
    }
  }

  private func start() { check(unsafe EVP_DigestInit_ex2(context, nil, nil)) }

  private func update(_ bytes: RawSpan) {
    unsafe bytes.withUnsafeBytes { source in
      guard let address = source.baseAddress else { return }
      unsafe update(address, source.count)
    }
  }

  private func update(_ address: UnsafeRawPointer, _ count: Int) {
    check(unsafe EVP_DigestUpdate(context, address, count))
  }

  private func finish(to result: UnsafeMutableRawPointer) {
    check(unsafe EVP_DigestFinal_ex(context, result.assumingMemoryBound(to: UInt8.self), nil))
  }

  private func check(_ good: Int32) { precondition(good == 1, "libcrypto must be able to compute BLAKE2s") }

  private static func flip(_ block: UnsafeMutableRawPointer, _ mask: UInt8) {
    let words = unsafe block.assumingMemoryBound(to: UInt64.self)
    for index in 0..<8 { unsafe words[index] ^= UInt64(mask) &* 0x0101_0101_0101_0101 }
  }
}
