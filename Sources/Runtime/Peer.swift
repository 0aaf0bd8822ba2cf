public import MeshPrimitives
public import MeshRouting

/// A peer to be listed in a ``Mesh``: a key and what is known of its owner.
public struct Peer: Sendable {
  public var publicKey: PublicKey
  /// `HOST:PORT`, where HOST is an address or a name; `nil` when the peer is to come to us.
  public var endpoint: String?
  /// A preshared key in base64, as `wg genpsk` writes it.
  public var presharedKey: String?
  /// IP packets to these prefixes go to the peer, and it may send packets from them.
  public var allowedIPs: [IPPrefix]
  /// An empty packet is sent when nothing else was for so long; `nil`: never.
  public var persistentKeepalive: Duration?

  public init(
    _ publicKey: PublicKey, at endpoint: String? = nil, presharedKey: String? = nil, allowedIPs: [IPPrefix] = [],
    persistentKeepalive: Duration? = nil
  ) {
    self.publicKey = publicKey
    self.endpoint = endpoint
    self.presharedKey = presharedKey
    self.allowedIPs = allowedIPs
    self.persistentKeepalive = persistentKeepalive
  }
}
