public import MeshPrimitives

/// The server's side of the long-term credential mechanism (RFC 8489 §9.2.4): judges requests and writes challenges.
///
/// It keeps nothing per client. A nonce is the cookie of RFC 8489, the time it ends, and a code over that and the client's
/// address, under a key that is drawn at the start.
public struct ServerAuthentication: Sendable {
  public enum Verdict: Sendable {
    /// Authentic. Answers to it are to be signed with the key, by the algorithm.
    case accept(UserDirectory.Found, IntegrityAlgorithm)
    /// To be answered with this error and ``appendChallenge(to:for:now:_:)``.
    case challenge(STUNErrorCode)
    /// To be answered with 400.
    case badRequest
  }

  /// How long a nonce is taken.
  public let nonceLifetime: Duration
  /// What PASSWORD-ALGORITHMS lists. Clients that know of none are taken to mean MD5.
  public static let algorithms: [PasswordAlgorithm] = [.sha256, .md5]
  /// Hidden names are not offered beside time-limited credentials, whose names cannot be found by their hash.
  private var features: SecurityFeatures {
    users.acceptsTimeLimited ? .passwordAlgorithms : [.passwordAlgorithms, .usernameAnonymity]
  }
  private static let digits = Array("0123456789abcdef".utf8)
  /// Bytes of a nonce: cookie, 16 digits of time, 32 of code.
  static let nonceSize = SecurityFeatures.cookieSize + 16 + 32

  public var users: UserDirectory
  private let nonceKey: IntegrityKey

  public init(_ users: UserDirectory, nonceLifetime: Duration = .seconds(600), entropy: inout some Entropy) {
    self.users = users
    self.nonceLifetime = nonceLifetime
    var bytes = [UInt8](repeating: 0, count: 32)
    var span = bytes.mutableBytes
    entropy.fill(&span)
    nonceKey = IntegrityKey(copying: bytes.bytes)
    Hashes.wipe(&bytes)
  }

  /// Judges a request.
  /// - Parameter wallSeconds: seconds since 1970, for time-limited credentials.
  public func judge(
    _ request: borrowing STUNMessage, from source: SocketAddress, now: Instant, wallSeconds: Int64
  ) -> Verdict {
    guard request.hasIntegrity else { return .challenge(.unauthenticated) }
    do {
      guard let nonce = try request.copy(.nonce), let realm = try request.copy(.realm) else { return .badRequest }
      let username = try request.copy(.username)
      let userhash = try request.copy(.userhash)
      guard username != nil || userhash != nil else { return .badRequest }

      // The algorithms that the client was told, unchanged, and one of them.
      var algorithm = PasswordAlgorithm.md5
      let (list, chosen) = (try request.passwordAlgorithms(), try request.passwordAlgorithm())
      if list != nil || chosen != nil {
        guard let list, let chosen, list == Self.algorithms, list.contains(chosen) else { return .badRequest }
        algorithm = chosen
      }
      guard realm == Array(users.realm.utf8) else { return .challenge(.unauthenticated) }
      let found: UserDirectory.Found?
      if let userhash {
        found = users.find(userhash: userhash, algorithm)
      } else {
        found = users.find(username ?? [], algorithm, seconds: wallSeconds)
      }
      guard let found, request.integrity(with: found.key) == .valid else { return .challenge(.unauthenticated) }
      guard isFresh(nonce, source, now) else { return .challenge(.staleNonce) }
      return .accept(found, request.hasMessageIntegritySHA256 ? .sha256 : .sha1)
    } catch { return .badRequest }
  }

  /// Appends REALM, NONCE and PASSWORD-ALGORITHMS.
  public func appendChallenge(
    to writer: inout MessageWriter, for source: SocketAddress, now: Instant, _ output: inout OutputRawSpan
  ) {
    writer.append(.realm, users.realm, to: &output)
    writer.append(.nonce, nonce(for: source, now: now).bytes, to: &output)
    writer.append(passwordAlgorithms: Self.algorithms, to: &output)
  }

  /// A nonce for a client at `source`.
  func nonce(for source: SocketAddress, now: Instant) -> [UInt8] {
    let end = (now + nonceLifetime).nanoseconds
    var nonce = features.cookie
    for shift in stride(from: 60, through: 0, by: -4) {
      nonce.append(Self.digits[Int(UInt64(bitPattern: end) >> UInt64(shift) & 15)])
    }
    for byte in code(end, source) {
      nonce.append(Self.digits[Int(byte >> 4)])
      nonce.append(Self.digits[Int(byte & 15)])
    }
    return nonce
  }

  private func code(_ end: Int64, _ source: SocketAddress) -> ArraySlice<UInt8> {
    let address = source.address.unmapped
    let covered = [UInt8](capacity: 25) { output in
      output.append(UInt64(bitPattern: end), .big)
      output.append(address.family.rawValue)
      output.append(address.high, .big)
      output.append(address.low, .big)
    }
    return nonceKey.hmacSHA256(covered.bytes)[..<16]
  }

  private func isFresh(_ nonce: [UInt8], _ source: SocketAddress, _ now: Instant) -> Bool {
    guard nonce.count == Self.nonceSize else { return false }
    var end: UInt64 = 0
    for digit in nonce[SecurityFeatures.cookieSize..<SecurityFeatures.cookieSize + 16] {
      guard let value = Self.digits.firstIndex(of: digit) else { return false }
      end = end << 4 | UInt64(value)
    }
    let instant = Instant(nanoseconds: Int64(bitPattern: end))
    guard instant > now, instant <= now + nonceLifetime else { return false }
    var expected = features.cookie + nonce[SecurityFeatures.cookieSize..<SecurityFeatures.cookieSize + 16]
    for byte in code(instant.nanoseconds, source) {
      expected.append(Self.digits[Int(byte >> 4)])
      expected.append(Self.digits[Int(byte & 15)])
    }
    return IntegrityKey.areEqual(expected.bytes, nonce.bytes)
  }
}
