internal import MeshNode
internal import MeshPacket
internal import MeshPrimitives
internal import MeshReliability
internal import MeshSession

// Whole messages, and datagrams: each begins with its number in the ledger, and its other bytes follow from that.
extension SimulatedNetwork {
  /// Sends one message to a neighbour. `false`: it was not taken.
  func sendLetter(_ size: Int, _ carrier: Scenario.Carrier, _ index: Int, of host: SimulatedHost) -> Bool {
    guard let peer = host.conversations[index].peer else { return false }
    let number = letters.count
    let lane = carrier == .unordered ? Lane.allCases[number % 3] : .message
    let size = min(max(size, 8), FlowContent.longest)
    let name = Array(capacity: 8) { $0.append(UInt64(number), .little) }
    let content = content
    var bytes = scratch
    scratch = []
    defer { scratch = bytes }
    var output = bytes.mutableBytes
    output.copy(name.bytes, at: 0)
    output.copy(content.bytes(of: number, from: 8, count: size - 8), at: 8)
    do throws(MessageError) {
      let channel = try host.node.messageChannel(to: peer, service: "m", lane: lane)
      if carrier == .datagram {
        try host.node.sendDatagram(bytes.bytes.extracting(0..<size), on: channel)
      } else {
        try host.node.send(bytes.bytes.extracting(0..<size), on: channel, ordered: carrier == .message)
      }
    } catch {
      switch error {
      case .closed, .full: break
      case .tooLarge where carrier == .datagram: break
      default: fail(.impossible, host: host.index, "a message of \(size) bytes is refused: \(error)")
      }
      return false
    }
    let other = host.conversations[index].other
    letters.append(
      Letter(sender: UInt32(host.index), receiver: UInt32(other), size: UInt32(size), carrier: carrier, sent: now))
    if carrier != .datagram { host.conversations[index].letters.append(number) }
    return true
  }

  /// The connection of a conversation is over: what has not come may still be read at the other end, or never.
  func endLetters(_ index: Int, of host: SimulatedHost) {
    while let number = host.conversations[index].letters.popFirst() {
      guard letters[number].state == .sent else { continue }
      letters[number].state = .ended
      counts.messagesEnded += 1
    }
  }

  func readMessages(_ inbox: InboxHandle, datagrams: Bool, by key: PublicKey, at host: SimulatedHost) {
    guard let index = host.conversation(of: inbox.peer), hosts[host.conversations[index].other].publicKey == key else {
      return fail(.misdelivered, host: host.index, "messages of somebody who is no neighbour")
    }
    let transmit = transmit
    while violation == nil, transmit.readMessage(inbox, datagram: datagrams, of: &host.node) {
      take(transmit.bytes, datagram: datagrams, from: host.conversations[index].other, at: host)
    }
  }

  private func take(_ bytes: RawSpan, datagram: Bool, from sender: Int, at host: SimulatedHost) {
    var reader = ByteReader(bytes)
    guard let word = try? reader.readUInt64(.little), word < UInt64(letters.count) else {
      return fail(.wrongBytes, host: host.index, "a message that nobody sent")
    }
    let number = Int(word)
    let letter = letters[number]
    guard letter.sender == sender, letter.receiver == host.index, datagram == (letter.carrier == .datagram) else {
      return fail(
        .misdelivered, host: host.index, "message \(number) of host \(letter.sender) came from host \(sender)")
    }
    guard bytes.byteCount == letter.size, matches(bytes.extracting(8..<bytes.byteCount), flow: number, from: 8) else {
      return fail(.wrongBytes, host: host.index, "message \(number) has other bytes than when it was sent")
    }
    guard letter.state != .delivered else {
      return fail(.misdelivered, host: host.index, "message \(number) came twice")
    }
    if letter.state == .ended { counts.messagesEnded -= 1 }
    letters[number].state = .delivered
    counts.messagesDelivered += 1
    counts.payload &+= UInt64(bytes.byteCount)
    counts.latency.add(now.nanoseconds(since: letter.sent))
    let peer = hosts[sender]
    guard let index = peer.conversations.firstIndex(where: { $0.other == host.index }) else { return }
    peer.conversations[index].deliveredSent = max(peer.conversations[index].deliveredSent, letter.sent)
    peer.conversations[index].deliveredAt = now
    if letter.carrier == .message {
      guard number > peer.conversations[index].lastOrdered else {
        return fail(.wrongBytes, host: host.index, "message \(number) came after one that was sent later")
      }
      peer.conversations[index].lastOrdered = number
    }
    while let first = peer.conversations[index].letters.first, letters[first].state == .delivered {
      _ = peer.conversations[index].letters.popFirst()
    }
  }

  /// Messages that have waited for too long, where nothing is in the way.
  func checkLetters(_ recovery: Duration) {
    for host in hosts where host.state == .up && violation == nil {
      for conversation in host.conversations where hosts[conversation.other].state == .up {
        guard let first = conversation.letters.first, now - letters[first].sent > recovery,
          now - conversation.deliveredAt > recovery / 2
        else { continue }
        let statistics = conversation.peer.flatMap { host.node.status(of: $0)?.connection }
        return fail(
          .stalled, host: host.index,
          """
          message \(first) to host \(conversation.other) has waited for \(now - letters[first].sent) and nothing is in the way; \
          \(statistics.map { "\($0)" } ?? "there is no connection")
          """)
      }
    }
  }
}
