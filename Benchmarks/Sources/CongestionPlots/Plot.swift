import MeshPrimitives

/// Window, wait and rate over time, one below the other, as SVG.
struct Plot {
  private static let colours = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd"]
  private static let width = 640.0
  private static let height = 110.0
  private static let left = 52.0
  private static let top = 44.0
  private static let gap = 28.0

  let title: String
  let dumbbell: Dumbbell

  var svg: String {
    let step = Double(dumbbell.binLength.wholeNanoseconds) / 1e9
    let count = dumbbell.queueInBin.count
    let total = Double(count) * step
    let rates = dumbbell.flows.map { $0.deliveredInBin.map { Double($0) * 8 / step / 1e6 } }
    let windows = dumbbell.flows.map { $0.windowInBin.map { Double($0) / 1_000 } }
    let waits = dumbbell.waitInBin.map { Double($0) / 1e6 }
    let panels: [(name: String, series: [[Double]], isShared: Bool)] = [
      ("window, kB", windows, false), ("longest wait, ms", [waits], true), ("rate, Mbit/s", rates, false),
    ]
    let full = Self.top + 3 * (Self.height + Self.gap)
    var text = """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 \(Int(full) + 10)" font-family="sans-serif" font-size="11">
      <rect width="720" height="\(Int(full) + 10)" fill="white"/>
      <text x="\(Int(Self.left))" y="16" font-size="13">\(title)</text>

      """
    for (index, flow) in dumbbell.flows.enumerated() {
      text += """
        <text x="\(Int(Self.left) + 110 * index)" y="32" fill="\(Self.colours[index % 4])">\(flow.algorithm.name)</text>

        """
    }
    for (index, panel) in panels.enumerated() {
      let y = Self.top + Double(index) * (Self.height + Self.gap)
      let top = Self.round(up: panel.series.flatMap { $0 }.max() ?? 1)
      text += """
        <rect x="\(Int(Self.left))" y="\(Int(y))" width="\(Int(Self.width))" height="\(Int(Self.height))" fill="none" \
        stroke="#999"/>
        <text x="\(Int(Self.left) + 4)" y="\(Int(y) + 12)" fill="#555">\(panel.name)</text>
        <text x="\(Int(Self.left) - 4)" y="\(Int(y) + 9)" text-anchor="end">\(short(top))</text>
        <text x="\(Int(Self.left) - 4)" y="\(Int(y + Self.height))" text-anchor="end">0</text>

        """
      for (number, series) in panel.series.enumerated() {
        let points = series.enumerated().map { bin, value in
          let x = Self.left + Double(bin + 1) * step / total * Self.width
          return fixed(x, 1) + "," + fixed(y + Self.height - value / top * Self.height, 1)
        }
        let colour = panel.isShared ? "#555" : Self.colours[number % 4]
        text += "<polyline fill=\"none\" stroke=\"\(colour)\" points=\"\(points.joined(separator: " "))\"/>\n"
      }
    }
    for tick in stride(from: 0, through: Int(total), by: max(5, Int(total) / 8 / 5 * 5)) {
      let x = Self.left + Double(tick) / total * Self.width
      text += "<text x=\"\(Int(x))\" y=\"\(Int(full) - 12)\" text-anchor=\"middle\">\(tick) s</text>\n"
    }
    return text + "</svg>\n"
  }

  /// The next of 1, 2, 5, 10, 20 …
  private static func round(up value: Double) -> Double {
    var scale = 0.1
    while true {
      for step in [1.0, 2, 5] where step * scale >= value { return step * scale }
      scale *= 10
    }
  }
}
