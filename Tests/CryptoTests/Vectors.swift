import MeshPrimitives

@testable import MeshCrypto

/// The bytes that hexadecimal digits stand for; white space is skipped.
func hex(_ text: String) -> [UInt8] {
  let digits = text.compactMap { $0.hexDigitValue.map(UInt8.init) }
  return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

func publicKey(_ bytes: [UInt8]) -> PublicKey { try! PublicKey(copying: bytes.bytes) }

/// Gives out bytes that were written down before.
struct FixedEntropy: Entropy {
  var bytes: [UInt8]

  mutating func fill(_ target: inout MutableRawSpan) {
    let count = target.byteCount
    target.copy(bytes.bytes.extracting(first: count), at: 0)
    bytes.removeFirst(count)
  }
}

/// A whole WireGuard handshake and what comes with it, computed with an implementation independent of this one that
/// agrees byte for byte with the PyPI package `noiseprotocol` and completes handshakes with wireguard-go 0.0.20220316.
enum WireGuardVectors {
  static let initiatorStatic = hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e5f")
  static let responderStatic = hex("202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e7f")
  static let initiatorEphemeral = hex("404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f")
  static let responderEphemeral = hex("606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f")
  static let presharedKey = hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f")
  static let publicKeys = [
    (initiatorStatic, hex("8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f")),
    (responderStatic, hex("358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254")),
    (initiatorEphemeral, hex("79a631eede1bf9c98f12032cdeadd0e7a079398fc786b88cc846ec89af85a51a")),
    (responderEphemeral, hex("675dd574ed7789310b3d2e7681f3790b466c773b1521fecf36577958371ea52f")),
  ]
  static let initiatorPublic = publicKey(publicKeys[0].1)
  static let responderPublic = publicKey(publicKeys[1].1)
  static let seconds: Int64 = 1_700_000_000
  static let nanoseconds: UInt32 = 0x1e00_0000
  static let timestamp = hex("400000006553f10a1e000000")

  static let c0 = hex("60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36")
  static let h0 = hex("2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3")
  static let hashAfterResponder = hex("c017c50fad770642d47d601a25189f8194b3f8c0e0c71d608a2df62eb445baeb")
  static let chainAfterEphemeral = hex("ab81178fe02a10a25498ac598b593536248b787bd1fff926bd98b79de8dbe989")
  static let staticKey = hex("b2b97589c430dbb6c6c3ad962b1e2b12c03299bc287e8f1430190a64b137ea4e")
  static let timestampKey = hex("0c64dd0103cd0068a745c75aad58a1fa30c3142461c65e64f8b3cf81e1b7095e")
  static let chainAfterInitiation = hex("5b3722a25c7c69706cfbbef606c70681a400fd1b6dab82533b1266606d6ede42")
  static let hashAfterInitiation = hex("edfbb7bb16e4d906b8a7d1428d220a305329198e5e4950834045d0a599730bb1")
  static let responderMAC1Key = hex("027b1cb8c420c32c942bea8ddb43ca7d20779ec4bd55578bfa5c3d7936c91d2f")
  static let initiation = hex(
    """
    010000004433221179a631eede1bf9c98f12032cdeadd0e7a079398fc786b88cc846ec89af85a51af0225eb421886af8f54fb31289d49dcd82
    b0f6f3279d40d7cff913fece0c64ad226eef3320755b393b72f16842c8d7ee78a74e937e3f2a8291f4ecc104a5b66daebd03498e0b8cafcba5
    c038c01f79483ed68dd82959b84444ea937300000000000000000000000000000000
    """)
  static let tau = hex("66935ec1332ce1436e479b5b258e9a8bcbebe8fc3f2415a00028aa19a75ec5c0")
  static let responseKey = hex("e0c7ed72614bf05b1ec5414ef82489bbee25c13c4628da3633b3bfb61d9238d1")
  static let chainAfterResponse = hex("31f8d19c2fc0571784aa27e8029c387d5656419453d8e82ae66031aa1b197836")
  static let hashAfterResponse = hex("80e8f397b1c5e5de9e3cc05ea32706f42bb0eb5b4ac0df2cdb20615a48aa79e8")
  static let response = hex(
    """
    02000000d4c3b2a144332211675dd574ed7789310b3d2e7681f3790b466c773b1521fecf36577958371ea52fecb98160d2b84d1880fdca21df
    b0a6a811f1b4ef68dfa2925c64dc549feae42100000000000000000000000000000000
    """)
  static let initiatorSends = hex("f26d13be8f8fe7fe36805b47503285e73bcb2fc6fe3ef37834e5f6128ad8cf50")
  static let responderSends = hex("083bdab92ffb8da7ab5063bb2d96de2b7e09008d8e07bcf96ac25c340a778665")
  static let initiatorKeepalive = hex("04000000d4c3b2a10000000000000000c05b5687dc9e973b4033587e96b81434")
  static let data = hex(
    """
    04000000d4c3b2a101000000000000008f01b16af58ba0d88b286ecf58bbde326046155da5a8d13a44063606f9164ff2e874069e02155eb99e
    0571721d28d202
    """)
  static let dataPlaintext = Array("0123456789abcdefX".utf8) + [UInt8](repeating: 0, count: 15)
  static let responderKeepalive = hex("04000000443322110000000000000000d5c9afb37f7012a8f1488fcc6f8d3bfa")

  static let cookieSecret = [UInt8](0xC0...0xDF)
  static let cookieSource = [192, 0, 2, 1] + [UInt8(51820 >> 8), UInt8(51820 & 0xFF)]
  static let cookie = hex("e45f9a32c99b136a154f863485799da7")
  static let cookieKey = hex("e0153755cb4ee60ed472fa40fa20e1220446cc458fce98536ef506f2786eefc2")
  static let cookieReply = hex(
    """
    0300000044332211e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f787162f32802a08c9125251af4cf0060127eca70fb594e9629c
    ec309bf98a984b
    """)
  static let mac2 = hex("3b029a8f4f3b430e69111d6d5d4dac90")
  static let meshAddresses = [
    (initiatorPublic, "339e4296957e875699ba"), (responderPublic, "bb8094e6331cc0d009e8"),
  ]
}

// Arrays in place of spans: a span of a static property or of a temporary value does not live through a macro.

extension PrivateKey {
  init(_ bytes: [UInt8]) throws(KeyError) { try self.init(copying: bytes.bytes) }
}

extension PresharedKey {
  init(_ bytes: [UInt8]) throws(KeyError) { try self.init(copying: bytes.bytes) }
}

extension SharedSecret {
  consuming func array() -> [UInt8] { withBytes { Array(copying: $0) } }
}

extension NoiseResponder {
  init(_ message: [UInt8], _ key: borrowing PrivateKey) throws(CryptoError) {
    try self.init(reading: message.bytes, localStatic: key)
  }
}

extension NoiseInitiator {
  func read(
    _ response: [UInt8], _ key: borrowing PrivateKey, _ presharedKey: borrowing PresharedKey,
    _ provider: CipherProvider
  ) throws(CryptoError) -> TransportKeys {
    try read(response: response.bytes, localStatic: key, presharedKey: presharedKey, provider: provider)
  }
}

extension BLAKE2s {
  static func hash(_ first: [UInt8], _ second: [UInt8] = []) -> [UInt8] { hash(first.bytes, second.bytes).rawBytes }

  static func mac16(_ key: [UInt8], _ first: [UInt8], _ second: [UInt8] = []) -> [UInt8] {
    mac16(key: key.bytes, first.bytes, second.bytes).rawBytes
  }

  static func hmac(_ key: [UInt8], _ first: [UInt8], _ second: [UInt8] = []) -> [UInt8] {
    hmac(key: key.bytes, first.bytes, second.bytes).rawBytes
  }

  static func kdf(_ key: [UInt8], _ input: [UInt8]) -> ([UInt8], [UInt8], [UInt8]) {
    let values = kdf3(key: key.bytes, input: input.bytes)
    return (values.0.rawBytes, values.1.rawBytes, values.2.rawBytes)
  }
}

/// An AEAD by arrays.
struct AEAD {
  var key, nonce: [UInt8]
  var additional: [UInt8] = []

  func seal(_ plaintext: [UInt8]) -> [UInt8] {
    Array(capacity: plaintext.count + 16) {
      if nonce.count == 24 {
        XChaCha20Poly1305.seal(
          key: key.bytes, nonce: nonce.bytes, plaintext: plaintext.bytes, authenticating: additional.bytes, into: &$0)
      } else {
        ChaCha20Poly1305.seal(
          key: key.bytes, nonce: nonce.bytes, plaintext: plaintext.bytes, authenticating: additional.bytes, into: &$0)
      }
    }
  }

  func open(_ ciphertext: [UInt8]) throws(CryptoError) -> [UInt8] {
    try Array(capacity: max(0, ciphertext.count - 16)) { output throws(CryptoError) in
      defer { if output.byteCount > 0 { precondition(output.byteCount == ciphertext.count - 16) } }
      if nonce.count == 24 {
        try XChaCha20Poly1305.open(
          key: key.bytes, nonce: nonce.bytes, ciphertext: ciphertext.bytes, authenticating: additional.bytes,
          into: &output)
      } else {
        try ChaCha20Poly1305.open(
          key: key.bytes, nonce: nonce.bytes, ciphertext: ciphertext.bytes, authenticating: additional.bytes,
          into: &output)
      }
    }
  }
}
