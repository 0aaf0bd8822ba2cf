internal import MeshPrimitives

/// What came of a run, for people and scripts. Nothing in it depends on the machine.
public struct SimulationReport: Encodable, Sendable {
  public struct Messages: Encodable, Sendable {
    public let offered: UInt64
    public let delivered: UInt64
    /// No connection when they were to be sent; the connection ended before they arrived; still on their way.
    public let refused: UInt64
    public let ended: UInt64
    public let waiting: UInt64
    public let latencyMillisecondsP50: Double
    public let latencyMillisecondsP99: Double
    public let latencyMillisecondsP999: Double
    public let latencyMillisecondsMax: Double
  }

  public struct Transfer: Encodable, Sendable {
    public let from: Int
    public let to: Int
    public let bytes: UInt64
    public let received: UInt64
    /// Virtual seconds until the last byte had come; `nil`: it has not.
    public let seconds: Double?
    public let megabitsPerSecond: Double
  }

  public let name: String
  public let seed: UInt64
  public let nodes: Int
  public let neighbours: Int
  public let virtualSeconds: Double
  public let traceHash: String
  public let messages: Messages
  public let transfers: [Transfer]
  public let datagrams: UInt64
  public let datagramsArrived: UInt64
  /// UDP payload.
  public let bytes: UInt64
  /// Bytes that came out of streams.
  public let payload: UInt64
  /// Bytes sent for each byte of payload.
  public let overheadRatio: Double
  public let handshakes: UInt64
  public let connects: UInt64
  public let disconnects: UInt64
  public let unreachable: UInt64
  /// Datagrams that did not arrive, by reason.
  public let drops: [String: UInt64]
  /// Datagrams that queues marked CE.
  public let marked: Int
  /// What nodes dropped of what arrived, by reason.
  public let nodeDrops: [String: UInt64]
  /// Paths that carried packets, one direction each, and how unevenly: packets on the busiest.
  public let routes: Int
  public let packetsOnBusiestRoute: Int
  public let wakeups: UInt64
  public let violation: String?
}

extension SimulatedNetwork {
  /// What came of the run so far.
  public var report: SimulationReport {
    let waiting =
      openFlows.reduce(0) { $0 + (flows[$1].isBroken ? 0 : flows[$1].waiting) }
      + hosts.reduce(0) { $1.conversations.reduce($0) { $0 + $1.letters.count } }
    var nodeDrops: [String: UInt64] = [:]
    var handshakes: UInt64 = 0
    for host in hosts {
      let totals = host.node.totals
      handshakes += host.pastHandshakes + (host.state == .down ? 0 : totals.traffic.handshakes)
      for (reason, count) in totals.dropCounts { nodeDrops[reason, default: 0] += count }
    }
    let transfers = series.map { series in
      let flow = flows[series.flow]
      let seconds = flow.ended.map { Double($0.nanoseconds(since: flow.began)) / 1e9 }
      let elapsed = seconds ?? Double(now.nanoseconds(since: flow.began)) / 1e9
      return SimulationReport.Transfer(
        from: flow.sender, to: flow.receiver, bytes: flow.offered - 8, received: max(flow.received, 8) - 8,
        seconds: seconds, megabitsPerSecond: elapsed > 0 ? Double(flow.received) * 8e-6 / elapsed : 0)
    }
    func milliseconds(_ thousandths: UInt64) -> Double { Double(counts.latency.percentile(thousandths) / 1000) / 1000 }
    let used = links.used
    var drops = counts.drops
    let managed = links.links.reduce(0) { $0 + $1.counts.dropped }
    if managed > 0 { drops["byQueue"] = UInt64(managed) }
    return SimulationReport(
      name: scenario.name, seed: scenario.seed, nodes: hosts.count,
      neighbours: hosts.reduce(0) { $0 + $1.conversations.count },
      virtualSeconds: Double((now - start).wholeNanoseconds) / 1e9, traceHash: fingerprint.text,
      messages: SimulationReport.Messages(
        offered: counts.messagesOffered, delivered: counts.messagesDelivered, refused: counts.messagesRefused,
        ended: counts.messagesEnded, waiting: UInt64(waiting), latencyMillisecondsP50: milliseconds(500),
        latencyMillisecondsP99: milliseconds(990), latencyMillisecondsP999: milliseconds(999),
        latencyMillisecondsMax: Double(counts.latency.greatest / 1000) / 1000),
      transfers: transfers, datagrams: counts.datagramsSent, datagramsArrived: counts.datagramsArrived,
      bytes: counts.bytesSent, payload: counts.payload,
      overheadRatio: counts.payload > 0 ? Double(counts.bytesSent) / Double(counts.payload) : 0, handshakes: handshakes,
      connects: counts.connects, disconnects: counts.disconnects, unreachable: counts.unreachable, drops: drops,
      marked: links.links.reduce(0) { $0 + $1.counts.marked },
      nodeDrops: nodeDrops, routes: used.count, packetsOnBusiestRoute: used.reduce(0) { max($0, $1.packets) },
      wakeups: counts.wakes, violation: violation?.description)
  }

  /// How each transfer went, over time.
  public var transferSeries: [Series] { series }
}
