import MeshPrimitives
import MeshRouting
import Testing

@Suite("Allowed IPs") struct AllowedIPsTests {
  static func prefix(_ text: String) -> IPPrefix { IPPrefix(text)! }
  static func address(_ text: String) -> IPAddress { IPAddress(text)! }

  static func table(_ routes: [(String, UInt32)]) -> AllowedIPs {
    var table = AllowedIPs()
    for (text, peer) in routes { try! table.insert(prefix(text), peer: peer) }
    return table
  }

  static let lookups: [(String, UInt32?)] = [
    ("10.0.0.1", 1), ("10.9.0.1", 2), ("10.9.1.1", 3), ("10.9.1.128", 4), ("10.9.1.129", 3), ("11.0.0.1", 5),
    ("0.0.0.0", 5), ("255.255.255.255", 5), ("fd00::1", 6), ("fd00::2", 7), ("fd01::2", 6), ("fe80::1", nil),
    ("::ffff:10.0.0.1", nil), ("::", nil),
  ]
  @Test(arguments: lookups) func `the longest prefix wins`(text: String, peer: UInt32?) {
    let table = Self.table([
      ("10.9.1.0/24", 3), ("0.0.0.0/0", 5), ("10.0.0.0/8", 1), ("10.9.1.128", 4), ("10.9.0.0/16", 2), ("fd00::/8", 6),
      ("fd00::2", 7),
    ])
    #expect(table.lookup(Self.address(text)) == peer)
  }

  @Test func `a prefix moves to the peer it is given to last`() throws {
    var table = Self.table([("10.0.0.0/8", 1), ("10.1.0.0/16", 1), ("10.0.0.0/8", 2)])
    #expect(table.count == 2)
    #expect(table.lookup(Self.address("10.9.9.9")) == 2)
    #expect(table.prefixes(of: 1) == [Self.prefix("10.1.0.0/16")])
    #expect(table.prefixes(of: 2) == [Self.prefix("10.0.0.0/8")])
    try table.insert(Self.prefix("10.0.0.0/8"), peer: 2)
    #expect(table.prefixes(of: 2) == [Self.prefix("10.0.0.0/8")])
  }

  @Test func `removing a prefix uncovers the shorter one`() {
    var table = Self.table([("10.0.0.0/9", 1), ("10.0.0.0/10", 2), ("10.0.0.0/11", 3), ("10.0.0.0/12", 4)])
    for (length, peer, next) in [(10, 2, 4), (12, 4, 3), (11, 3, 1), (9, 1, nil)] as [(Int, UInt32, UInt32?)] {
      #expect(table.remove(IPPrefix(Self.address("10.0.0.0"), length: length)!) == peer)
      #expect(table.lookup(Self.address("10.0.0.1")) == next)
    }
    #expect(table.remove(Self.prefix("10.0.0.0/9")) == nil)
    #expect(table.count == 0)
  }

  @Test func `a peer is removed with all its prefixes`() {
    var table = Self.table([("10.0.0.0/8", 1), ("::/0", 1), ("0.0.0.0/0", 1), ("10.1.0.0/16", 2), ("fd00::1", 1)])
    #expect(table.prefixes(of: 1).map(\.description) == ["0.0.0.0/0", "10.0.0.0/8", "::/0", "fd00::1/128"])
    table.removeAll(of: 1)
    #expect(table.prefixes(of: 1) == [])
    #expect(table.count == 1)
    #expect(table.lookup(Self.address("10.1.0.1")) == 2)
    #expect(table.lookup(Self.address("10.2.0.1")) == nil)
    #expect(table.lookup(Self.address("fd00::1")) == nil)
  }

  @Test func `a table takes as many prefixes as its limit`() throws {
    var table = AllowedIPs(limit: 2)
    try table.insert(Self.prefix("10.0.0.0/8"), peer: 1)
    try table.insert(Self.prefix("11.0.0.0/8"), peer: 1)
    #expect(throws: AllowedIPs.InsertError.full(limit: 2)) { try table.insert(Self.prefix("12.0.0.0/8"), peer: 1) }
    try table.insert(Self.prefix("11.0.0.0/8"), peer: 2)
    table.remove(Self.prefix("10.0.0.0/8"))
    try table.insert(Self.prefix("12.0.0.0/8"), peer: 1)
    #expect(table.lookup(Self.address("12.0.0.1")) == 1)
  }

