public import MeshPrimitives
public import MeshSession

/// Figures of a whole node since it was started, those of peers that are gone included.
public struct NodeTotals: Sendable {
  public let traffic: Traffic
  public let sessionDrops: ReasonCounters<DropReason>
  public let drops: ReasonCounters<NodeDropReason>
  public let echoesAnswered: UInt64
  /// Peers at this moment: all, strangers among them, and those with a connection.
  public let peers: Int
  public let strangers: Int
  public let connectedPeers: Int
  /// Streams at this moment that have not ended in both directions.
  public let streams: Int
}

extension Node {
  /// Takes time with the number of peers, a few ns each.
  public var totals: NodeTotals {
    var (all, strangers, connected, streams) = (0, 0, 0, 0)
    for case let peer? in peers {
      all += 1
      if peer.isStranger { strangers += 1 }
      if peer.isConnected { connected += 1 }
      streams += peer.connection?.machine.streamCount ?? 0
    }
    return NodeTotals(
      traffic: device.traffic, sessionDrops: sessionDrops, drops: drops, echoesAnswered: echoesAnswered, peers: all,
      strangers: strangers, connectedPeers: connected, streams: streams)
  }
}
