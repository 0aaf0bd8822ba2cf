internal import MeshCrypto
internal import MeshNode
internal import MeshPrimitives
internal import MeshRouting
internal import MeshSession

extension Mesh {
  /// A peer whose endpoint is an address.
  struct ResolvedPeer: Sendable {
    let peer: Peer
    let endpoint: SocketAddress?
  }

  static func resolve(_ peers: [Peer]) async throws -> [ResolvedPeer] {
    var resolved: [ResolvedPeer] = []
    for peer in peers {
      var endpoint: SocketAddress?
      if let text = peer.endpoint { endpoint = try await Resolver.resolve(text) }
      if let text = peer.presharedKey, (try? PresharedKey(base64: text)) == nil {
        throw MeshError.invalidPeer("the preshared key of \(peer.publicKey) is not 44 characters of base64")
      }
      resolved.append(ResolvedPeer(peer: peer, endpoint: endpoint))
    }
    return resolved
  }

  static func list(_ resolved: ResolvedPeer, in node: inout Node, now: Instant) throws(MeshError) {
    let peer = resolved.peer
    do {
      let key = try peer.presharedKey.map { try PresharedKey(base64: $0) } ?? PresharedKey()
      _ = try node.addPeer(
        PeerConfiguration(
          publicKey: peer.publicKey, presharedKey: key, endpoint: resolved.endpoint,
          persistentKeepalive: peer.persistentKeepalive), allowedIPs: peer.allowedIPs, now: now)
    } catch let error as PeerError {
      throw .invalidPeer(explain(error, peer.publicKey))
    } catch {
      throw .invalidPeer("the preshared key of \(peer.publicKey) is not 44 characters of base64")
    }
  }

  private static func explain(_ error: PeerError, _ key: PublicKey) -> String {
    switch error {
    case .ownKey: "\(key) is this node's own key: it cannot be its own peer"
    case .alreadyListed: "\(key) is listed already"
    case .lowOrderKey: "\(key) is no usable public key: every secret with it would be known to all"
    case .tableFull(let limit): "the list of peers is full: \(limit) is the most"
    }
  }
}
