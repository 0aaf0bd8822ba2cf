internal import Glibc
internal import MeshNodeSimulation

/// An SVG of a run: who is connected to whom, and how each transfer went: congestion window, rate, queueing delay and queue.
struct SimulationDrawing {
  let svg: String
  private static let side = 640.0
  private static let plotWidth = 560.0
  private static let plotHeight = 150.0

  init(_ network: SimulatedNetwork) {
    let series = network.transferSeries.filter { $0.samples.count > 2 }.prefix(4)
    let height = max(Self.side + 40, Double(series.count) * (4 * (Self.plotHeight + 34) + 20) + 20)
    let width = series.isEmpty ? Self.side + 40 : Self.side + Self.plotWidth + 140
    var lines = [
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(Self.text(width))\" height=\"\(Self.text(height))\" font-family=\"sans-serif\" font-size=\"11\">",
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
      "<text x=\"20\" y=\"24\" font-size=\"14\">\(Self.escaped(Self.title(network)))</text>",
    ]
    lines += Self.topology(network)
    var top = 30.0
    for transfer in series {
      lines += Self.plots(transfer, x: Self.side + 100, y: top)
      top += 4 * (Self.plotHeight + 34) + 20
    }
    lines.append("</svg>")
    svg = lines.joined(separator: "\n") + "\n"
  }

  private static func title(_ network: SimulatedNetwork) -> String {
    let name = network.scenario.name.isEmpty ? "simulation" : network.scenario.name
    let topology = network.scenario.topology
    return "\(name): \(topology.nodes) nodes, \(topology.kind.rawValue), seed \(network.scenario.seed)"
  }

  // MARK: - Topology

  private static func topology(_ network: SimulatedNetwork) -> [String] {
    let hosts = network.hostFacts
    let places = hosts.indices.map { place($0, network.scenario.topology) }
    let edges = network.edges
    let busiest = Double(max(edges.reduce(1) { max($0, $1.datagrams) }, 1))
    var lines: [String] = []
    for edge in edges {
      let (from, to) = (places[edge.left], places[edge.right])
      let width = 0.5 + 4 * (Double(edge.datagrams) / busiest).squareRoot() / max(1, Double(hosts.count) / 100)
      lines.append(
        "<line x1=\"\(text(from.x))\" y1=\"\(text(from.y))\" x2=\"\(text(to.x))\" y2=\"\(text(to.y))\" stroke=\"\(edge.isConnected ? "#4477aa" : "#cc3311")\" stroke-opacity=\"0.6\" stroke-width=\"\(text(width))\"><title>\(edge.left) – \(edge.right): \(edge.datagrams) datagrams\(edge.isConnected ? "" : ", not connected")</title></line>"
      )
    }
    let radius = max(2, min(12, 160 / Double(max(hosts.count, 1)).squareRoot()))
    for (index, host) in hosts.enumerated() {
      let place = places[index]
      let fill = host.isUp ? (host.isBehindNAT ? "#ee9933" : "#228833") : "#999999"
      var words = "host \(index)"
      if host.isBehindNAT { words += ", behind a NAT" }
      if host.restarts > 0 { words += ", started again \(host.restarts) times" }
      if host.moves > 0 { words += ", moved \(host.moves) times" }
      lines.append(
        "<circle cx=\"\(text(place.x))\" cy=\"\(text(place.y))\" r=\"\(text(radius))\" fill=\"\(fill)\"><title>\(words)</title></circle>"
      )
      if hosts.count <= 100 {
        lines.append(
          "<text x=\"\(text(place.x))\" y=\"\(text(place.y + 4))\" text-anchor=\"middle\" fill=\"white\">\(index)</text>"
        )
      }
    }
    return lines
  }

