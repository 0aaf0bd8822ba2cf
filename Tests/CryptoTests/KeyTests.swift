import MeshPrimitives
import Testing

@testable import MeshCrypto

private typealias V = WireGuardVectors

/// Points of which every multiple by a clamped scalar is zero: all of order 1, 2, 4 and 8 on the curve and its twist,
/// with and without the bit that RFC 7748 §5 masks, and those not reduced. From https://cr.yp.to/ecdh.html#validate.
enum LowOrderPoints {
  private static let reduced = [
    hex("0000000000000000000000000000000000000000000000000000000000000000"),
    hex("0100000000000000000000000000000000000000000000000000000000000000"),
    hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    hex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    hex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    hex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    hex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
  ]
  static let all = reduced + reduced.map { Array($0[..<31]) + [$0[31] | 0x80] }
}

@Suite("Keys") struct KeyTests {
  static func x25519(_ scalar: [UInt8], _ point: [UInt8]) throws -> [UInt8] {
    try PrivateKey(scalar).sharedSecret(with: publicKey(point)).withBytes { Array(copying: $0) }
  }

  static let rfc7748 = [
    (
      "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
      "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
      "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    ),
    (
      "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
      "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
      "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"
    ),
  ]
  @Test(arguments: rfc7748) func `RFC 7748 section 5.2`(scalar: String, point: String, expected: String) throws {
    #expect(try Self.x25519(hex(scalar), hex(point)) == hex(expected))
  }

  @Test func `RFC 7748 section 5.2, 1,000 iterations`() throws {
    var scalar = [9] + [UInt8](repeating: 0, count: 31), point = scalar
    for iteration in 1...1_000 {
      (scalar, point) = (try Self.x25519(scalar, point), scalar)
      if iteration == 1 {
        #expect(scalar == hex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"))
      }
    }
    #expect(scalar == hex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"))
  }

  @Test func `RFC 7748 section 6.1`() throws {
    let alice = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    let bob = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    let alicePublic = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    let bobPublic = hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    #expect(try PrivateKey(alice).publicKey.rawBytes == alicePublic)
    #expect(try PrivateKey(bob).publicKey.rawBytes == bobPublic)
    let shared = hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    #expect(try Self.x25519(alice, bobPublic) == shared)
    #expect(try Self.x25519(bob, alicePublic) == shared)
  }

  @Test(arguments: V.publicKeys) func `public keys`(privateKey: [UInt8], expected: [UInt8]) throws {
    #expect(try PrivateKey(privateKey).publicKey.rawBytes == expected)
  }

  @Test(arguments: LowOrderPoints.all) func `a point of low order gives no secret`(point: [UInt8]) throws {
    let key = try PrivateKey(V.initiatorStatic)
    #expect(throws: KeyError.lowOrderPoint) { _ = try key.sharedSecret(with: publicKey(point)) }
  }

  @Test func `a key is clamped when it is made, whichever way`() throws {
    let loose = [UInt8](repeating: 0xFF, count: 32)
    var clamped = loose
    clamped[0] = 0xF8
    clamped[31] = 0x7F
    let expected = BaseEncoding.base64.encode(clamped.bytes)
    #expect(try PrivateKey(loose).base64() == expected)
    #expect(try PrivateKey(base64: BaseEncoding.base64.encode(loose.bytes)).base64() == expected)
    var entropy = FixedEntropy(bytes: loose)
    #expect(try PrivateKey(generating: &entropy).base64() == expected)
  }

  @Test func `a copy is the same key and outlives the original`() throws {
    func copy() throws -> PrivateKey { try PrivateKey(V.initiatorStatic).copy() }
    let key = try copy()
    #expect(key.publicKey == V.initiatorPublic)
    #expect(key.base64() == "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHl8=")
  }

  @Test func `keys from the system differ`() throws {
    var entropy: any Entropy = SystemEntropy()
    let first = try PrivateKey(generating: &entropy), second = try PrivateKey(generating: &entropy)
    #expect(first.publicKey != second.publicKey)
    #expect(
      try first.sharedSecret(with: second.publicKey).withBytes { Array(copying: $0) }
        == second.sharedSecret(with: first.publicKey).withBytes { Array(copying: $0) })
  }