  @Test func `a reserved address stays with its peer until it is removed`() throws {
    let mine = Self.address("fd12::1")
    var table = Self.table([("fd12::1/128", 8), ("fd00::/8", 9)])
    try table.reserve(mine, peer: 1)
    #expect(table.lookup(mine) == 1)
    #expect(throws: AllowedIPs.InsertError.reserved(peer: 1)) { try table.insert(IPPrefix(mine), peer: 2) }
    #expect(throws: AllowedIPs.InsertError.reserved(peer: 1)) { try table.reserve(mine, peer: 2) }
    try table.insert(IPPrefix(mine), peer: 1)
    #expect(throws: AllowedIPs.InsertError.reserved(peer: 1)) { try table.insert(IPPrefix(mine), peer: 2) }
    #expect(table.lookup(mine) == 1)
    table.removeAll(of: 1)
    #expect(table.lookup(mine) == 9)
    try table.insert(IPPrefix(mine), peer: 2)
    #expect(table.lookup(mine) == 2)
  }

  /// A list of all prefixes, searched from end to end.
  struct Model {
    var routes: [IPPrefix: UInt32] = [:]
    func lookup(_ address: IPAddress) -> UInt32? {
      routes.filter { $0.key.contains(address) }.max { $0.key.length < $1.key.length }?.value
    }
    func prefixes(of peer: UInt32) -> [IPPrefix] { routes.filter { $0.value == peer }.keys.sorted() }
  }

  /// Addresses that differ in few places only, so that prefixes nest, collide and part at every depth.
  static func someAddress(_ random: inout SplitMix64, narrow: Bool) -> IPAddress {
    let (one, two) = (random.next(), random.next())
    if random.next() % 2 == 0 {
      let bits = UInt32(truncatingIfNeeded: one)
      return IPAddress(v4: narrow ? 0x0A00_0000 | bits & 0x0101_8087 : bits & 0xF1FF_10FF)
    }
    return narrow
      ? IPAddress(v6High: 0xFD00_0000_0000_0000 | one & 0x0000_1000_0000_0003, low: two & 0x8000_0000_0001_0007)
      : IPAddress(v6High: one & 0xFF00_0000_0000_000F, low: two & 0xF000_0000_0000_FFFF)
  }

  @Test(arguments: 1...16 as ClosedRange<UInt64>)
  func `it agrees with a search of all prefixes`(seed: UInt64) throws {
    var random = SplitMix64(state: seed)
    var table = AllowedIPs()
    var model = Model()
    let narrow = seed % 2 == 0
    for step in 0..<600 {
      let address = Self.someAddress(&random, narrow: narrow)
      let prefix = IPPrefix(address, length: Int(random.next() % UInt64(address.bitWidth + 1)))!
      let peer = UInt32(random.next() % 12)
      switch random.next() % 16 {
      case 0...(step / 200 % 2 == 0 ? 8 : 3):
        try table.insert(prefix, peer: peer)
        model.routes[prefix] = peer
      case 9...13:
        let victim = model.routes.keys.sorted().dropFirst(Int(random.next() % 64)).first ?? prefix
        #expect(table.remove(victim) == model.routes.removeValue(forKey: victim), "seed \(seed), step \(step)")
      case 14 where random.next() % 16 == 0:
        table.removeAll(of: peer)
        model.routes = model.routes.filter { $0.value != peer }
      default: break
      }
      #expect(table.count == model.routes.count)
      for _ in 0..<2 {
        let probe = Self.someAddress(&random, narrow: narrow)
        #expect(table.lookup(probe) == model.lookup(probe), "seed \(seed), step \(step), \(probe)")
      }
      #expect(table.lookup(address) == model.lookup(address), "seed \(seed), step \(step), \(address)")
      if step % 64 == 0 { #expect(table.prefixes(of: peer) == model.prefixes(of: peer)) }
    }
    for prefix in model.routes.keys { #expect(table.remove(prefix) == model.routes[prefix]) }
    #expect(table.count == 0)
    for _ in 0..<100 { #expect(table.lookup(Self.someAddress(&random, narrow: narrow)) == nil) }
  }

  @Test func `100,000 host routes are all found and nothing beside them`() throws {
    var random = SplitMix64(state: 7)
    var table = AllowedIPs()
    let addresses = (0..<100_000).map { _ in
      IPAddress(v6High: 0xFD00_0000_0000_0000 | random.next() >> 8, low: random.next())
    }
    for (index, address) in addresses.enumerated() { try table.reserve(address, peer: UInt32(index)) }
    for (index, address) in addresses.enumerated() {
      guard table.lookup(address) == UInt32(index) else {
        Issue.record("\(address) is not with \(index)")
        return
      }
      guard table.lookup(IPAddress(v6High: address.high, low: address.low ^ 1)) == nil else {
        Issue.record("what is beside \(address) was found")
        return
      }
    }
  }
}

/// A small generator with a seed (Steele, Lea, Flood 2014).
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}
