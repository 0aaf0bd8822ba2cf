import MeshPrimitives
import MeshTURN
import Testing

@Suite("Rules for peer addresses") struct PeerAddressRulesTests {
  @Test(arguments: [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.0.1", "224.0.0.1",
    "255.255.255.255", "::", "::1", "fe80::1", "fd00::1", "ff02::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1",
  ]) func `nothing that is not public can be a peer`(text: String) {
    #expect(!PeerAddressRules().allows(IPAddress(text)!))
  }

  @Test(arguments: ["1.1.1.1", "11.0.0.1", "172.32.0.1", "2001:4860:4860::8888"])
  func `public addresses can`(text: String) {
    #expect(PeerAddressRules().allows(IPAddress(text)!))
  }

  @Test func `an exception holds for its block and nothing else`() {
    var rules = PeerAddressRules()
    rules.allowed = [AddressBlock("10.1.0.0/16")!]
    #expect(rules.allows(IPAddress("10.1.255.255")!))
    #expect(!rules.allows(IPAddress("10.2.0.0")!))
  }

  @Test(arguments: ["10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0/8", "::/129", "x", ""])
  func `a text that is no block is refused`(text: String) {
    #expect(AddressBlock(text) == nil)
  }
}
