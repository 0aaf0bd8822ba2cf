internal import MeshPacket
public import MeshPrimitives
internal import MeshReliability
internal import MeshRouting
public import MeshSession

// The ways to a mesh peer: several known, one in use.
//
// Until `Hello` the endpoint roams as WireGuard's does. After it, a packet from a new address only makes a candidate. Both
// sides follow the peer's newest packet that says something (not a probe, not an acknowledgement) to a path that they have
// validated. The side with the greater key also chooses: at failures, and when another path is clearly better.
extension Node {
  /// The most paths per peer.
  static let mostPaths = 4
  /// Long packets lost in a row that tell of a narrow path.
  static let mostLongLost = 8
  /// New candidates that a peer may make per second: each costs a probe to wherever it says that it is.
  private static let candidatesPerSecond = 4

  /// Tells of one more address that the peer may be reached at. It is tried when the peer is connected.
  public mutating func addPath(to id: PeerID, at address: SocketAddress, now: Instant) {
    guard let peer = self[id], peer.isConnected, !peer.paths.contains(where: { $0.address == address }) else { return }
    // Nothing came by it: a few probes are what is ventured.
    addCandidate(address, budget: 3 * PeerPath.probeSize, to: peer, now: now)
  }

  /// The connection begins, on the path that the session has come by.
  mutating func beginPaths(of peer: NodePeer, now: Instant) {
    guard let endpoint = device.endpoint(of: peer.id) else { return }
    device.setRoaming(false, of: peer.id)
    peer.paths = [
      PeerPath(to: endpoint, isValidated: true, budget: 0, limit: peer.longestPacket, now: now)
    ]
    peer.activePath = 0
    peer.activeAddress = endpoint
    peer.paths[0].mtu.begin(now: now)
    takeOverPacketSize(of: peer, isNews: false)
    peer.paths[0].check(now: now)
    markReady(peer)
  }

  /// The connection is over: whoever has the keys says where the peer is, as in WireGuard.
  mutating func endPaths(of peer: NodePeer) {
    device.setRoaming(true, of: peer.id)
    peer.paths = []
    peer.activePath = 0
    peer.activeAddress = nil
  }

  /// An authenticated datagram has come.
  mutating func received(_ bytes: Int, from source: SocketAddress, of peer: NodePeer, now: Instant) {
    guard source != peer.activeAddress, !peer.paths.isEmpty else { return }
    if let index = peer.paths.firstIndex(where: { $0.address == source }) {
      peer.paths[index].received(bytes, now: now)
    } else {
      if now.nanoseconds(since: peer.candidatesSince) >= 1_000_000_000 {
        peer.candidatesSince = now
        peer.candidates = 0
      }
      guard peer.candidates < Self.candidatesPerSecond else { return }
      peer.candidates += 1
      addCandidate(source, budget: 3 * bytes, to: peer, now: now)
    }
  }

  private mutating func addCandidate(_ address: SocketAddress, budget: Int, to peer: NodePeer, now: Instant) {
    if peer.paths.count >= Self.mostPaths {
      // The one that is worth least: dead, then never validated, then longest unheard of.
      let spare = peer.paths.indices.filter { $0 != peer.activePath }
      guard
        let worst = spare.min(by: {
          let (a, b) = (peer.paths[$0], peer.paths[$1])
          return (a.isAnswering ? 1 : 0, a.isValidated ? 1 : 0, a.lastReceived.nanoseconds)
            < (b.isAnswering ? 1 : 0, b.isValidated ? 1 : 0, b.lastReceived.nanoseconds)
        })
      else { return }
      peer.paths.remove(at: worst)
      if worst < peer.activePath { peer.activePath -= 1 }
    }
    var path = PeerPath(to: address, isValidated: false, budget: budget, limit: peer.longestPacket, now: now)
    path.check(now: now)
    peer.paths.append(path)
    markReady(peer)
  }

  /// The peer's newest packet with something to say came from `source`.
  mutating func peerIsAt(_ source: SocketAddress, _ peer: NodePeer, now: Instant) {
    guard source != peer.activeAddress,
      let index = peer.paths.firstIndex(where: { $0.address == source })
    else { return }
    if peer.paths[index].isValidated, peer.paths[index].isAnswering {
      activate(index, of: peer, oldIsDead: false, now: now)
    } else {
      peer.paths[index].isWanted = true
      peer.paths[index].check(now: now)
      markReady(peer)
    }
  }

  /// A probe of ours was answered.
  mutating func pathReplied(_ data: UInt64, of peer: NodePeer, now: Instant) -> Bool {
    for index in peer.paths.indices {
      if peer.paths[index].mtu.handleReply(data, now: now) {
        if index == peer.activePath { takeOverPacketSize(of: peer) }
        markReady(peer)
        return true
      }
      guard peer.paths[index].handleReply(data, now: now) else { continue }
      if index != peer.activePath {
        if peer.paths[index].isWanted {
          peer.paths[index].isWanted = false
          activate(index, of: peer, oldIsDead: false, now: now)
        } else {
          // What the path in use is like now decides.
          peer.paths[peer.activePath].check(now: now)
        }
      } else {
        peer.connection?.machine.assume(roundTrip: .nanoseconds(peer.paths[index].roundTrip))
        choosePath(of: peer, now: now)
      }
      markReady(peer)
      return true
    }
    return false
  }

