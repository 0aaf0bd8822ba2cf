internal import MeshPacket
internal import MeshPrimitives
public import MeshReliability
public import MeshSession

// Whole messages, and datagrams.
extension Node {
  /// Where messages and datagrams for a service of the peer are sent to. The same service and lane give the same channel.
  /// - Throws: `.closed` when the peer is not connected (``connect(to:now:)``), and what `Connection` throws.
  public mutating func messageChannel(
    to id: PeerID, service: String, lane: Lane = .message
  ) throws(MessageError) -> ChannelHandle {
    guard let peer = self[id], peer.isConnected, let connection = peer.connection else { throw .closed(.peerVanished) }
    let channel = try connection.machine.messageChannel(for: service, lane: lane)
    return ChannelHandle(peer: id, connection: peer.connectionNumber, channel: channel)
  }

  /// Takes a whole message for delivery, once, whatever is lost.
  /// - Parameter ordered: whether it is delivered after the ordered ones before it on this channel.
  public mutating func send(
    _ message: RawSpan, on channel: ChannelHandle, ordered: Bool = false
  ) throws(MessageError) {
    let (peer, connection) = try find(channel)
    try connection.machine.send(message, on: channel.channel, ordered: ordered)
    markReady(peer)
  }

  /// Takes a datagram, which arrives once or not at all.
  public mutating func sendDatagram(_ bytes: RawSpan, on channel: ChannelHandle) throws(MessageError) {
    let (peer, connection) = try find(channel)
    try connection.machine.sendDatagram(bytes, on: channel.channel)
    markReady(peer)
  }

  /// Bytes of the longest message that can be sent; 0 when the peer takes none.
  public func longestMessage(on channel: ChannelHandle) throws(MessageError) -> Int {
    try find(channel).1.machine.longestMessage
  }

  /// Bytes of the longest datagram that fits into one packet to this service now.
  public func longestDatagram(on channel: ChannelHandle) throws(MessageError) -> Int {
    try find(channel).1.machine.longestDatagram(on: channel.channel)
  }

  /// Whether every peer that is connected has every message that was sent to it. O(peers).
  public var hasDeliveredMessages: Bool {
    for case let peer? in peers where peer.connection.map({ !$0.machine.hasDeliveredMessages }) ?? false {
      return false
    }
    return true
  }

  /// Whether the peer has every message that was sent to it; also when there is no connection.
  public func hasDeliveredMessages(to id: PeerID) -> Bool {
    self[id]?.connection.map { $0.machine.hasDeliveredMessages } ?? true
  }

  /// Asks for `.messagesDelivered` when the peer has every message sent to it so far.
  /// - Returns: whether there is a connection that can tell.
  public mutating func notifyWhenDelivered(to id: PeerID) -> Bool {
    guard let peer = self[id], let connection = peer.connection else { return false }
    connection.machine.notifyWhenDelivered()
    markReady(peer)
    return true
  }

  /// The bytes of the next message; `nil` when there is none.
  public func nextMessageSize(_ inbox: InboxHandle) -> Int? {
    findToRead(inbox)?.1.machine.nextMessageSize(inbox.inbox)
  }

  /// Moves the next message to `output`, which has room for ``nextMessageSize(_:)`` bytes. `nil`: there is none.
  public mutating func readMessage(_ inbox: InboxHandle, into output: inout OutputRawSpan) -> Int? {
    guard let (peer, connection) = findToRead(inbox) else { return nil }
    let size = connection.machine.readMessage(inbox.inbox, into: &output)
    if size != nil { markReady(peer) }
    peer.releaseRemnant()
    return size
  }

  /// The bytes of the next datagram; `nil` when there is none.
  public func nextDatagramSize(_ inbox: InboxHandle) -> Int? {
    findToRead(inbox)?.1.machine.nextDatagramSize(inbox.inbox)
  }

  /// Moves the next datagram to `output`, which has room for ``nextDatagramSize(_:)`` bytes. `nil`: there is none.
  public mutating func readDatagram(_ inbox: InboxHandle, into output: inout OutputRawSpan) -> Int? {
    guard let (peer, connection) = findToRead(inbox) else { return nil }
    let size = connection.machine.readDatagram(inbox.inbox, into: &output)
    peer.releaseRemnant()
    return size
  }

  /// Drops the messages that wait to be read, or the datagrams, counts that, and tells the peer that nobody takes them.
  public mutating func refuse(_ inbox: InboxHandle, datagrams: Bool) {
    guard let (peer, connection) = findToRead(inbox) else { return }
    drops.count(.serviceRefused)
    connection.machine.refuse(inbox.inbox, datagrams: datagrams)
    markReady(peer)
    peer.releaseRemnant()
  }

  // MARK: Inside

  private func find(_ channel: ChannelHandle) throws(MessageError) -> (NodePeer, OpenConnection) {
    guard let peer = self[channel.peer], peer.connectionNumber == channel.connection,
      let connection = peer.connection
    else { throw .closed(.peerVanished) }
    return (peer, connection)
  }

  private func findToRead(_ inbox: InboxHandle) -> (NodePeer, OpenConnection)? {
    guard let peer = self[inbox.peer] else { return nil }
    if let remnant = peer.remnant, remnant.number == inbox.connection { return (peer, remnant.connection) }
    guard peer.connectionNumber == inbox.connection, let connection = peer.connection else { return nil }
    return (peer, connection)
  }

  func allows(_ peer: NodePeer, to service: String) -> Bool {
    services[service]?.allows(peer.publicKey, isStranger: peer.isStranger) ?? false
  }

  /// Whether the peer may send to the service; if not, what it sent is refused.
  mutating func admits(_ peer: NodePeer, to service: String, _ inbox: InboxHandle, datagrams: Bool) -> Bool {
    if allows(peer, to: service) { return true }
    refuse(inbox, datagrams: datagrams)
    return false
  }
}
