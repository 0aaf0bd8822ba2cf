import MeshPrimitives
import MeshRouting
import Testing

@Suite("IP prefix") struct IPPrefixTests {
  static let texts: [(String, String)] = [
    ("10.0.0.0/8", "10.0.0.0/8"), ("10.1.2.3/8", "10.0.0.0/8"), ("192.0.2.1", "192.0.2.1/32"),
    ("1.2.3.4/0", "0.0.0.0/0"), ("255.255.255.255/31", "255.255.255.254/31"), ("fd00::1", "fd00::1/128"),
    ("2001:db8:ffff::1/33", "2001:db8:8000::/33"), ("::1/0", "::/0"), ("ffff::ffff/64", "ffff::/64"),
    ("::ffff:ffff:ffff:ffff/65", "::8000:0:0:0/65"), ("::ff/127", "::fe/127"),
  ]
  @Test(arguments: texts) func `a prefix is read and its other bits masked off`(text: String, printed: String) {
    let prefix = IPPrefix(text)
    #expect(prefix?.description == printed)
    #expect(IPPrefix(printed) == prefix)
  }

  @Test(arguments: [
    "", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/8/8", "10.0.0/8",
    "::/129", "::/999", "::/0128", "::/ 8", "10.0.0.0/8 ", " 10.0.0.0/8", "host/8", "10.0.0.0/8a",
    "10.0.0.0/99999999999",
    "10.0.0.0/٨",
  ])
  func `what is not a prefix is refused`(text: String) {
    #expect(IPPrefix(text) == nil)
  }

  @Test func `a prefix contains its own addresses and no others`() {
    let prefix = IPPrefix("10.128.0.0/9")!
    #expect(prefix.contains(IPAddress("10.255.255.255")!) && prefix.contains(IPAddress("10.128.0.0")!))
    #expect(!prefix.contains(IPAddress("10.127.255.255")!) && !prefix.contains(IPAddress("11.128.0.0")!))
    #expect(!prefix.contains(IPAddress("::ffff:10.128.0.1")!))
    #expect(IPPrefix("::/0")!.contains(IPAddress("ffff::")!) && !IPPrefix("::/0")!.contains(IPAddress("1.2.3.4")!))
    #expect(IPPrefix("fd00::/127")!.contains(IPAddress("fd00::1")!))
    #expect(!IPPrefix("fd00::/127")!.contains(IPAddress("fd00::2")!))
  }

  @Test func `no prefix has more bits than its address`() {
    #expect(IPPrefix(IPAddress("10.0.0.0")!, length: 33) == nil)
    #expect(IPPrefix(IPAddress("10.0.0.0")!, length: -1) == nil)
    #expect(IPPrefix(IPAddress("::")!, length: 128) != nil)
    #expect(IPPrefix(IPAddress("::")!, length: 129) == nil)
  }
}

@Suite("Derived address") struct DerivedAddressTests {
  static let hash = (0x11...0x30).map { UInt8($0) }

  @Test func `it is fd and the first 15 bytes of the hash`() {
    let address = IPAddress(derivedFromAddressHash: Self.hash.bytes)
    #expect(address == IPAddress("fd11:1213:1415:1617:1819:1a1b:1c1d:1e1f"))
    #expect(address.isInDerivedRange)
    #expect(address.derivedMeshAddress?.description == "1112131415161718191a")
  }

  static func belongs(_ address: IPAddress, to hash: [UInt8]) -> Bool { address.isDerived(fromAddressHash: hash.bytes) }

  @Test func `it belongs to the hash it was made of and to no other`() {
    let address = IPAddress(derivedFromAddressHash: Self.hash.bytes)
    #expect(Self.belongs(address, to: Self.hash))
    for index in 0..<15 {
      var other = Self.hash
      other[index] ^= 1
      #expect(!Self.belongs(address, to: other))
    }
  }

  @Test func `an address outside of fd00::/8 is nobody's derived one`() {
    #expect(!IPAddress("fc00::1")!.isInDerivedRange && !IPAddress("253.0.0.1")!.isInDerivedRange)
    #expect(IPAddress("fe80::1")!.derivedMeshAddress == nil)
  }
}
