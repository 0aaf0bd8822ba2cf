internal import MeshNodeSimulation

/// What came of a simulation, in words.
public struct SimulationText: Sendable {
  public let text: String

  public init(_ result: SimulationRun.Result) {
    let report = result.report
    let messages = report.messages
    var lines = [
      "\(report.name.isEmpty ? "simulation" : report.name), seed \(report.seed): \(report.nodes) nodes, "
        + "\(report.neighbours / 2) pairs of neighbours, \(decimal(report.virtualSeconds, digits: 1)) s"
    ]
    if messages.offered > 0 {
      let share = Double(messages.delivered) * 100 / Double(messages.offered)
      lines.append(
        "messages     \(messages.delivered) of \(messages.offered) delivered (\(decimal(share, digits: 3)) %); "
          + "\(messages.refused) had no connection, \(messages.ended) ended with one, \(messages.waiting) on their way")
      lines.append(
        "latency      p50 \(milliseconds(messages.latencyMillisecondsP50)), p99 \(milliseconds(messages.latencyMillisecondsP99)), "
          + "p99.9 \(milliseconds(messages.latencyMillisecondsP999)), at most \(milliseconds(messages.latencyMillisecondsMax))"
      )
    }
    for transfer in report.transfers.prefix(20) {
      let end = transfer.seconds.map { "in \(decimal($0, digits: 2)) s" } ?? "did not end"
      lines.append(
        "transfer     \(transfer.from) to \(transfer.to): \(byteCount(transfer.received)) of \(byteCount(transfer.bytes)) \(end), "
          + "\(decimal(transfer.megabitsPerSecond, digits: 2)) Mbit/s")
    }
    lines.append(
      "traffic      \(report.datagrams) datagrams, \(byteCount(report.bytes)) for \(byteCount(report.payload)) of payload "
        + "(\(decimal(report.overheadRatio, digits: 2)) sent for each)")
    lines.append(
      "sessions     \(report.handshakes) handshakes, \(report.connects) connects, \(report.disconnects) disconnects, "
        + "\(report.unreachable) times unreachable")
    lines.append("routes       \(report.routes) paths used, \(report.packetsOnBusiestRoute) datagrams on the busiest")
    lines.append("lost         \(Self.list(report.drops))\(report.marked > 0 ? "; \(report.marked) marked CE" : "")")
    lines.append("dropped      \(Self.list(report.nodeDrops))")
    lines.append(
      "speed        \(decimal(result.runSeconds, digits: 2)) s for \(decimal(report.virtualSeconds, digits: 1)) s: "
        + "\(decimal(result.speed, digits: 1)) x, \(decimal(result.cpuSeconds, digits: 2)) s of CPU, \(report.wakeups) wake-ups; \(byteCount(result.peakMemory)) of memory at most"
    )
    lines.append("trace hash   \(report.traceHash)")
    text = lines.joined(separator: "\n")
    func milliseconds(_ value: Double) -> String { "\(decimal(value, digits: 1)) ms" }
  }

  private static func list(_ counts: [String: UInt64]) -> String {
    guard !counts.isEmpty else { return "nothing" }
    return counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
  }
}
