import MeshPrimitives
import Testing

@Suite("Addresses") struct AddressTests {
  @Test(arguments: ["192.0.2.1:51820", "[2001:db8::1]:1", "0.0.0.0:0", "[::]:65535", "[::ffff:192.0.2.1]:9"])
  func `a socket address reads back as it was printed`(text: String) {
    #expect(SocketAddress(text)?.description == text)
  }

  @Test(arguments: [
    "", ":", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3:5", "2001:db8::1:5", "[1.2.3.4]:5", "[::1]5",
    "[::1:5", "host:5", "1.2.3.4:-1", "1.2.3.4\0:5",
  ])
  func `what is not a socket address is refused`(text: String) {
    #expect(SocketAddress(text) == nil)
  }

  @Test func `an IPv4-mapped address unmaps to IPv4`() {
    #expect(IPAddress("::ffff:192.0.2.1")?.unmapped == IPAddress(v4: 0xC000_0201))
    #expect(IPAddress("::fffe:192.0.2.1")?.unmapped == IPAddress("::fffe:192.0.2.1"))
  }

  @Test func `kinds of address`() {
    #expect(IPAddress("127.8.9.1")!.isLoopback && IPAddress("::1")!.isLoopback)
    #expect(!IPAddress("::2")!.isLoopback && !IPAddress("128.0.0.1")!.isLoopback)
    #expect(IPAddress("239.1.1.1")!.isMulticast && IPAddress("ff02::1")!.isMulticast)
    #expect(IPAddress("0.0.0.0")!.isUnspecified && IPAddress("::")!.isUnspecified)
  }

  @Test func `a mesh address prints as hexadecimal`() throws {
    let bytes: [UInt8] = [0x33, 0x9e, 0x42, 0x96, 0x95, 0x7e, 0x87, 0x56, 0x99, 0xba]
    var reader = ByteReader(bytes.bytes)
    let address = try MeshAddress(parsing: &reader)
    #expect(address.description == "339e4296957e875699ba")
    #expect(Array(capacity: 10) { address.write(to: &$0) } == bytes)
  }
}
