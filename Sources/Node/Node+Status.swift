public import MeshPrimitives
public import MeshReliability
public import MeshRouting
public import MeshSession

/// What a node knows of a peer, for people and scripts.
public struct PeerStatus: Sendable {
  public enum Kind: String, Sendable { case unknown, plain, mesh }

  public let publicKey: PublicKey
  public let kind: Kind
  public let isStranger: Bool
  public let isConnected: Bool
  public let endpoint: SocketAddress?
  public let allowedIPs: [IPPrefix]
  public let session: PeerStatistics
  /// Figures of the connection, while there is one.
  public let connection: ConnectionStatistics?
  /// Streams that have not ended in both directions.
  public let streams: Int
  /// Bytes of UDP payload that the path is known to carry.
  public let packetSize: Int
  /// Addresses of the peer that packets can be sent to; the one in use is ``endpoint``.
  public let validatedPaths: [SocketAddress]
  /// How often another path was taken since the peer is listed.
  public let pathChanges: Int
  /// What the peer calls itself: its own words.
  public let software: String
  /// Where the peer says that our packets come from.
  public let observedAddress: SocketAddress?
}

extension Node {
  /// What is known of a peer; `nil` when the handle is no longer valid.
  public func status(of id: PeerID) -> PeerStatus? {
    guard let peer = self[id] else { return nil }
    let kind: PeerStatus.Kind =
      switch peer.hello.kind {
      case .unknown: .unknown
      case .plain: .plain
      case .mesh: .mesh
      }
    return PeerStatus(
      publicKey: peer.publicKey, kind: kind, isStranger: peer.isStranger, isConnected: peer.isConnected,
      endpoint: device.endpoint(of: id), allowedIPs: allowedIPs.prefixes(of: id.slot),
      session: device.statistics(of: id) ?? PeerStatistics(), connection: peer.connection?.machine.statistics,
      streams: peer.connection?.machine.streamCount ?? 0, packetSize: peer.packetSize,
      validatedPaths: peer.paths.filter(\.isValidated).map(\.address), pathChanges: peer.pathChanges,
      software: peer.software,
      observedAddress: peer.observedAddress)
  }
}
