internal import MeshPrimitives

/// The client's side of both credential mechanisms (RFC 8489 §9): puts the attributes on requests, judges responses, and keeps
/// what the server said (realm, nonce, algorithms) for the next request.
///
/// A caller makes each request with ``append(to:_:)`` as the last thing before the fingerprint, and asks ``judge(_:)`` about each
/// response before it believes it.
public struct ClientAuthentication: Sendable {
  /// What to do with a response.
  public enum Verdict: Equatable, Sendable {
    /// Believe it.
    case accept
    /// Not authentic: as if it had not come. The transaction goes on.
    case ignore
    /// The server asks for credentials, or has a new nonce: make a new request, with a new transaction ID.
    case retry
    /// The request cannot be authenticated.
    case refuse(Refusal)
  }

  public enum Refusal: Equatable, Sendable {
    /// The server asks for credentials and there are none of the kind.
    case credentialsRequired
    /// The server does not take these.
    case wrongCredentials
    /// The server's nonce promises password algorithms that the message does not list: somebody took them out (RFC 8489
    /// §9.2.5).
    case bidDown
    /// None of the server's password algorithms is known here.
    case unsupportedAlgorithms
    /// Realm or nonce are missing, or together longer than ``ClientAuthentication/maximumChallenge``.
    case malformedChallenge
    /// One nonce after another was stale.
    case staleNonces
  }

  /// The greatest length of realm, nonce and algorithms together that is taken from a server, in bytes.
  public static let maximumChallenge = 1024
  /// Bytes that ``append(to:_:)`` adds, at most.
  public static let maximumSize = 516 + maximumChallenge + 3 * 8 + 8 + 8 + 24 + 36
  static let maximumStaleNonces = 3

  private struct Challenge: Sendable {
    var realm: [UInt8]
    var nonce: [UInt8]
    /// The value of PASSWORD-ALGORITHMS, which goes back as it came.
    var algorithms: [UInt8]?
    var algorithm = PasswordAlgorithm.md5
    var isAnonymous = false
    var key: IntegrityKey
  }

  private let credentials: STUNCredentials
  private let shortTermKey: IntegrityKey?
  /// What the server used in its first response to a short-term request; both until then (RFC 8489 §9.1.2).
  private var shortTermAlgorithm: IntegrityAlgorithm?
  private var challenge: Challenge?
  /// Whether the last request carried credentials.
  private var wasAuthenticated = false
  private var staleNonces = 0

  public init(_ credentials: STUNCredentials) {
    self.credentials = credentials
    if case .shortTerm(let username, let password) = credentials {
      precondition(username.utf8.count <= 512, "a user name has at most 512 bytes")
      shortTermKey = IntegrityKey(shortTerm: password)
    } else {
      shortTermKey = nil
    }
    if case .longTerm(let username, _) = credentials {
      precondition(username.utf8.count <= 512, "a user name has at most 512 bytes")
    }
  }

  /// The realm that the server named.
  public var realm: String? { challenge.map { String(decoding: $0.realm, as: UTF8.self) } }

  /// Appends user name, realm, nonce and integrity, whichever the next request needs.
  public mutating func append(to writer: inout MessageWriter, _ output: inout OutputRawSpan) {
    switch credentials {
    case .none: wasAuthenticated = false
    case .shortTerm(let username, _):
      wasAuthenticated = true
      writer.append(.username, username, to: &output)
      guard let shortTermKey else { return }
      if shortTermAlgorithm != .sha256 { writer.appendIntegrity(.sha1, shortTermKey, to: &output) }
      if shortTermAlgorithm != .sha1 { writer.appendIntegrity(.sha256, shortTermKey, to: &output) }
    case .longTerm(let username, _):
      guard let challenge else {
        wasAuthenticated = false
        return
      }
      wasAuthenticated = true
      if challenge.isAnonymous {
        let hash = Userhash.compute(username: username.utf8, realm: challenge.realm)
        writer.append(.userhash, hash.bytes, to: &output)
      } else {
        writer.append(.username, username, to: &output)
      }
      writer.append(.realm, challenge.realm.bytes, to: &output)
      writer.append(.nonce, challenge.nonce.bytes, to: &output)
      if let algorithms = challenge.algorithms {
        writer.append(raw: .passwordAlgorithms, algorithms.bytes, to: &output)
        writer.append(passwordAlgorithm: challenge.algorithm, to: &output)
      }
      // Who lists algorithms knows SHA-256.
      writer.appendIntegrity(challenge.algorithms == nil ? .sha1 : .sha256, challenge.key, to: &output)
    }
  }

