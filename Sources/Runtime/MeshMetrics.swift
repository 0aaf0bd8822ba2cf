internal import CoreMetrics
internal import MeshNode
internal import MeshSession

/// What a node tells swift-metrics, from time to time: totals as counters, the present as gauges.
///
/// | label | what |
/// |---|---|
/// | `pnet_received_bytes`, `pnet_sent_bytes` | UDP payload of authenticated packets |
/// | `pnet_received_packets`, `pnet_sent_packets` | their number |
/// | `pnet_handshakes` | completed |
/// | `pnet_drops` | packets dropped, with the dimension `reason`, as `MeshStatus.drops` names it |
/// | `pnet_echoes_answered` | pings of WireGuard peers |
/// | `pnet_peers`, `pnet_strangers`, `pnet_connected_peers`, `pnet_streams` | gauges |
struct MeshMetrics {
  /// A counter that is told totals.
  private struct Total {
    let counter: Counter
    var told: UInt64 = 0

    init(_ label: String, _ factory: any MetricsFactory, reason: String? = nil) {
      counter = Counter(label: label, dimensions: reason.map { [("reason", $0)] } ?? [], factory: factory)
    }

    mutating func tell(_ total: UInt64) {
      guard total > told else { return }
      counter.increment(by: Int64(clamping: total - told))
      told = total
    }
  }

  private var receivedBytes, sentBytes, receivedPackets, sentPackets, handshakes, echoes: Total
  private var sessionDrops: [Total]
  private var nodeDrops: [Total]
  private let peers, strangers, connectedPeers, streams: Gauge

  init(_ factory: any MetricsFactory) {
    receivedBytes = Total("pnet_received_bytes", factory)
    sentBytes = Total("pnet_sent_bytes", factory)
    receivedPackets = Total("pnet_received_packets", factory)
    sentPackets = Total("pnet_sent_packets", factory)
    handshakes = Total("pnet_handshakes", factory)
    echoes = Total("pnet_echoes_answered", factory)
    sessionDrops = DropReason.allCases.map { Total("pnet_drops", factory, reason: "session.\($0)") }
    nodeDrops = NodeDropReason.allCases.map { Total("pnet_drops", factory, reason: "node.\($0)") }
    peers = Gauge(label: "pnet_peers", factory: factory)
    strangers = Gauge(label: "pnet_strangers", factory: factory)
    connectedPeers = Gauge(label: "pnet_connected_peers", factory: factory)
    streams = Gauge(label: "pnet_streams", factory: factory)
  }

  mutating func record(_ totals: NodeTotals) {
    receivedBytes.tell(totals.traffic.receivedBytes)
    sentBytes.tell(totals.traffic.sentBytes)
    receivedPackets.tell(totals.traffic.receivedPackets)
    sentPackets.tell(totals.traffic.sentPackets)
    handshakes.tell(totals.traffic.handshakes)
    echoes.tell(totals.echoesAnswered)
    for (index, reason) in DropReason.allCases.enumerated() { sessionDrops[index].tell(totals.sessionDrops[reason]) }
    for (index, reason) in NodeDropReason.allCases.enumerated() { nodeDrops[index].tell(totals.drops[reason]) }
    peers.record(totals.peers)
    strangers.record(totals.strangers)
    connectedPeers.record(totals.connectedPeers)
    streams.record(totals.streams)
  }
}
