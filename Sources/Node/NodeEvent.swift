public import MeshPacket
public import MeshPrimitives
public import MeshReliability
public import MeshSession

/// A stream of a ``Node``: the peer, which of the peer's connections, and the stream's number in it.
public struct StreamHandle: Hashable, Sendable {
  /// Who is at the other end.
  public let peer: PeerID
  /// Counts the connections of the peer: a handle of an earlier one names nothing any more.
  let connection: UInt32
  /// Its number, which both ends call it by.
  public let id: StreamID
}

/// Where messages and datagrams for one service of a peer are sent to.
public struct ChannelHandle: Hashable, Sendable {
  /// Who gets what is sent.
  public let peer: PeerID
  let connection: UInt32
  let channel: MessageChannel
}

/// Where messages and datagrams of a peer for one service are read.
public struct InboxHandle: Hashable, Sendable {
  /// Who sent what is there.
  public let peer: PeerID
  let connection: UInt32
  let inbox: InboxID
}

/// What happened in a node.
public enum NodeEvent: Equatable, Sendable {
  /// The peer is a mesh peer, and streams can be opened to it.
  case connected(PeerID)
  /// The peer is plain WireGuard: it answers no `Hello`.
  case plain(PeerID)
  /// No session, or no `Hello`, within the time that ``Node/connect(to:now:)`` waits.
  case unreachable(PeerID)
  /// The connection is over, and every stream of it.
  case disconnected(PeerID, DisconnectReason)
  /// A peer opened a stream to a service that it may use.
  case streamOpened(StreamHandle, service: String, peer: PublicKey)
  /// Bytes, or the end, can be read.
  case readable(StreamHandle)
  /// A stream whose buffer was full takes bytes again.
  case writable(StreamHandle)
  /// The peer has all that was written, and the end.
  case finished(StreamHandle)
  case reset(StreamHandle, code: ErrorCode)
  case stopped(StreamHandle, code: ErrorCode)
  /// Messages of a peer, for a service that it may use, can be read. Comes again only after a read has found none.
  case messages(InboxHandle, service: String, peer: PublicKey)
  /// The same for datagrams.
  case datagrams(InboxHandle, service: String, peer: PublicKey)
  /// Messages are taken again on a lane that was full.
  case messagesWritable(PeerID, Lane)
  /// The peer allows more streams again, after `StreamError.tooManyStreams`.
  case streamsAvailable(PeerID)
  /// The peer has every message that was sent to it.
  case messagesDelivered(PeerID)
  /// The peer has dropped messages, or datagrams, that were sent on this channel: it has no such service, or not for us.
  /// Comes again when more is dropped.
  case refused(ChannelHandle, datagrams: Bool)
  /// Packets to the peer go to another address from now on.
  case pathChanged(PeerID, SocketAddress)
  /// Packets to the peer may have another number of bytes from now on, and so may datagrams.
  case packetSizeChanged(PeerID)
  /// The answer to ``Node/ping(_:token:now:)``.
  case pong(PeerID, token: UInt64, roundTrip: Duration, from: SocketAddress)
  /// The acceptance policy let in a peer that is not listed, or its session lapsed.
  case strangerAdded(PeerID, PublicKey)
  case strangerRemoved(PeerID, PublicKey)
}

/// Why a connection ended.
public enum DisconnectReason: Error, Equatable, Sendable {
  /// The peer started again without its old state.
  case peerRestarted
  /// The peer was removed from the list here.
  case peerRemoved
  /// There is no connection: it has not begun, or it ended before.
  case notConnected
  /// The connection itself ended.
  case closed(CloseReason)
}

extension DisconnectReason {
  /// Whether a peer that it ended for has most likely thrown its keys away.
  var losesKeys: Bool {
    switch self {
    case .closed(.closedByPeer(code: .goingAway, _)), .closed(.closedByPeer(code: .peerRemoved, _)): true
    default: false
    }
  }
}
