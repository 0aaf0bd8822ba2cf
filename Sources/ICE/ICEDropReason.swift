/// Why a STUN message was dropped. None of them changes state.
public enum ICEDropReason: UInt8, CaseIterable, Error, Sendable {
  /// Not well-formed STUN.
  case malformed
  /// A method other than Binding.
  case notBinding
  /// FINGERPRINT does not fit.
  case wrongFingerprint
  /// A request without USERNAME or MESSAGE-INTEGRITY: not from a peer.
  case noCredentials
  /// USERNAME does not begin with our name.
  case unknownName
  /// MESSAGE-INTEGRITY does not verify, or a response has none.
  case wrongIntegrity
  /// A response to nothing that is under way here. It may belong to somebody else on this port.
  case unknownTransaction
  /// It came to an address that is none of our bases.
  case unknownBase
  /// A request came from an address that is never answered, such as a multicast one.
  case forbiddenSource
  /// PRIORITY or the role is missing in a request, or the address in a response. The request is answered with 400.
  case missingAttribute
  /// A request with attributes that must be understood and are not; answered with 420.
  case unknownAttribute
  /// An indication or a request of a kind that asks for nothing: a keepalive.
  case keepalive
  /// Peer-reflexive candidates, pairs or answers that wait have reached their cap.
  case tableFull
  /// The agent is closed.
  case closed
}
