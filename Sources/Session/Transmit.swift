public import MeshPrimitives

/// What ``Device/nextTransmit(into:now:wall:)`` wrote, and where it goes.
public struct Transmit: Equatable, Sendable {
  public enum Kind: Sendable { case initiation, response, cookieReply, keepalive, data }

  /// The peer that the message is for; `nil` for a cookie reply.
  public let peer: PeerID?
  /// Where to send it; `nil` when no address of the peer is known.
  public let destination: SocketAddress?
  public let kind: Kind
}

/// Why a packet could not be sealed.
public enum SealError: Error, Equatable, Sendable {
  /// There is no key pair that may be used. A handshake is under way now.
  case noKeys
  /// The handle is no longer valid.
  case unknownPeer
}
