import MeshPrimitives
import Testing

@testable import MeshCrypto

private typealias V = WireGuardVectors

@Suite("BLAKE2s") struct BLAKE2sTests {
  @Test func `RFC 7693 appendix B`() {
    #expect(
      BLAKE2s.hash(Array("abc".utf8)) == hex("508C5E8C327C14E2E1A72BA34EEB452F37458B209ED63A294D999B4C86675982"))
  }

  @Test func `hashes and MACs equal Python's over many lengths of input and key`() {
    // The pseudorandom inputs of RFC 7693 appendix E.
    func sequence(_ count: Int, seed: UInt32) -> [UInt8] {
      var a = 0xDEAD_4BAD &* seed
      var b: UInt32 = 1
      return (0..<count).map { _ in
        (a, b) = (b, a &+ b)
        return UInt8(b >> 24)
      }
    }
    var all: [UInt8] = []
    for count in [0, 3, 64, 65, 255, 1024] {
      let input = sequence(count, seed: UInt32(count))
      all += BLAKE2s.hash(input)
      for length in [1, 16, 32] { all += BLAKE2s.mac16(sequence(length, seed: UInt32(length)), input) }
    }
    #expect(BLAKE2s.hash(all) == hex(PythonVectors.selfTest))
  }

  @Test func `a hash of two parts is that of their concatenation`() {
    let input = [UInt8](0..<200)
    for cut in [0, 1, 63, 64, 65, 199, 200] {
      let left = Array(input[..<cut]), right = Array(input[cut...])
      #expect(BLAKE2s.hash(left, right) == BLAKE2s.hash(input))
      #expect(BLAKE2s.mac16([1], left, right) == BLAKE2s.mac16([1], input))
      #expect(BLAKE2s.hmac([1], left, right) == BLAKE2s.hmac([1], input))
    }
  }

  @Test(arguments: PythonVectors.hmac) func `HMAC equals Python's`(key: Int, input: Int, expected: String) {
    let key = (0..<key).map { UInt8(truncatingIfNeeded: $0) }
    let input = (0..<input).map { UInt8(truncatingIfNeeded: $0 &+ 7) }
    #expect(BLAKE2s.hmac(key, input) == hex(expected))
  }

  @Test func `the chaining of a handshake, step by step`() throws {
    let c0 = BLAKE2s.hash(Array("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s".utf8))
    #expect(c0 == V.c0)
    let h0 = BLAKE2s.hash(c0, Array("WireGuard v1 zx2c4 Jason@zx2c4.com".utf8))
    #expect(h0 == V.h0)
    #expect(BLAKE2s.hash(h0, V.responderPublic.rawBytes) == V.hashAfterResponder)
    let afterEphemeral = BLAKE2s.kdf(c0, V.publicKeys[2].1).0
    #expect(afterEphemeral == V.chainAfterEphemeral)
    let ephemeral = try PrivateKey(V.initiatorEphemeral)
    let initiator = try PrivateKey(V.initiatorStatic)
    let es = BLAKE2s.kdf(afterEphemeral, try ephemeral.sharedSecret(with: V.responderPublic).array())
    #expect(es.1 == V.staticKey)
    let ss = BLAKE2s.kdf(es.0, try initiator.sharedSecret(with: V.responderPublic).array())
    #expect(ss.0 == V.chainAfterInitiation)
    #expect(ss.1 == V.timestampKey)
    var chain = BLAKE2s.kdf(ss.0, V.publicKeys[3].1).0
    let responderEphemeral = publicKey(V.publicKeys[3].1)
    chain = BLAKE2s.kdf(chain, try ephemeral.sharedSecret(with: responderEphemeral).array()).0
    chain = BLAKE2s.kdf(chain, try initiator.sharedSecret(with: responderEphemeral).array()).0
    let psk = BLAKE2s.kdf(chain, V.presharedKey)
    #expect(psk.0 == V.chainAfterResponse)
    #expect(psk.1 == V.tau)
    #expect(psk.2 == V.responseKey)
    let keys = BLAKE2s.kdf(psk.0, [])
    #expect(keys.0 == V.initiatorSends)
    #expect(keys.1 == V.responderSends)
  }

  @Test func `the values by number are the same`() {
    let key = [UInt8](0..<32), input = [UInt8](5..<90)
    let all = BLAKE2s.kdf(key, input)
    #expect(BLAKE2s.kdf1(key: key.bytes, input: input.bytes).rawBytes == all.0)
    let two = BLAKE2s.kdf2(key: key.bytes, input: input.bytes)
    #expect(two.0.rawBytes == all.0)
    #expect(two.1.rawBytes == all.1)
  }

  @Test func `the MACs of a handshake and the cookie`() {
    let key = BLAKE2s.hash("mac1----", V.responderPublic).rawBytes
    #expect(key == V.responderMAC1Key)
    #expect(BLAKE2s.mac16(key, Array(V.initiation[..<116])) == Array(V.initiation[116..<132]))
    let back = BLAKE2s.hash("mac1----", V.initiatorPublic).rawBytes
    #expect(BLAKE2s.mac16(back, Array(V.response[..<60])) == Array(V.response[60..<76]))
    #expect(BLAKE2s.mac16(V.cookieSecret, V.cookieSource) == V.cookie)
    #expect(BLAKE2s.mac16(V.cookie, Array(V.initiation[..<132])) == V.mac2)
  }

  @Test(arguments: V.meshAddresses) func `mesh addresses`(key: PublicKey, expected: String) {
    #expect(key.meshAddress.description == expected)
  }

  @Test func `a tag and a digest match their own bytes only`() throws {
    let reply = V.cookieReply
    var reader = ByteReader(reply.bytes)
    let tag = try Tag16(parsing: &reader)
    let bytes = tag.rawBytes
    #expect(bytes == Array(V.cookieReply[..<16]))
    #expect(tag.matches(bytes.bytes) == true)
    #expect(tag.matches(bytes.bytes.extracting(first: 15)) == false)
    #expect(tag != .zero)
    #expect(Array(capacity: 16) { tag.write(to: &$0) } == bytes)
  }
}

