internal import MeshPacket
public import MeshPrimitives
internal import MeshReliability
internal import MeshRouting
internal import MeshSession

/// Why an IP packet was not taken.
public enum IPSendError: Error, Equatable, Sendable {
  /// It is no IP packet, or its header contradicts itself.
  case malformed(DecodeError)
  /// No peer has an allowed IP that the destination belongs to.
  case noRoute(IPAddress)
  /// It has more bytes than the MTU of the tunnel.
  case tooLong(bytes: Int, mtu: Int)
  /// There is no memory for it.
  case full
}

// IP packets: they have no number, and are never acknowledged or sent again.
extension Node {
  /// Takes an IP packet for the peer that its destination belongs to (cryptokey routing). It waits in the peer's
  /// ``EgressQueue`` for its turn beside the connection, and for keys; nothing is held for a peer that does not answer.
  /// - Parameter packet: what lies behind the packet by its own header is ignored.
  public mutating func sendIP(_ packet: RawSpan, now: Instant) throws(IPSendError) {
    let header: IPPacketHeader
    do { header = try IPPacketHeader(parsing: packet) } catch { throw .malformed(error) }
    let mtu = min(configuration.mtu, Self.longestTunnelMTU)
    guard header.totalLength <= mtu else { throw .tooLong(bytes: header.totalLength, mtu: mtu) }
    guard let slot = allowedIPs.lookup(header.destination), let peer = peers[Int(slot)] else {
      throw .noRoute(header.destination)
    }
    guard enqueue(packet.extracting(0..<header.totalLength), ecn: header.ecn, for: peer, now: now) else {
      throw .full
    }
  }

  mutating func enqueue(_ packet: RawSpan, ecn: ECN, for peer: NodePeer, now: Instant) -> Bool {
    let queue = peer.egress ?? EgressQueue(pool: pool)
    peer.egress = queue
    markReady(peer)
    return queue.append(packet, to: .ip, ecn: ecn, now: now)
  }

  /// Fills `output` with what the queue holds for one turn of one flow: packets of one size and marking, the last one shorter.
  mutating func nextQueued(
    _ flow: EgressQueue.Flow, of queue: EgressQueue, to peer: NodePeer, at destination: SocketAddress,
    into output: inout OutputRawSpan, now: Instant
  ) -> Burst? {
    var size = 0
    var ecn = ECN.notECT
    var segments = 0
    while segments < Self.segmentsPerBurst, let packet = queue.front(of: flow, now: now) {
      let padded = WireGuard.paddedSize(of: packet.size, mtu: configuration.mtu)
      let total = padded + WireGuard.transportOverhead
      if segments == 0 {
        size = total
        ecn = packet.ecn
      }
      guard total <= size, packet.ecn == ecn, output.freeCapacity >= total else { break }
      let start = output.byteCount
      output.append(zeros: WireGuard.transportHeaderSize)
      queue.takeFront(of: flow, into: &output)
      output.append(zeros: padded - packet.size + WireGuard.tagSize)
      var written = output.mutableBytes
      var datagram = written._mutatingExtracting(start..<written.byteCount)
      if ecn == .ce {
        var inner = datagram._mutatingExtracting(WireGuard.transportHeaderSize..<datagram.byteCount)
        IPPacketHeader.markCongestion(&inner)
      }
      guard (try? device.seal(&datagram, to: peer.id, now: now)) != nil else {
        // The keys are used up: what is not encrypted does not leave.
        output.removeLast(total)
        break
      }
      segments += 1
      if total < size { break }
    }
    guard segments > 0 else { return nil }
    // The outer header says what the inner one says (RFC 6040 §4.1).
    return Burst(
      destination: destination, source: localAddresses.source(for: destination),
      segmentSize: min(size, output.byteCount), ecn: ecn)
  }
}
