import MeshPrimitives
import Testing

@testable import MeshCrypto

/// A pair of keys for one direction, by one backend, used by arrays.
struct Channel: ~Copyable {
  var sealing: SealingKey
  let opening: OpeningKey

  init(_ backend: CipherBackend?, key: [UInt8] = [UInt8](0..<32), counter: UInt64 = 0) {
    let provider = CipherProvider(preferring: backend)
    sealing = SealingKey(
      CipherKey(SecretBytes(copying: key.bytes), provider, sealing: true), counter: counter)
    opening = OpeningKey(CipherKey(SecretBytes(copying: key.bytes), provider, sealing: false))
  }

  mutating func seal(_ plaintext: [UInt8]) throws(CryptoError) -> [UInt8] {
    var buffer = plaintext + [UInt8](repeating: 0xEE, count: 16)
    var span = buffer.mutableBytes
    _ = try sealing.seal(&span)
    return buffer
  }

  /// Overwrites `buffer` with what is left in it.
  func open(_ buffer: inout [UInt8], counter: UInt64) throws(CryptoError) {
    var span = buffer.mutableBytes
    try opening.open(&span, counter: counter)
  }
}

@Suite("Sealing and opening, each backend by name") struct TransportTests {
  static func text(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 131 &+ 17) } }

  /// Also fails when a backend that this machine has would be skipped by what runs over `available`.
  @Test(arguments: CipherBackend.allCases) func `a backend that is present is tested`(backend: CipherBackend) {
    let isPresent = backend != .ipsecMB || PresentBackends.hasIPsecMB
    #expect(CipherProvider.available.contains(backend) == isPresent)
    let table = CipherProvider(preferring: backend).table
    if isPresent { #expect(table.allSatisfy { $0.backend == backend }) }
  }

  @Test(arguments: CipherProvider.available)
  func `all lengths give the reference's bytes and open again`(backend: CipherBackend) throws {
    // The reference is libsodium's one-shot call, which the RFC's vectors hold.
    var channel = Channel(backend, counter: 1 << 33)
    for (index, count) in (Array(0...300) + [576, 1_023, 1_024, 1_400, 4_096, 4_097, 16_384]).enumerated() {
      let counter = (1 << 33) + UInt64(index)
      let plain = Self.text(count)
      var sealed = try channel.seal(plain)
      let nonce = [0, 0, 0, 0] + (0..<8).map { UInt8(truncatingIfNeeded: counter >> (8 * $0)) }
      #expect(sealed == AEAD(key: [UInt8](0..<32), nonce: nonce).seal(plain), "\(count) bytes")
      try channel.open(&sealed, counter: counter)
      #expect(Array(sealed[..<count]) == plain, "\(count) bytes")
    }
  }

  @Test(arguments: CipherProvider.available, [0, 1, 33, 64, 200])
  func `every flipped bit is refused and leaves nothing`(backend: CipherBackend, count: Int) throws {
    var channel = Channel(backend)
    let sealed = try channel.seal(Self.text(count))
    for bit in 0..<sealed.count * 8 {
      var forged = sealed
      forged[bit / 8] ^= 1 << (bit % 8)
      #expect(throws: CryptoError.forged) { try channel.open(&forged, counter: 0) }
      #expect(forged[..<count].allSatisfy { $0 == 0 })
    }
    // A backend that remembers a failure would refuse this.
    var whole = sealed
    try channel.open(&whole, counter: 0)
    #expect(Array(whole[..<count]) == Self.text(count))
  }

  @Test(arguments: CipherProvider.available) func `forged tags on packets of every class are refused`(
    backend: CipherBackend
  ) throws {
    var channel = Channel(backend)
    for (counter, count) in [64, 256, 576, 1_400, 4_097, 16_384].enumerated() {
      let sealed = try channel.seal(Self.text(count))
      for offset in [0, count / 2, count - 1, count, count + 8, count + 15] {
        var forged = sealed
        forged[offset] ^= 0x40
        #expect(throws: CryptoError.forged) { try channel.open(&forged, counter: UInt64(counter)) }
        #expect(forged[..<count].allSatisfy { $0 == 0 })
      }
      var random = [UInt8](repeating: 0x5A, count: count + 16)
      #expect(throws: CryptoError.forged) { try channel.open(&random, counter: UInt64(counter)) }
    }
  }

  @Test(arguments: CipherProvider.available) func `truncated packets are refused`(backend: CipherBackend) throws {
    var channel = Channel(backend)
    let sealed = try channel.seal(Self.text(40))
    for count in 0..<sealed.count {
      var cut = Array(sealed[..<count])
      #expect(throws: CryptoError.forged) { try channel.open(&cut, counter: 0) }
    }
  }

  @Test(arguments: CipherProvider.available) func `another counter or key is refused`(backend: CipherBackend) throws {
    var channel = Channel(backend)
    let other = Channel(backend, key: [UInt8](1...32))
    let sealed = try channel.seal(Self.text(40))
    for counter in [1, 1 << 32, 1 << 56] as [UInt64] {
      var copy = sealed
      #expect(throws: CryptoError.forged) { try channel.open(&copy, counter: counter) }
    }
    var copy = sealed
    #expect(throws: CryptoError.forged) { try other.open(&copy, counter: 0) }
  }

  @Test(arguments: CipherProvider.available) func `the last counter is 2^64 - 2^13 - 2`(backend: CipherBackend) throws {
    let limit: UInt64 = .max - 8_192
    var channel = Channel(backend, counter: limit - 1)
    var last = try channel.seal([1, 2, 3])
    try channel.open(&last, counter: limit - 1)
    var buffer = Self.text(20)
    for _ in 0..<2 {
      var span = buffer.mutableBytes
      #expect(throws: CryptoError.counterExhausted) { _ = try channel.sealing.seal(&span) }
      #expect(channel.sealing.counter == limit)
    }
    #expect(buffer == Self.text(20))
    #expect(throws: CryptoError.counterExhausted) { try channel.open(&last, counter: limit) }
    #expect(throws: CryptoError.counterExhausted) { try channel.open(&last, counter: .max) }
  }

  @Test(arguments: CipherProvider.available)
  func `threads that share a provider get the same bytes`(backend: CipherBackend) async throws {
    let provider = CipherProvider(preferring: backend)
    let expected = AEAD(key: [UInt8](0..<32), nonce: [UInt8](repeating: 0, count: 12)).seal(Self.text(300))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for _ in 0..<300 {
            let bytes = [UInt8](0..<32)
            var sealing = SealingKey(CipherKey(SecretBytes(copying: bytes.bytes), provider, sealing: true))
            var buffer = Self.text(300) + [UInt8](repeating: 0, count: 16)
            var span = buffer.mutableBytes
            _ = try sealing.seal(&span)
            #expect(buffer == expected)
          }
        }
      }
      try await group.waitForAll()
    }
  }

  @Test func `the table is ascending, ends at all lengths, and names what is available`() throws {
    let table = CipherProvider().table
    #expect(table.last?.upTo == .max)
    for (row, next) in zip(table, table.dropFirst()) { #expect(row.upTo < next.upTo) }
    #expect(table.allSatisfy { CipherProvider.available.contains($0.backend) })
    // What the table of one says is the table of all: measured once.
    #expect(CipherProvider().table == table)
    var channel = Channel(nil)
    for (counter, count) in [0, 128, 129, 384, 385, 896, 897, 4_096, 4_097].enumerated() {
      var sealed = try channel.seal(Self.text(count))
      try channel.open(&sealed, counter: UInt64(counter))
      #expect(Array(sealed[..<count]) == Self.text(count))
    }
  }
}