  @Test(arguments: [0, 1, 31, 33, 64]) func `any other length is refused`(count: Int) {
    let bytes = [UInt8](repeating: 1, count: count)
    #expect(throws: KeyError.wrongLength(count)) { _ = try PrivateKey(bytes) }
    #expect(throws: KeyError.wrongLength(count)) { _ = try PresharedKey(bytes) }
  }

  static let malformed = [
    "", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=",
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8==", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH h8=",
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8A", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd-h8=",
  ]
  @Test(arguments: malformed) func `text that is not exactly one key is refused`(text: String) {
    #expect(throws: KeyError.malformedText) { _ = try PrivateKey(base64: text) }
    #expect(throws: KeyError.malformedText) { _ = try PresharedKey(base64: text) }
  }

  @Test func `a preshared key from text, its copy, and none`() throws {
    let text = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    #expect(try PresharedKey(base64: text).copy().withBytes { Array(copying: $0) } == [UInt8](0..<32))
    #expect(PresharedKey().copy().withBytes { Array(copying: $0) } == [UInt8](repeating: 0, count: 32))
  }
}

@Suite("Secret slab") struct SecretSlabTests {
  @Test func `a slot is zero when it is handed out and again when its secret has gone`() {
    var pool = SecretPool()
    let slot = pool.take()
    #expect((0..<32).allSatisfy { slot.address.load(fromByteOffset: $0, as: UInt8.self) == 0 })
    slot.address.initializeMemory(as: UInt8.self, repeating: 0xA5, count: 32)
    pool.giveBack(slot)
    #expect((0..<32).allSatisfy { slot.address.load(fromByteOffset: $0, as: UInt8.self) == 0 })
    #expect(pool.take().address == slot.address)
  }

  @Test func `slots do not overlap, and slabs are added as needed and reused`() {
    var pool = SecretPool()
    var slots = (0..<1_100).map { _ in pool.take() }
    #expect(Set(slots.map { Int(bitPattern: $0.address) / 32 }).count == 1_100)
    #expect(slots.allSatisfy { Int(bitPattern: $0.address) % 32 == 0 })
    #expect(pool.usage.secrets == 1_100)
    let mapped = pool.usage.mapped
    #expect(mapped == 3 * SecretPool.slabSize)
    for slot in slots { pool.giveBack(slot) }
    #expect(pool.usage.secrets == 0)
    slots = (0..<1_100).map { _ in pool.take() }
    #expect(pool.usage.mapped == mapped)
  }

  @Test func `memory that the system does not lock is used, and counted`() {
    var pool = SecretPool(locking: false)
    _ = pool.take()
    #expect(pool.usage.unlocked == SecretPool.slabSize)
    #expect(pool.usage.mapped == SecretPool.slabSize)
  }

  @Test func `a secret leaves nothing behind when it goes`() throws {
    let bytes = (0..<32).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
    var address: UnsafeMutableRawPointer?
    do {
      let secret = SecretBytes(copying: bytes.bytes)
      address = secret.address
      #expect(Array(copying: secret.bytes) == bytes)
    }
    // Another test may have the slot by now, but not these bytes in it.
    #expect(Array(UnsafeRawBufferPointer(start: address, count: 32)) != bytes)
  }

  @Test func `secrets may be made on one thread and go on another`() async {
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for round in 0..<500 {
            let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: round), count: 32)
            let secret = SharedSecret(SecretBytes(copying: bytes.bytes))
            let copy = secret.copy()
            await Task.yield()
            #expect(copy.withBytes { Array(copying: $0) } == bytes)
          }
        }
      }
    }
  }
}