private let sunscreen = Array(
  "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
    .utf8)

@Suite("XChaCha20-Poly1305") struct XChaChaTests {
  static let reply = AEAD(
    key: V.cookieKey, nonce: Array(V.cookieReply[8..<32]), additional: Array(V.initiation[116..<132]))
  static let sealed = Array(V.cookieReply[32...])

  @Test func `a cookie reply opens and seals`() throws {
    #expect(BLAKE2s.hash("cookie--", V.responderPublic).rawBytes == V.cookieKey)
    #expect(try Self.reply.open(Self.sealed) == V.cookie)
    #expect(Self.reply.seal(V.cookie) == Self.sealed)
  }

  @Test func `every flipped bit, every shorter text and other additional data is refused`() {
    for bit in 0..<Self.sealed.count * 8 {
      var forged = Self.sealed
      forged[bit / 8] ^= 1 << (bit % 8)
      #expect(throws: CryptoError.forged) { try Self.reply.open(forged) }
    }
    for count in 0..<Self.sealed.count {
      #expect(throws: CryptoError.forged) { try Self.reply.open(Array(Self.sealed[..<count])) }
    }
    var other = Self.reply
    other.additional.removeLast()
    #expect(throws: CryptoError.forged) { try other.open(Self.sealed) }
    other.additional = []
    #expect(throws: CryptoError.forged) { try other.open(Self.sealed) }
  }

  @Test func `a message of no bytes`() throws {
    let aead = AEAD(key: V.cookieKey, nonce: [UInt8](repeating: 1, count: 24))
    let sealed = aead.seal([])
    #expect(sealed.count == 16)
    #expect(try aead.open(sealed) == [])
  }

  @Test func `draft-irtf-cfrg-xchacha A.3.1`() {
    let aead = AEAD(
      key: [UInt8](0x80...0x9F), nonce: [UInt8](0x40...0x57), additional: hex("50515253c0c1c2c3c4c5c6c7"))
    let sealed = aead.seal(sunscreen)
    #expect(sealed.starts(with: hex("bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb")))
    #expect(Array(sealed.suffix(16)) == hex("c0875924c1c7987947deafd8780acf49"))
  }
}

