import MeshCrypto
import MeshPrimitives
import Testing

@Suite("SHA-256") struct SHA256Tests {
  /// FIPS 180-4 examples (NIST CSRC) and the empty input.
  static let vectors: [(String, String)] = [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ]

  static func hex(_ digest: Digest32) -> String {
    digest.rawBytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  @Test(arguments: vectors) func `it gives the published hashes`(text: String, hash: String) {
    #expect(Self.hex(SHA256.hash(Array(text.utf8).bytes)) == hash)
  }

  @Test func `pieces give the hash of the whole, and asking in between changes nothing`() {
    let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let hash = SHA256()
    for start in stride(from: 0, to: 1000, by: 70) {
      hash.update(Array(bytes[start..<min(1000, start + 70)]).bytes)
      _ = hash.digest()
    }
    #expect(hash.digest() == SHA256.hash(bytes.bytes))
  }
}