  /// Judges the response to the last request.
  public mutating func judge(_ response: borrowing STUNMessage) -> Verdict {
    switch credentials {
    case .none:
      guard response.messageClass == .error, let code = try? response.errorCode() else { return .accept }
      return code == .unauthenticated || code == .staleNonce ? .refuse(.credentialsRequired) : .accept
    case .shortTerm: return judgeShortTerm(response)
    case .longTerm(let username, let password): return judgeLongTerm(response, username, password)
    }
  }

  private mutating func judgeShortTerm(_ response: borrowing STUNMessage) -> Verdict {
    guard let shortTermKey, response.integrity(with: shortTermKey) == .valid else { return .ignore }
    if shortTermAlgorithm == nil {
      shortTermAlgorithm = response.hasMessageIntegritySHA256 ? .sha256 : .sha1
    } else if shortTermAlgorithm == .sha256, !response.hasMessageIntegritySHA256 {
      return .ignore
    }
    if response.messageClass == .error, (try? response.errorCode()) == .unauthenticated {
      return .refuse(.wrongCredentials)
    }
    return .accept
  }

  private mutating func judgeLongTerm(
    _ response: borrowing STUNMessage, _ username: String, _ password: String
  ) -> Verdict {
    let code = response.messageClass == .error ? try? response.errorCode() : nil
    if code == .unauthenticated || code == .staleNonce {
      return take(response, username, password, isStale: code == .staleNonce)
    }
    guard wasAuthenticated, let challenge else { return .accept }
    let integrity: STUNMessage.Check
    if challenge.algorithms == nil {
      integrity = response.integrity(with: challenge.key)
    } else {
      // An older code in place of the one that both know is somebody else's.
      integrity = response.integrity(.sha256, with: challenge.key)
    }
    guard integrity == .valid else { return .ignore }
    staleNonces = 0
    return .accept
  }

  private mutating func take(
    _ response: borrowing STUNMessage, _ username: String, _ password: String, isStale: Bool
  ) -> Verdict {
    let (realm, nonce): ([UInt8], [UInt8])
    let algorithms: [UInt8]?
    let list: [PasswordAlgorithm]?
    do {
      guard let newRealm = try response.copy(.realm) ?? challenge?.realm, let newNonce = try response.copy(.nonce)
      else {
        return .refuse(.malformedChallenge)
      }
      (realm, nonce) = (newRealm, newNonce)
      list = try response.passwordAlgorithms()
      algorithms = response.range(of: .passwordAlgorithms).map { Array(copying: response.bytes.extracting($0)) }
    } catch { return .refuse(.malformedChallenge) }
    guard realm.count + nonce.count + (algorithms?.count ?? 0) <= Self.maximumChallenge else {
      return .refuse(.malformedChallenge)
    }
    let features = SecurityFeatures(nonce: nonce) ?? []
    if features.contains(.passwordAlgorithms), list == nil { return .refuse(.bidDown) }
    // The list counts only together with the bit that vouches for it.
    let isListed = features.contains(.passwordAlgorithms)
    if wasAuthenticated {
      if isStale {
        staleNonces += 1
        guard staleNonces <= Self.maximumStaleNonces else { return .refuse(.staleNonces) }
      } else if challenge?.realm == realm {
        return .refuse(.wrongCredentials)
      }
    }
    var algorithm = PasswordAlgorithm.md5
    if isListed {
      guard let first = list?.first(where: \.isSupported) else { return .refuse(.unsupportedAlgorithms) }
      algorithm = first
    }
    var key = challenge?.key
    if key == nil || challenge?.realm != realm || challenge?.algorithm != algorithm {
      key = IntegrityKey(longTerm: username.utf8, realm: realm, password: password.utf8, algorithm: algorithm)
    }
    challenge = Challenge(
      realm: realm, nonce: nonce, algorithms: isListed ? algorithms : nil, algorithm: algorithm,
      isAnonymous: features.contains(.usernameAnonymity), key: key!)
    return .retry
  }
}