@Suite("ChaCha20-Poly1305 (RFC 8439)") struct ChaChaTests {
  @Test func `section 2.8.2`() throws {
    let aead = AEAD(
      key: [UInt8](0x80...0x9F), nonce: hex("070000004041424344454647"), additional: hex("50515253c0c1c2c3c4c5c6c7"))
    let sealed = hex(
      """
      d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b29
      05d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b
      61161ae10b594f09e26a7e902ecbd0600691
      """)
    #expect(aead.seal(sunscreen) == sealed)
    #expect(try aead.open(sealed) == sunscreen)
  }

  @Test func `appendix A.5`() throws {
    let sealed = hex(
      """
      64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100
      d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c8559797a06ef4f0ef61c186324e2b350638
      3606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523eaf4534d7f83fa115
      5b0047718cbc546a0d072b04b3564eea1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10
      49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709b eead9d67890cbb22392336fea1851f38
      """)
    let aead = AEAD(
      key: hex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0"),
      nonce: hex("000000000102030405060708"), additional: hex("f33388860000000000004e91"))
    let opened = try aead.open(sealed)
    #expect(opened.count == 265)
    #expect(opened.starts(with: Array("Internet-Drafts are draft documents valid for a maximum of six months".utf8)))
  }
}

@Suite("Constant-time comparison") struct ConstantTimeTests {
  @Test func `equal, different in any one bit, different in length`() {
    let bytes = [UInt8](0..<32)
    #expect(constantTimeEqual(bytes.bytes, bytes.bytes) == true)
    #expect(constantTimeEqual(RawSpan(), RawSpan()) == true)
    #expect(constantTimeEqual(bytes.bytes, bytes.bytes.extracting(first: 31)) == false)
    for bit in 0..<256 {
      var other = bytes
      other[bit / 8] ^= 1 << (bit % 8)
      #expect(constantTimeEqual(bytes.bytes, other.bytes) == false)
    }
  }
}

@Suite("TAI64N") struct TAI64NTests {
  @Test func `the bytes of a time`() throws {
    let time = TAI64N(secondsSince1970: V.seconds, nanoseconds: V.nanoseconds | 0xABCDEF)
    #expect(Array(capacity: 12) { time.write(to: &$0) } == V.timestamp)
    let bytes = V.timestamp
    var reader = ByteReader(bytes.bytes)
    #expect(try TAI64N(parsing: &reader) == time)
    var short = ByteReader(bytes.bytes.extracting(first: 11))
    #expect(throws: DecodeError.truncated(needed: 12, available: 11)) { try TAI64N(parsing: &short) }
  }

  @Test func `times are ordered as their bytes are`() {
    let times = [
      .zero, TAI64N(secondsSince1970: -1, nanoseconds: 999_999_999), TAI64N(secondsSince1970: 0, nanoseconds: 0),
      TAI64N(secondsSince1970: 0, nanoseconds: 1 << 24), TAI64N(secondsSince1970: 1, nanoseconds: 0),
      TAI64N(secondsSince1970: 1 << 40, nanoseconds: 0),
    ]
    for (earlier, later) in zip(times, times.dropFirst()) {
      #expect(earlier < later)
      let bytes = [earlier, later].map { time in Array(capacity: 12) { time.write(to: &$0) } }
      #expect(bytes[0].lexicographicallyPrecedes(bytes[1]))
    }
    #expect(TAI64N(secondsSince1970: 5, nanoseconds: 1) == TAI64N(secondsSince1970: 5, nanoseconds: 0xFF_FFFF))
  }

  @Test func `its text is the external form of TAI64N, and is read back`() {
    let time = TAI64N(secondsSince1970: 0, nanoseconds: 0x0100_0000)
    #expect(time.description == "@400000000000000a01000000")
    for time in [time, .zero, TAI64N(secondsSince1970: 1 << 40, nanoseconds: 999_999_999)] {
      #expect(TAI64N(time.description) == time)
    }
  }

  @Test(arguments: [
    "", "@", "400000000000000a01000000", "@400000000000000a0100000", "@400000000000000a010000000",
    "@+00000000000000a01000000", "@400000000000000a+1000000", "@400000000000000g01000000", "@400000000000000a3b9aca00",
  ]) func `a text that is no time is refused`(text: String) {
    #expect(TAI64N(text) == nil)
  }
}
