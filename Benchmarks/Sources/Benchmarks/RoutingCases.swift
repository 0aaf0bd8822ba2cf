import MeshPrimitives
import MeshRouting
import MeshSimulation

/// Look-ups in a table of 100,000 prefixes, of so many addresses by turns. Few are the peers that packets go to at one time;
/// with 65,536 most of the table is out of the caches.
let routingCases: [Benchmark] = [
  Benchmark("routing/lookup/v6-host-routes-1", allocationFree: true) { lookups(1, derived) { $0 } },
  Benchmark("routing/lookup/v6-host-routes-256", allocationFree: true) { lookups(256, derived) { $0 } },
  Benchmark("routing/lookup/v6-host-routes-65536", allocationFree: true) { lookups(65_536, derived) { $0 } },
  Benchmark("routing/lookup/v6-misses-256", allocationFree: true) {
    lookups(256, derived) { IPAddress(v6High: $0.high, low: $0.low ^ 1 << 40) }
  },
  Benchmark("routing/lookup/v4-prefixes-256", allocationFree: true) {
    lookups(256, prefix) { IPAddress(v4: UInt32($0.low) | 0x63) }
  },
  Benchmark("routing/lookup/v4-prefixes-65536", allocationFree: true) {
    lookups(65_536, prefix) { IPAddress(v4: UInt32($0.low) | 0x63) }
  },
  Benchmark("routing/header/ipv4", allocationFree: true) {
    headers(
      [0x45, 0, 0x05, 0x78, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2] + Array(repeating: 0, count: 1380))
  },
  Benchmark("routing/header/ipv6", allocationFree: true) {
    headers(
      [0x60, 0, 0, 0, 0x05, 0x50, 6, 64] + Array(repeating: 0xFD, count: 32) + Array(repeating: 0, count: 1360))
  },
]

/// An address like those that are derived from keys.
private func derived(_ entropy: inout SeededEntropy) -> IPPrefix {
  IPPrefix(IPAddress(v6High: 0xFD00_0000_0000_0000 | entropy.next() >> 8, low: entropy.next()))
}

/// As a routing table has them: most are /24, few are shorter.
private func prefix(_ entropy: inout SeededEntropy) -> IPPrefix {
  let length = [24, 24, 24, 24, 22, 20, 19, 16][Int(entropy.next() % 8)]
  return IPPrefix(IPAddress(v4: UInt32(truncatingIfNeeded: entropy.next() % 0xE000_0000)), length: length)!
}

/// - Parameters:
///   - distinct: how many addresses take turns; a power of two.
///   - address: the address to look for, from the first one of a prefix.
private func lookups(
  _ distinct: Int, _ prefix: (inout SeededEntropy) -> IPPrefix, address: (IPAddress) -> IPAddress
) -> Benchmark.Work {
  var entropy = SeededEntropy(seed: 7)
  var filling = AllowedIPs()
  var addresses: [IPAddress] = []
  while filling.count < 100_000 {
    let prefix = prefix(&entropy)
    try! filling.insert(prefix, peer: UInt32(filling.count % 1000))
    addresses.append(address(prefix.address))
  }
  addresses.shuffle(using: &entropy)
  let (list, table) = (Array(addresses.prefix(distinct)), filling)
  return .loop { count in
    var sum: UInt64 = 0
    for index in 0..<count { sum &+= UInt64(table.lookup(list[index & (distinct - 1)]) ?? 0) }
    use(sum)
  }
}

private func headers(_ packet: [UInt8]) -> Benchmark.Work {
  .loop { count in
    for _ in 0..<count {
      guard let header = try? IPPacketHeader(parsing: packet.bytes) else { fatalError("the sample must be read") }
      use(header.destination.low)
    }
  }
}
