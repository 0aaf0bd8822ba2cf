internal import MeshNode
internal import MeshPrimitives
internal import MeshReliability
internal import MeshSession

/// A sender at the edge of the engine.
final class EngineSender {
  let channel: ChannelHandle
  let sender: MessageSender

  init(channel: ChannelHandle, sender: MessageSender) {
    self.channel = channel
    self.sender = sender
  }
}

/// The messages, or the datagrams, of a service at the edge of the engine.
final class EngineInbox {
  let box: MessageBox<MeshMessage>
  let isForDatagrams: Bool
  /// Where something waits to be read, in turn, and whose it is.
  var waiting: [(inbox: InboxHandle, peer: PublicKey)] = []

  init(box: MessageBox<MeshMessage>, isForDatagrams: Bool) {
    self.box = box
    self.isForDatagrams = isForDatagrams
  }
}

extension EngineCore {
  // MARK: - Sending

  /// The sender for a service and lane of a connected peer: one for all who ask.
  func makeSender(
    to id: PeerID, key: PublicKey, service: String, lane: Lane
  ) throws(MessageError) -> MessageSender {
    let channel = try node.messageChannel(to: id, service: service, lane: lane)
    if let token = senderTokens[channel], let known = senders[token] { return known.sender }
    let box = MessageBox<OutgoingMessage>(ready: readyPipes)
    let datagrams = MessageBox<[UInt8]>(ready: readyPipes)
    box.token = nextToken
    datagrams.token = nextToken
    let sender = MessageSender(
      peer: key, service: service, lane: lane, box: box, datagrams: datagrams,
      longestMessage: try node.longestMessage(on: channel), longestDatagram: try node.longestDatagram(on: channel))
    senders[nextToken] = EngineSender(channel: channel, sender: sender)
    senderTokens[channel] = nextToken
    nextToken += 1
    return sender
  }

  /// From the tasks to the connection, as far as it has room.
  func attend(_ sender: EngineSender) {
    sender.sender.box.attend()
    sender.sender.datagrams.attend()
    takeDatagrams(sender)
    takeMessages(sender)
  }

  private func takeMessages(_ sender: EngineSender) {
    sender.sender.box.drain { message in
      do throws(MessageError) {
        try node.send(message.bytes.bytes, on: sender.channel, ordered: message.isOrdered)
        return true
      } catch {
        // It waits for room. What ends a connection is told by an event.
        return error != .full
      }
    }
  }

  private func takeDatagrams(_ sender: EngineSender) {
    sender.sender.datagrams.drain { bytes in
      // One for which the path has become too narrow, or for which there is no memory, is lost.
      try? node.sendDatagram(bytes.bytes, on: sender.channel)
      return true
    }
  }

  func packetSizeChanged(_ peer: PeerID) {
    for sender in senders.values where sender.channel.peer == peer {
      guard let limit = try? node.longestDatagram(on: sender.channel) else { continue }
      sender.sender.datagramLimit.store(limit, ordering: .relaxed)
    }
  }

  func messagesWritable(_ peer: PeerID, _ lane: Lane) {
    for token in senderTokens.values.sorted() {
      if let sender = senders[token], sender.channel.peer == peer, sender.sender.lane == lane { takeMessages(sender) }
    }
    if deliveries[peer] != nil { _ = node.notifyWhenDelivered(to: peer) }
  }

  /// The peer dropped what was sent on a channel. Whoever waits for the delivery is told; if nobody does, whoever sends next.
  func refused(_ channel: ChannelHandle, datagrams: Bool) {
    guard let token = senderTokens[channel], let sender = senders[token]?.sender else { return }
    let error = MeshError.refused(service: sender.service)
    if datagrams { return sender.datagrams.notify(error) }
    sender.box.notify(error)
    guard let (_, gates) = deliveries.removeValue(forKey: channel.peer) else { return }
    _ = sender.box.takeNotice()
    for gate in gates { gate.settle(.failure(error)) }
  }

  func messagesDelivered(_ peer: PeerID) {
    // What found no room before is on its way only now, or when there is room for it.
    let waiting = senders.values.filter { $0.channel.peer == peer && !$0.sender.box.isEmpty }
    if deliveries[peer] != nil, !waiting.isEmpty {
      for sender in waiting { takeMessages(sender) }
      if !node.hasDeliveredMessages(to: peer) { _ = node.notifyWhenDelivered(to: peer) }
      return
    }
    for gate in deliveries.removeValue(forKey: peer)?.gates ?? [] { gate.settle(.success(())) }
  }

