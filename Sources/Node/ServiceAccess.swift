public import MeshPrimitives

/// Who may open streams to a service. Closed by default: a service that is not registered is refused to everybody.
public enum ServiceAccess: Sendable {
  /// Peers that are listed.
  case peers
  /// The listed peers with these keys.
  case keys(Set<PublicKey>)
  /// Everybody with a session, strangers too.
  case any

  func allows(_ key: PublicKey, isStranger: Bool) -> Bool {
    switch self {
    case .any: true
    case .peers: !isStranger
    case .keys(let keys): !isStranger && keys.contains(key)
    }
  }
}
