import MeshPrimitives
import MeshSTUN

/// A NAT for tests: mapping and filtering by RFC 4787, hairpinning, and mappings that expire when nothing goes out.
struct NATBox {
  var mapping = MappingBehavior.endpointIndependent
  var filtering = FilteringBehavior.endpointIndependent
  var hairpins = false
  var lifetime = Duration.seconds(120)
  let outside = address("203.0.113.9:0").address

  private struct Mapping {
    var inside: SocketAddress
    var outsidePort: UInt16
    /// The destination that the mapping is for, as far as it matters.
    var key: SocketAddress?
    var lastOut: Instant
    var sentTo: [SocketAddress] = []
  }

  private var mappings: [Mapping] = []
  private var nextPort: UInt16 = 40_000

  private func key(_ destination: SocketAddress) -> SocketAddress? {
    switch mapping {
    case .endpointIndependent: nil
    case .addressDependent: SocketAddress(destination.address, port: 0)
    case .addressAndPortDependent: destination
    }
  }

  /// The address that a packet from inside gets.
  mutating func send(from inside: SocketAddress, to destination: SocketAddress, now: Instant) -> SocketAddress {
    mappings.removeAll { $0.lastOut + lifetime <= now }
    let key = key(destination)
    var index = mappings.firstIndex { $0.inside == inside && $0.key == key }
    if index == nil {
      mappings.append(Mapping(inside: inside, outsidePort: nextPort, key: key, lastOut: now))
      nextPort += 1
      index = mappings.count - 1
    }
    mappings[index!].lastOut = now
    mappings[index!].sentTo.append(destination)
    return SocketAddress(outside, port: mappings[index!].outsidePort)
  }

  /// Whom inside a packet from outside reaches.
  func receive(from source: SocketAddress, to destination: SocketAddress, now: Instant) -> SocketAddress? {
    guard destination.address == outside,
      let mapping = mappings.first(where: { $0.outsidePort == destination.port && $0.lastOut + lifetime > now })
    else { return nil }
    switch filtering {
    case .endpointIndependent: break
    case .addressDependent: guard mapping.sentTo.contains(where: { $0.address == source.address }) else { return nil }
    case .addressAndPortDependent: guard mapping.sentTo.contains(source) else { return nil }
    }
    return mapping.inside
  }
}