  /// Settles the gate when the peer has all messages that were sent to it.
  func awaitDelivery(to key: PublicKey, gate: Gate<Void>) {
    guard let peer = node.peer(for: key) else { return gate.settle(.failure(MeshError.unknownPeer(key))) }
    for token in senderTokens.values.sorted() {
      guard let sender = senders[token], sender.channel.peer == peer else { continue }
      if let notice = sender.sender.box.takeNotice() { return gate.settle(.failure(notice)) }
      takeMessages(sender)
    }
    guard node.notifyWhenDelivered(to: peer) else {
      return gate.settle(.failure(MeshError.disconnected(key, .notConnected)))
    }
    deliveries[peer, default: (key, [])].gates.append(gate)
  }

  func failMessages(to id: PeerID, _ reason: DisconnectReason) {
    for (channel, token) in senderTokens where channel.peer == id {
      guard let sender = senders.removeValue(forKey: token)?.sender else { continue }
      sender.box.fail(MeshError.disconnected(sender.peer, reason))
      sender.datagrams.fail(MeshError.disconnected(sender.peer, reason))
      senderTokens[channel] = nil
    }
    if let (key, gates) = deliveries.removeValue(forKey: id) {
      for gate in gates { gate.settle(.failure(MeshError.disconnected(key, reason))) }
    }
  }

  // MARK: - Receiving

  /// Opens the service for messages, or for datagrams; the box of whoever asked before ends, and what waited for it goes
  /// to the new one.
  func receive(_ key: InboxKey, access: ServiceAccess, box: MessageBox<MeshMessage>) {
    let inbox = EngineInbox(box: box, isForDatagrams: key.isForDatagrams)
    if let token = inboxTokens[key], let old = inboxes.removeValue(forKey: token) {
      old.box.end()
      inbox.waiting = old.waiting
    }
    inboxes[nextToken] = inbox
    inboxTokens[key] = nextToken
    box.token = nextToken
    nextToken += 1
    node.setService(key.service, access: access)
    deliver(inbox)
  }

  /// Nobody takes from the box any more.
  func stopReceiving(_ key: InboxKey, box: MessageBox<MeshMessage>) {
    guard let token = inboxTokens[key], let inbox = inboxes[token], inbox.box === box else { return }
    inboxTokens[key] = nil
    inboxes[token] = nil
    for waiting in inbox.waiting { node.refuse(waiting.inbox, datagrams: key.isForDatagrams) }
    closeIfUnused(key.service)
  }

  /// Refuses what comes for a service that nobody takes from, in any way.
  func closeIfUnused(_ service: String) {
    let isUsed =
      incoming[service] != nil
      || [false, true].contains { inboxTokens[InboxKey(service: service, isForDatagrams: $0)] != nil }
    if !isUsed { node.removeService(service) }
  }

  func readable(_ inbox: InboxHandle, service: String, peer: PublicKey, datagrams: Bool) {
    guard let token = inboxTokens[InboxKey(service: service, isForDatagrams: datagrams)], let target = inboxes[token]
    else { return node.refuse(inbox, datagrams: datagrams) }
    target.waiting.append((inbox, peer))
    deliver(target)
  }

  func attend(_ inbox: EngineInbox) {
    inbox.box.attend()
    deliver(inbox)
  }

  /// From the connections to the tasks, one message of each peer in turn, as far as there is room.
  private func deliver(_ target: EngineInbox) {
    target.box.fill {
      while !target.waiting.isEmpty {
        let (inbox, peer) = target.waiting.removeFirst()
        guard let bytes = read(inbox, datagrams: target.isForDatagrams) else { continue }
        target.waiting.append((inbox, peer))
        return (MeshMessage(peer: peer, bytes: bytes), bytes.count)
      }
      return nil
    }
  }

  private func read(_ inbox: InboxHandle, datagrams: Bool) -> [UInt8]? {
    let size = datagrams ? node.nextDatagramSize(inbox) : node.nextMessageSize(inbox)
    var isThere = false
    let bytes = Array(capacity: size ?? 0) { output in
      // Asked for also when there is none: only then the next one is told.
      let read = datagrams ? node.readDatagram(inbox, into: &output) : node.readMessage(inbox, into: &output)
      isThere = read != nil
    }
    return isThere ? bytes : nil
  }
}

/// Names an inbox of the engine.
struct InboxKey: Hashable, Sendable {
  let service: String
  let isForDatagrams: Bool
}
