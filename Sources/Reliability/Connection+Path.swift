public import MeshPrimitives

// The path that packets take.
extension Connection {
  /// Bytes of a packet, beyond which a path may not carry it: longer ones that get lost, one after the other, are counted.
  /// Somewhat above what a datagram of ``MTUDiscovery/minimum`` bytes counts.
  static var alwaysCarried: Int { 1_100 }

  /// A full datagram has so many bytes from now on, of which `overhead` are not the `Packet` message.
  public mutating func packetSizeChanged(to size: Int, overhead: Int) {
    packetCapacity = max(Self.smallestCapacity, size - overhead)
    path.longLost = 0
    path.packetSizeChanged(to: size)
    background?.packetSizeChanged(to: size)
  }

  /// The round-trip time that probes have measured, to go by until acknowledgements tell.
  public mutating func assume(roundTrip: Duration) {
    guard !path.rtt.hasSample, roundTrip > .zero else { return }
    path.rtt = RTTEstimator(initial: min(roundTrip.wholeNanoseconds, 10_000_000_000))
  }

  /// Long packets lost since the last one that arrived, on this path. Many of them, while short ones arrive, tell of a path
  /// that has become narrower (RFC 8899 §4.3).
  public var longPacketsLost: Int { path.longLost }

  /// Packets take another path from now on. What was known of the old one is forgotten (RFC 9000 §9.4), and what happens
  /// to packets that are still on it does not count for the new one.
  /// - Parameters:
  ///   - oldIsDead: whether all that is on the way is sent again at once.
  ///   - roundTrip: of the new path, as probes have measured it; zero: unknown.
  public mutating func pathChanged(oldIsDead: Bool, roundTrip: Duration, now: Instant) {
    guard case .open = state else { return }
    path = PathState(after: path, from: sent.next, configuration, roundTrip: roundTrip.wholeNanoseconds)
    for number in max(firstOpen, sent.base)..<sent.next where sent[number].state == .outstanding {
      bytesInFlight -= Int(sent[number].size)
      sent[number].size = 0
      sent[number].ecnMarked = false
      if oldIsDead { lose(number, sent[number]) }
    }
    background?.pathChanged(packetSize: path.packetSize)
    timeouts = 0
    probes = max(probes, unanswered > 0 ? 1 : 0)
    lossTime = nil
    probeTimerBegin = now
    if oldIsDead {
      unansweredSince = unanswered > 0 ? now : nil
      waited = 0
      lastAskedAt = now
    }
  }
}