  /// What the paths of a peer are due to send: challenges on any, and probes for larger packets on the one in use.
  mutating func sendProbes(to peer: NodePeer, now: Instant) {
    for index in peer.paths.indices {
      if peer.paths[index].due <= now {
        let address = peer.paths[index].address
        if let token = peer.paths[index].nextChallenge(token: entropy.nextUInt64(), now: now) {
          device.send(Payload.pathProbe(token, filling: 0).bytes, to: peer.id, at: address, now: now)
        } else if index == peer.activePath {
          choosePath(of: peer, now: now)
        }
      }
      if index == peer.activePath, peer.paths[index].mtu.due <= now {
        if let timeouts = peer.connection?.machine.consecutiveProbeTimeouts, timeouts > 0 {
          peer.paths[index].mtu.putOff(now: now)
          continue
        }
        // Where there is no room for it now, there is the next time.
        let next = peer.paths[index].mtu.next ?? 0
        guard next <= transmitRoom else {
          longestPacket = max(longestPacket, next)
          continue
        }
        let token = entropy.nextUInt64()
        let roundTrip = Duration.nanoseconds(peer.paths[index].roundTrip)
        if let size = peer.paths[index].mtu.nextProbe(token: token, roundTrip: roundTrip, now: now) {
          let content = Payload.pathProbe(token, filling: size - WireGuard.transportOverhead)
          device.send(content.bytes, to: peer.id, at: peer.paths[index].address, now: now)
        }
      }
    }
  }

  /// Probe timeouts and losses that look like a path that carries small packets only.
  mutating func watchPacketSize(of peer: NodePeer, now: Instant) {
    guard let connection = peer.connection, !peer.paths.isEmpty else { return }
    let longOnesAreLost = connection.machine.longPacketsLost >= Self.mostLongLost
    if connection.machine.consecutiveProbeTimeouts >= 3 || longOnesAreLost {
      if peer.paths[peer.activePath].mtu.collapse(othersPass: longOnesAreLost, now: now) {
        takeOverPacketSize(of: peer)
      }
    }
  }

  /// A router has said that it passes no datagram to `address` above `size` bytes of UDP payload: an ICMP message "fragmentation
  /// needed" or "packet too big", less the headers. It counts only for a path in use.
  public mutating func packetTooBig(to address: SocketAddress, size: Int, now: Instant) {
    for case let peer? in peers where peer.activeAddress == address {
      guard peer.paths[peer.activePath].mtu.packetTooBig(size, now: now) else { continue }
      takeOverPacketSize(of: peer)
      markReady(peer)
    }
  }

  /// A probe timeout: the path may have become narrow, or be gone.
  mutating func watchPath(of peer: NodePeer, now: Instant) {
    watchPacketSize(of: peer, now: now)
    guard let timeouts = peer.connection?.machine.consecutiveProbeTimeouts, timeouts >= 2 else { return }
    if peer.paths.count > 1 {
      for index in peer.paths.indices { peer.paths[index].check(now: now) }
      markReady(peer)
    }
    // The interface that it went out by may be gone.
    if let address = peer.activeAddress { localAddresses.forget(address) }
    // The peer may have started again, and know nothing of these keys: rule 6 of WireGuard would ask after 15 s.
    if timeouts >= 3 { _ = device.renewKeys(with: peer.id, now: now) }
  }

  /// Takes the path that is best now, if that is not the one in use.
  private mutating func choosePath(of peer: NodePeer, now: Instant) {
    let current = peer.paths[peer.activePath]
    // The other side follows, unless its path is dead.
    guard publicKey > peer.publicKey || !current.isAnswering else { return }
    let best = PathSelector.choose(among: peer.paths.map(\.estimate), current: peer.activePath)
    if best != peer.activePath { activate(best, of: peer, oldIsDead: !current.isAnswering, now: now) }
  }

  private mutating func activate(_ index: Int, of peer: NodePeer, oldIsDead: Bool, now: Instant) {
    let old = peer.paths[peer.activePath]
    let new = peer.paths[index]
    peer.activePath = index
    peer.activeAddress = new.address
    device.setEndpoint(new.address, of: peer.id)
    // A NAT that gave the peer another port has not changed the path (RFC 9000 §9.4).
    if old.address.address != new.address.address {
      peer.connection?.machine.pathChanged(
        oldIsDead: oldIsDead, roundTrip: .nanoseconds(new.roundTrip), now: now)
      peer.paths[index].mtu.begin(now: now)
    } else {
      peer.paths[index].mtu = old.mtu
    }
    peer.pathChanges += 1
    takeOverPacketSize(of: peer)
    // Whether the old one is still there decides whether it can be gone back to.
    if let left = peer.paths.firstIndex(where: { $0.address == old.address }) { peer.paths[left].check(now: now) }
    events.append(.pathChanged(peer.id, new.address))
    markReady(peer)
  }

  private mutating func takeOverPacketSize(of peer: NodePeer, isNews: Bool = true) {
    let size = peer.packetSize
    longestPacket = max(longestPacket, size, peer.paths[peer.activePath].mtu.next ?? 0)
    peer.connection?.machine.packetSizeChanged(to: size, overhead: Self.overhead)
    if isNews { events.append(.packetSizeChanged(peer.id)) }
  }

  /// Bytes of a datagram around a `Packet` message.
  static var overhead: Int { WireGuard.transportOverhead + PayloadKind.typedHeaderLength() }
}
