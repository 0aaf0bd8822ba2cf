public import MeshPrimitives

/// A block of addresses: `192.0.2.0/24`.
public struct AddressBlock: Hashable, Sendable {
  public let address: IPAddress
  public let length: Int

  /// - Precondition: `length` is no more than the address has bits.
  public init(_ address: IPAddress, length: Int) {
    precondition(length >= 0 && length <= address.bitWidth, "a prefix is no longer than its address")
    self.address = address
    self.length = length
  }

  /// Reads `ADDRESS/LENGTH`, or one address.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count <= 2, let address = IPAddress(parts[0]) else { return nil }
    let length = parts.count == 2 ? Int(parts[1]) : address.bitWidth
    guard let length, length >= 0, length <= address.bitWidth else { return nil }
    self.init(address, length: length)
  }

  public func contains(_ other: IPAddress) -> Bool {
    guard other.family == address.family else { return false }
    if address.family == .v4 { return length == 0 || (address.low ^ other.low) >> UInt64(32 - length) == 0 }
    if length <= 64 { return length == 0 || (address.high ^ other.high) >> UInt64(64 - length) == 0 }
    return address.high == other.high && (address.low ^ other.low) >> UInt64(128 - length) == 0
  }
}

/// To whom a server relays. Unless changed, only to addresses that anybody on the internet could reach: nothing inside the
/// machine, its network, or its provider's (RFC 8656 §21.3 names the danger).
public struct PeerAddressRules: Sendable {
  /// Addresses that may be peers although a rule refuses them.
  public var allowed: [AddressBlock] = []
  public var refused: [AddressBlock] = Self.notPublic

  public init() {}

  /// What is refused unless ``refused`` is changed.
  public static let notPublic: [AddressBlock] = [
    // "This network", private, shared by carriers, loopback, link-local with the metadata services of clouds.
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
    // IETF assignments, benchmarks, the virtual host of one more cloud.
    "192.0.0.0/24", "198.18.0.0/15", "168.63.129.16/32",
    // Multicast, reserved, broadcast.
    "224.0.0.0/4", "240.0.0.0/4",
    // Unspecified, loopback, discard, local translation, unique local, link-local, site-local, multicast.
    "::/128", "::1/128", "100::/64", "64:ff9b:1::/48", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
  ].map { AddressBlock($0)! }

  /// Whether `address` may be a peer. An address that carries an IPv4 address (mapped, NAT64, 6to4) is judged by that too.
  public func allows(_ address: IPAddress) -> Bool {
    let address = address.unmapped
    if allowed.contains(where: { $0.contains(address) }) { return true }
    if refused.contains(where: { $0.contains(address) }) { return false }
    if address.family == .v6 {
      // ::a.b.c.d (deprecated), 64:ff9b::a.b.c.d, 2002:aabb:ccdd::.
      if address.high == 0, address.low >> 32 == 0 { return allows(IPAddress(v4: UInt32(address.low))) }
      if address.high == 0x0064_FF9B_0000_0000, address.low >> 32 == 0 {
        return allows(IPAddress(v4: UInt32(address.low)))
      }
      if address.high >> 48 == 0x2002 {
        return allows(IPAddress(v4: UInt32(truncatingIfNeeded: address.high >> 16)))
      }
    }
    return true
  }
}
