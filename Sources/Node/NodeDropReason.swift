/// Why a node dropped what came in, beside the reasons of its session layer.
public enum NodeDropReason: UInt8, CaseIterable, Sendable {
  /// A datagram that is neither WireGuard nor STUN.
  case unknownDatagram
  /// A STUN message that nobody waits for.
  case unexpectedSTUN
  /// A decrypted payload that is no frame, IP packet or keepalive.
  case malformedPayload
  /// A raw datagram, or a typed frame of a type other than 16.
  case unsupportedFrame
  /// An IP packet whose source does not belong to the peer (cryptokey routing).
  case sourceNotAllowed
  /// A well-formed IP packet to an address that nobody here answers for.
  case noDestination
  /// An IP packet whose header contradicts itself or the packet's length.
  case malformedIP
  /// A packet with a number from a peer that has not said who it is.
  case beforeHello
  /// A packet that is not a valid `Packet` message.
  case malformedPacket
  /// A field of `Packet` that this node did not say it understands. It ends the connection.
  case unsupportedField
  /// Messages or datagrams for a service that is not there, or not for this peer.
  case serviceRefused
  /// An answer for which there was no memory.
  case queueFull
  /// More packets in a form other than the canonical one than a peer may send.
  case tooManyNonCanonical
}
