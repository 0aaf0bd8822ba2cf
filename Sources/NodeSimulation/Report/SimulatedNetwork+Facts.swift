internal import MeshPrimitives

/// Two neighbours, and what went between them.
public struct SimulatedEdge: Sendable {
  public let left: Int
  public let right: Int
  /// Datagrams that links carried, both directions.
  public let datagrams: Int
  /// Whether the one with the smaller number has a connection to the other now.
  public let isConnected: Bool
}

/// One host, for a drawing.
public struct SimulatedHostFacts: Sendable {
  public let isBehindNAT: Bool
  public let isUp: Bool
  public let restarts: Int
  public let moves: Int
}

extension SimulatedNetwork {
  /// Share of the run that is over, 0 to 1.
  public var progress: Double {
    let all = scenario.duration.wholeNanosecondsOrOne
    return min(max(Double((now - start).wholeNanosecondsOrOne) / Double(all), 0), 1)
  }

  /// Messages that have been sent and that have arrived.
  public var messagesSoFar: (offered: UInt64, delivered: UInt64) { (counts.messagesOffered, counts.messagesDelivered) }

  public var datagramsSoFar: UInt64 { counts.datagramsSent }

  /// All pairs of neighbours, in ascending order.
  public var edges: [SimulatedEdge] {
    var carried: [UInt64: Int] = [:]
    for path in links.used {
      carried[UInt64(min(path.from, path.to)) << 32 | UInt64(max(path.from, path.to)), default: 0] += path.packets
    }
    return hosts.flatMap { host in
      host.conversations.filter { $0.other > host.index }.map {
        SimulatedEdge(
          left: host.index, right: $0.other, datagrams: carried[UInt64(host.index) << 32 | UInt64($0.other)] ?? 0,
          isConnected: $0.isConnected)
      }
    }
  }

  public var hostFacts: [SimulatedHostFacts] {
    hosts.map {
      SimulatedHostFacts(
        isBehindNAT: $0.isBehindNAT, isUp: $0.state == .up, restarts: $0.restarts, moves: $0.moves)
    }
  }
}

extension Duration {
  fileprivate var wholeNanosecondsOrOne: Int64 {
    let (seconds, attoseconds) = components
    return max(seconds * 1_000_000_000 + attoseconds / 1_000_000_000, 1)
  }
}
