import MeshPrimitives
import Testing

@Suite("Public key") struct PublicKeyTests {
  static let key = try! PublicKey(copying: [UInt8](0..<32).bytes)

  @Test func `every text form reads back as the same key`() {
    for text in [Self.key.description, Self.key.urlDescription, Self.key.hostDescription] {
      #expect(PublicKey(text) == Self.key)
    }
    #expect(PublicKey(Self.key.hostDescription.uppercased()) == Self.key)
  }

  @Test func `base64 is what wg prints`() {
    #expect(Self.key.description == "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
    #expect(Self.key.rawBytes == [UInt8](0..<32))
  }

  static let wrong = [
    "", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=",
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8==", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH h8=",
  ]
  @Test(arguments: wrong) func `text that is not exactly one key is refused`(text: String) {
    // The second of these is valid URL-safe base64: 43 characters, no padding.
    #expect((PublicKey(text) == nil) == (text.utf8.count != 43))
  }

  @Test func `wrong lengths are typed errors`() {
    #expect(throws: DecodeError.truncated(needed: 32, available: 31)) {
      try PublicKey(copying: [UInt8](repeating: 0, count: 31).bytes)
    }
    #expect(throws: DecodeError.trailing(offset: 32)) {
      try PublicKey(copying: [UInt8](repeating: 0, count: 33).bytes)
    }
  }

  @Test func `keys are ordered by their bytes, first byte first`() throws {
    var low = [UInt8](repeating: 0xFF, count: 32)
    low[0] = 1
    var high = [UInt8](repeating: 0, count: 32)
    high[0] = 2
    #expect(try PublicKey(copying: low.bytes) < PublicKey(copying: high.bytes))
  }
}

@Suite("Base encodings (RFC 4648 §10)") struct BaseEncodingTests {
  static let vectors = [
    ("", "", ""), ("f", "Zg==", "my"), ("fo", "Zm8=", "mzxq"), ("foo", "Zm9v", "mzxw6"),
    ("foob", "Zm9vYg==", "mzxw6yq"), ("fooba", "Zm9vYmE=", "mzxw6ytb"), ("foobar", "Zm9vYmFy", "mzxw6ytboi"),
  ]
  @Test(arguments: vectors) func `the published vectors`(plain: String, base64: String, base32: String) {
    let bytes = Array(plain.utf8)
    #expect(BaseEncoding.base64.encode(bytes.bytes) == base64)
    #expect(BaseEncoding.base32.encode(bytes.bytes) == base32)
    #expect(BaseEncoding.base64.decode(base64) == bytes)
    #expect(BaseEncoding.base32.decode(base32) == bytes)
  }

  @Test func `a text that no encoder writes is refused`() {
    #expect(BaseEncoding.base64.decode("Zh==") == nil)  // left-over bits set
    #expect(BaseEncoding.base64URL.decode("Zg==") == nil)
    #expect(BaseEncoding.base64.decode("Z-8=") == nil)
    #expect(BaseEncoding.base32.decode("mz1") == nil)
  }
}
