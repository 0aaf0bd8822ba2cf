public import MeshRuntime

/// A node's status for people, in the manner of `wg show`.
public enum StatusText {
  /// - Parameter isColored: With the colours of a terminal.
  public static func render(_ status: MeshStatus, name: String, isColored: Bool) -> String {
    let style = Style(isColored: isColored)
    var lines = [style.title("node", name, 32)]
    func add(_ key: String, _ value: String) { lines.append("  \(style.bold(key)): \(value)") }
    add("public key", status.publicKey)
    add("listening port", "\(status.port)")
    add("address", ([status.derivedAddress] + status.addresses).joined(separator: ", "))
    if !status.backends.isEmpty { add("cipher", backends(status.backends)) }
    let dropped = status.drops.values.reduce(0, &+)
    if dropped > 0 {
      let reasons = status.drops.filter { $0.value > 0 }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
      add(
        "dropped", "\(dropped) packets (\(reasons.prefix(4).map { "\($0.key) \($0.value)" }.joined(separator: ", ")))")
    }
    for peer in order(status.peers) {
      lines.append("")
      lines += describe(peer, style)
    }
    return lines.joined(separator: "\n")
  }

  /// Neighbouring sizes of one backend as one: `ipsecMB up to 4096 B, libcrypto above`.
  private static func backends(_ table: [MeshStatus.Backend]) -> String {
    var parts: [String] = []
    for (index, entry) in table.enumerated() where index + 1 == table.count || table[index + 1].backend != entry.backend
    {
      if let limit = entry.upTo {
        parts.append("\(entry.backend) up to \(limit) B")
      } else {
        parts.append(parts.isEmpty ? entry.backend : "\(entry.backend) above")
      }
    }
    return parts.joined(separator: ", ")
  }

  /// The latest handshake first, as `wg` has it.
  private static func order(_ peers: [MeshStatus.Peer]) -> [MeshStatus.Peer] {
    peers.sorted {
      ($0.latestHandshakeSecondsAgo ?? .infinity, $0.publicKey)
        < ($1.latestHandshakeSecondsAgo ?? .infinity, $1.publicKey)
    }
  }

  private static func describe(_ peer: MeshStatus.Peer, _ style: Style) -> [String] {
    var lines = [style.title("peer", peer.publicKey, 33)]
    func add(_ key: String, _ value: String) { lines.append("  \(style.bold(key)): \(value)") }
    switch peer.kind {
    case "mesh": add("kind", "mesh" + (peer.isStranger ? ", stranger" : "") + software(peer))
    case "plain": add("kind", "plain WireGuard (no streams)" + (peer.isStranger ? ", stranger" : ""))
    default: add("kind", "not known yet")
    }
    if let endpoint = peer.endpoint { add("endpoint", endpoint) }
    add("allowed ips", peer.allowedIPs.isEmpty ? "(none)" : peer.allowedIPs.joined(separator: ", "))
    if let ago = peer.latestHandshakeSecondsAgo { add("latest handshake", "\(spelledDuration(ago)) ago") }
    if peer.isConnected, let endpoint = peer.endpoint {
      var path = "direct \(endpoint)"
      if let milliseconds = peer.roundTripMilliseconds { path += ", round trip \(decimal(milliseconds, digits: 2)) ms" }
      add("path", path + ", packets of \(peer.packetSize) B")
    }
    let others = peer.paths.filter { $0 != peer.endpoint }
    if !others.isEmpty { add("other paths", others.joined(separator: ", ")) }
    if let observed = peer.observedAddress { add("seen by it as", observed) }
    if peer.streams > 0 { add("streams", "\(peer.streams)") }
    if peer.messagesSent > 0 || peer.messagesReceived > 0 {
      add("messages", "\(peer.messagesReceived) received, \(peer.messagesSent) sent")
    }
    if peer.datagramsSent > 0 || peer.datagramsReceived > 0 || peer.datagramsDropped > 0 {
      add(
        "datagrams",
        "\(peer.datagramsReceived) received, \(peer.datagramsSent) sent, \(peer.datagramsDropped) dropped")
    }
    if peer.lostPackets > 0 {
      add("lost", "\(peer.lostPackets) packets, \(byteCount(peer.retransmittedBytes)) sent again")
    }
    if peer.receivedBytes > 0 || peer.sentBytes > 0 {
      add("transfer", "\(byteCount(peer.receivedBytes)) received, \(byteCount(peer.sentBytes)) sent")
    }
    return lines
  }

  /// A peer's own words: cut and harmless to a terminal.
  private static func software(_ peer: MeshStatus.Peer) -> String {
    let text = TextScan.printable(String(peer.software.prefix(64)))
    return text.isEmpty ? "" : ", \(text)"
  }

  private struct Style {
    let isColored: Bool
    func bold(_ text: String) -> String { isColored ? "\u{1B}[1m\(text)\u{1B}[0m" : text }
    func title(_ kind: String, _ name: String, _ color: Int) -> String {
      isColored ? "\u{1B}[\(color);1m\(kind)\u{1B}[0m: \u{1B}[\(color)m\(name)\u{1B}[0m" : "\(kind): \(name)"
    }
  }
}
