import MeshPrimitives
import Testing

@testable import MeshNode

@Suite("Local addresses") struct LocalAddressTests {
  private let remote = SocketAddress(IPAddress(v4: 0x0A00_0001), port: 1)
  private let first = IPAddress(v4: 0xC000_0201)
  private let second = IPAddress(v4: 0xC000_0202)

  @Test func `answers come from where the last authenticated packet came to`() {
    var addresses = LocalAddresses()
    #expect(addresses.source(for: remote) == nil)
    addresses.ask(remote, at: first)
    #expect(addresses.source(for: remote) == first)
    addresses.confirm(remote, at: first)
    // What is not authenticated is answered from where it came to, and diverts no data.
    addresses.ask(remote, at: second)
    #expect(addresses.source(for: remote) == first && addresses.sourceOfAnswer(to: remote) == second)
    addresses.confirm(remote, at: second)
    #expect(addresses.source(for: remote) == second && addresses.sourceOfAnswer(to: remote) == second)
    addresses.forget(remote)
    #expect(addresses.source(for: remote) == nil)
    addresses.confirm(remote, at: first)
    addresses.forgetAll()
    #expect(addresses.source(for: remote) == nil)
  }

  @Test func `initiations without an answer make it forget, and an answer begins anew`() {
    var addresses = LocalAddresses()
    addresses.confirm(remote, at: first)
    for _ in 0..<4 { #expect(addresses.sourceOfInitiation(to: remote) == first) }
    addresses.confirm(remote, at: first)
    for _ in 0..<4 { #expect(addresses.sourceOfInitiation(to: remote) == first) }
    #expect(addresses.sourceOfInitiation(to: remote) == nil)
    #expect(addresses.source(for: remote) == nil)
  }

  @Test func `strangers by the thousand fill no more than the table, and push nobody out`() {
    var addresses = LocalAddresses()
    addresses.confirm(remote, at: first)
    for number in 0..<10_000 as Range<UInt32> {
      addresses.ask(SocketAddress(IPAddress(v4: number), port: 9), at: second)
    }
    #expect(addresses.source(for: SocketAddress(IPAddress(v4: 9_999), port: 9)) == second)
    #expect(addresses.source(for: SocketAddress(IPAddress(v4: 0), port: 9)) == nil)
    #expect(addresses.source(for: remote) == first)
  }
}
