internal import MeshPrimitives
internal import MeshSTUN

/// What is new with each restart: the credentials of both ends, and what was selected under them.
struct Generation: Sendable {
  let local: ICECredentials
  /// Signs our answers, checks their requests.
  let localKey: IntegrityKey
  private(set) var remote: ICECredentials?
  /// Signs our requests, checks their answers.
  private(set) var remoteKey: IntegrityKey?
  /// USERNAME of our requests: `theirs:ours`.
  private(set) var username: [UInt8] = []
  var remoteIsLite = false
  var selections: [Selection] = []

  init(local: ICECredentials) {
    self.local = local
    localKey = IntegrityKey(shortTerm: local.password)
  }

  mutating func setRemote(_ credentials: ICECredentials) {
    remote = credentials
    remoteKey = IntegrityKey(shortTerm: credentials.password)
    username = Array("\(credentials.ufrag):\(local.ufrag)".utf8)
  }

  func selection(_ component: UInt16) -> Selection? { selections.first { $0.pair.component == component } }

  /// Whether USERNAME of a request begins with our name and a colon.
  func isNamed(in username: RawSpan) -> Bool {
    let name = local.ufrag.utf8
    guard username.byteCount > name.count, username.byte(at: name.count) == 0x3A else { return false }
    var offset = 0
    for byte in name {
      guard username.byte(at: offset) == byte else { return false }
      offset += 1
    }
    return true
  }
}

/// A pair in use, and its consent (RFC 7675).
struct Selection: Sendable {
  var pair: CandidatePair
  /// The pair's id in the checklist of its generation.
  let id: UInt32
  /// When the last consent ends; `nil` where none is asked for.
  var expiry: Instant?
  /// When to ask again, or to send a keepalive.
  var due: Instant
  /// What was asked and not answered, oldest first: as many as fit into the life of a consent.
  var asked: [TransactionID] = []
  static let maximumAsked = 8

  mutating func renew(_ later: Instant) {
    if expiry != nil { expiry = later }
  }
}

struct LocalCandidate: Sendable {
  var candidate: Candidate
  let base: SocketAddress
  let foundation: UInt32
}

struct RemoteCandidate: Sendable {
  var candidate: Candidate
  let foundation: UInt32
}

/// What makes local candidates of one foundation (RFC 8445 §5.1.1.3).
struct FoundationSource: Hashable, Sendable {
  let kind: Candidate.Kind
  let base: IPAddress
  let server: IPAddress?
}

/// A check of the peer that waits for its name and password (RFC 8445 §7.3).
struct EarlyCheck: Sendable {
  let base: SocketAddress
  let source: SocketAddress
  let component: UInt16
  let priority: UInt32
  var nominates: Bool
}

/// An answer to be sent.
struct Reply: Sendable {
  enum Content: Sendable {
    case success
    case roleConflict
    case badRequest
    case unknownAttributes([AttributeType])
  }

  let id: TransactionID
  let base: SocketAddress
  let destination: SocketAddress
  let content: Content
  let isPrevious: Bool
}
