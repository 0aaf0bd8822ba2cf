public import MeshPrimitives

/// A peer as it is written on the command line: `KEY` or `KEY@HOST:PORT`.
public struct PeerArgument: Equatable, Sendable {
  public let key: PublicKey
  /// `HOST:PORT`, not looked up.
  public let endpoint: String?

  public init(key: PublicKey, endpoint: String? = nil) {
    self.key = key
    self.endpoint = endpoint
  }

  /// - Throws: `Failure` in words.
  public init(_ text: String) throws(Failure) {
    let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    key = try Self.key(String(parts[0]))
    guard parts.count == 2 else {
      endpoint = nil
      return
    }
    let endpoint = String(parts[1])
    if let problem = EndpointText.problem(endpoint) {
      throw Failure("\(TextScan.quoted(endpoint)) is no endpoint: \(problem)", .badInput)
    }
    self.endpoint = endpoint
  }

  /// - Throws: `Failure` in words.
  public static func key(_ text: String) throws(Failure) -> PublicKey {
    if let key = PublicKey(text) { return key }
    throw Failure(
      "\(TextScan.quoted(text)) is no public key: it must be 44 characters of base64 as 'pnet pubkey' prints it",
      .badInput)
  }
}
