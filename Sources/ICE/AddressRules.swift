internal import MeshPrimitives

/// Which addresses are checked at all.
enum AddressRules {
  /// Whether a datagram may ever be sent there on a peer's word: not to unspecified, multicast, broadcast and reserved
  /// addresses, nor to metadata services.
  static func isAllowed(_ remote: SocketAddress) -> Bool {
    let address = remote.address.unmapped
    guard remote.port != 0, !address.isUnspecified, !address.isMulticast else { return false }
    switch address.family {
    case .v4: return (1..<240).contains(address.low >> 24) && address.low != 0xA9FE_A9FE
    // fd00:ec2::254 is AWS's; an address that embeds an IPv4 one (::/96) is deprecated.
    case .v6:
      return (address.high, address.low) != (0xFD00_0EC2_0000_0000, 0x254)
        && !(address.high == 0 && address.low >> 32 == 0 && address.low != 1)
    }
  }

  /// Whether packets can pass from one to the other: of one family, and loopback and link-local only among themselves.
  static func canPair(_ base: SocketAddress, _ remote: SocketAddress) -> Bool {
    base.address.family == remote.address.family && base.address.isLoopback == remote.address.isLoopback
      && base.address.isLinkLocal == remote.address.isLinkLocal
  }
}

extension IPAddress {
  /// 169.254.0.0/16 or fe80::/10.
  var isLinkLocal: Bool { family == .v4 ? low >> 16 == 0xA9FE : high >> 54 == 0xFE80 >> 6 }
}
