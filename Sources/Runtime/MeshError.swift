public import MeshNode
public import MeshPrimitives

/// Why a call of the async API failed. Each says in one line what is wrong and what can be done.
public enum MeshError: Error, Equatable, Sendable {
  /// No peer with this key is listed.
  case unknownPeer(PublicKey)
  /// Nothing is known of where the peer is, or nobody answered there in time.
  case unreachable(PublicKey)
  /// The peer is plain WireGuard: it has no streams.
  case plainWireGuard(PublicKey)
  /// The connection ended.
  case disconnected(PublicKey, DisconnectReason)
  /// The peer has no such service, or not for us.
  case refused(service: String)
  /// The stream was given up, with this code: by the peer, unless this side did.
  case reset(code: UInt64)
  /// The stream was finished or given up here, or only the peer writes to it.
  case notWritable
  /// Only this side writes to the stream.
  case notReadable
  /// As many streams are open as the peer allows, and none became free in time. `limit` counts all since the connection began.
  case tooManyStreams(limit: UInt64)
  /// A message or datagram, in bytes, that is longer than fits.
  case tooLarge(bytes: Int, limit: Int)
  /// As many services of one peer are sent to as a connection can tell apart.
  case tooManyServices(limit: Int)
  /// The peer's software has not what is asked for: messages, or datagrams.
  case unsupported(PublicKey, String)
  /// Two tasks read, or two write, the same stream at once.
  case busy
  case invalidPeer(String)
  /// The name of a service that no service can have.
  case invalidService(String)
  case portInUse(UInt16)
  /// The state directory cannot be used.
  case state(String)
  case system(String)
  /// The mesh was closed.
  case closed
}

extension MeshError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unknownPeer(let key): "no peer \(key) is listed; add it first"
    case .unreachable(let key): "peer \(key) does not answer; check its address, and that it lists our key"
    case .plainWireGuard(let key): "peer \(key) is a plain WireGuard peer: it can be pinged by IP, but has no streams"
    case .disconnected(let key, .notConnected): "there is no connection to \(key)"
    case .disconnected(let key, let reason): "the connection to \(key) is over: \(reason.explanation)"
    case .refused(let service): "the peer refused service \"\(service)\": it has none of that name, or not for us"
    case .reset(let code): "the stream was given up (code \(code))"
    case .notWritable: "the stream was finished here, or is the peer's alone: nothing can be written to it"
    case .notReadable: "the stream goes to the peer only: there is nothing to read"
    case .tooManyStreams(let limit):
      "the peer allows no more open streams: it allowed \(limit) in all, and none of those that are open ended in time"
    case .tooLarge(let bytes, let limit): "\(bytes) bytes are too many: \(limit) fit"
    case .tooManyServices(let limit): "messages go to \(limit) services of a peer and no more"
    case .unsupported(let key, let what): "peer \(key) does not understand \(what): its software is older"
    case .busy: "two tasks use the same direction of a stream at once"
    case .invalidPeer(let problem), .invalidService(let problem): problem
    case .portInUse(let port): "UDP port \(port) is in use; choose another, or 0 for any"
    case .state(let problem), .system(let problem): problem
    case .closed: "the mesh is closed"
    }
  }
}

extension DisconnectReason {
  var explanation: String {
    switch self {
    case .peerRestarted: "the peer started again"
    case .peerRemoved: "the peer was removed here"
    case .notConnected: "there is none"
    case .closed(.timedOut), .closed(.peerVanished): "nothing came back any more"
    case .closed(.closedByPeer(.goingAway, _)): "the peer was shut down"
    case .closed(.closedByPeer(.peerRemoved, _)): "the peer does not list us any more"
    case .closed(.closedByPeer(.noError, _)): "the peer heard nothing of us any more"
    case .closed(.closedByPeer(let code, _)): "the peer closed it (code \(code.rawValue))"
    case .closed(.closedLocally): "it was closed here"
    case .closed(.violation): "the peer broke the protocol"
    }
  }
}