  private static func place(_ host: Int, _ topology: Topology) -> (x: Double, y: Double) {
    let (nodes, margin) = (topology.nodes, 60.0)
    let room = side - 2 * margin
    switch topology.kind {
    case .line:
      return (margin + room * Double(host) / Double(max(nodes - 1, 1)), side / 2)
    case .grid:
      var columns = 1
      while columns * columns < nodes { columns += 1 }
      let step = room / Double(max(columns - 1, 1))
      return (margin + step * Double(host % columns), margin + step * Double(host / columns))
    case .star where host == 0: return (side / 2, side / 2)
    case .ring, .star, .random, .full:
      let angle = 2 * Double.pi * Double(host) / Double(max(nodes, 1))
      return (side / 2 + room / 2 * sin(angle), side / 2 - room / 2 * cos(angle))
    }
  }

  // MARK: - Plots

  private static func plots(_ series: Series, x: Double, y: Double) -> [String] {
    let times = series.samples.map { seconds($0.time) }
    let windows = series.samples.map { Double($0.congestionWindow) / 1000 }
    let inFlight = series.samples.map { Double($0.bytesInFlight) / 1000 }
    let delays = series.samples.map { max(0, seconds($0.smoothedRTT - $0.minimumRTT) * 1000) }
    let queues = series.samples.map { Double($0.queuedBytes) / 1000 }
    var rates = [0.0]
    for (last, next) in zip(series.samples, series.samples.dropFirst()) {
      let span = seconds(next.time - last.time)
      rates.append(span > 0 ? Double(next.received - last.received) * 8e-6 / span : 0)
    }
    let name = "\(series.sender) to \(series.receiver)"
    let step = plotHeight + 34
    return plot("\(name): congestion window and bytes in flight, kB", times, [windows, inFlight], x, y)
      + plot("\(name): rate, Mbit/s", times, [rates], x, y + step)
      + plot("\(name): queueing delay (smoothed less least round trip), ms", times, [delays], x, y + 2 * step)
      + plot("\(name): queues on the way, kB", times, [queues], x, y + 3 * step)
  }

  private static func plot(
    _ title: String, _ times: [Double], _ lines: [[Double]], _ x: Double, _ y: Double
  ) -> [String] {
    let top = lines.reduce(0) { max($0, $1.reduce(0, max)) }
    let (first, last) = (times.first ?? 0, times.last ?? 1)
    var result = [
      "<text x=\"\(text(x))\" y=\"\(text(y + 10))\">\(escaped(title))</text>",
      "<rect x=\"\(text(x))\" y=\"\(text(y + 14))\" width=\"\(text(plotWidth))\" height=\"\(text(plotHeight - 14))\" fill=\"none\" stroke=\"#bbbbbb\"/>",
      "<text x=\"\(text(x - 4))\" y=\"\(text(y + 22))\" text-anchor=\"end\">\(decimal(top, digits: top < 10 ? 2 : 0))</text>",
      "<text x=\"\(text(x - 4))\" y=\"\(text(y + plotHeight))\" text-anchor=\"end\">0</text>",
      "<text x=\"\(text(x))\" y=\"\(text(y + plotHeight + 12))\">\(decimal(first, digits: 1)) s</text>",
      "<text x=\"\(text(x + plotWidth))\" y=\"\(text(y + plotHeight + 12))\" text-anchor=\"end\">\(decimal(last, digits: 1)) s</text>",
    ]
    for (values, colour) in zip(lines, ["#4477aa", "#ee9933"]) {
      let points = zip(times, values).map { time, value in
        let across = last > first ? (time - first) / (last - first) : 0
        return
          "\(text(x + plotWidth * across)),\(text(y + plotHeight - (top > 0 ? value / top : 0) * (plotHeight - 14)))"
      }
      result.append(
        "<polyline fill=\"none\" stroke=\"\(colour)\" points=\"\(points.joined(separator: " "))\"/>")
    }
    return result
  }

  private static func seconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
  }

  private static func text(_ number: Double) -> String { decimal(number, digits: 1) }

  private static func escaped(_ text: String) -> String {
    text.map { $0 == "&" ? "&amp;" : $0 == "<" ? "&lt;" : $0 == ">" ? "&gt;" : String($0) }.joined()
  }
}
