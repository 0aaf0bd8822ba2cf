/// Who a client says it is (RFC 8489 §9).
///
/// User names and passwords that are not ASCII must have been prepared with the OpaqueString profile (RFC 8265).
public enum STUNCredentials: Sendable {
  case none
  /// A password that both sides know, for a short time: with ICE, or handed out by a signalling server.
  case shortTerm(username: String, password: String)
  /// An account at the server, which asks for it with a realm and a nonce.
  case longTerm(username: String, password: String)
}
