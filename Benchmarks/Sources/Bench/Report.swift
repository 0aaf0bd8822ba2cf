import MeshBenchmarks

/// Where measurements go.
protocol Report {
  func begin()
  func add(_ measurements: [Measurement])
  func end()
}

/// Lines for people.
struct TableReport: Report {
  func begin() {
    print(row("case", "ns median", "ns min", "rate", "mallocs/op", "held against"))
  }

  func add(_ measurements: [Measurement]) {
    for measurement in measurements {
      var held = measurement.ratio.map { "\(fixed($0, 2)) x \(measurement.reference ?? "")" } ?? ""
      for figure in measurement.figures { held += "  \(figure.name) \(fixed(figure.value, 2))" }
      print(
        row(
          measurement.name, time(measurement.median), time(measurement.minimum), rate(measurement),
          fixed(measurement.allocations, measurement.allocations == 0 ? 0 : 2), held))
    }
    flush()
  }

  func end() {}

  private func row(
    _ name: String, _ median: String, _ minimum: String, _ rate: String, _ allocations: String, _ held: String
  ) -> String {
    let columns = [
      name.padded(to: 46), median.padded(to: -11), minimum.padded(to: -11), rate.padded(to: -14),
      allocations.padded(to: -11),
    ]
    return held.isEmpty ? columns.joined(separator: " ") : columns.joined(separator: " ") + "  " + held
  }

  private func time(_ nanoseconds: Double) -> String { fixed(nanoseconds, nanoseconds < 100 ? 2 : 0) }

  private func rate(_ measurement: Measurement) -> String {
    if measurement.bytes > 0 { return "\(fixed(Double(measurement.bytes) * 1000 / measurement.median, 0)) MB/s" }
    let perSecond = 1e9 / measurement.median
    return perSecond >= 1e6 ? "\(fixed(perSecond / 1e6, 1)) M/s" : "\(fixed(perSecond, 0)) /s"
  }
}

/// One JSON object a case, in an array.
final class JSONReport: Report {
  private var isFirst = true

  func begin() { print("[") }

  func add(_ measurements: [Measurement]) {
    for measurement in measurements {
      var fields = [
        "\"name\": \"\(measurement.name)\"", "\"nanoseconds\": \(fixed(measurement.median, 3))",
        "\"minimum\": \(fixed(measurement.minimum, 3))", "\"mallocs\": \(fixed(measurement.allocations, 4))",
      ]
      if measurement.bytes > 0 { fields.append("\"bytes\": \(measurement.bytes)") }
      if let reference = measurement.reference, let ratio = measurement.ratio {
        fields.append("\"reference\": \"\(reference)\", \"ratio\": \(fixed(ratio, 4))")
      }
      for figure in measurement.figures { fields.append("\"\(figure.name)\": \(fixed(figure.value, 4))") }
      print((isFirst ? "  {" : ", {") + fields.joined(separator: ", ") + "}")
      isFirst = false
    }
    flush()
  }

  func end() { print("]") }
}

/// `value` with so many decimals. Not for values beyond 2^53 or below 0.
func fixed(_ value: Double, _ decimals: Int) -> String {
  var scale = 1
  for _ in 0..<decimals { scale *= 10 }
  let units = Int(value * Double(scale) + 0.5)
  guard decimals > 0 else { return String(units) }
  let fraction = String(units % scale)
  return "\(units / scale)." + String(repeating: "0", count: decimals - fraction.count) + fraction
}

extension String {
  /// Filled with spaces behind it to `width`, or before it to `-width`.
  func padded(to width: Int) -> String {
    let space = String(repeating: " ", count: max(0, abs(width) - count))
    return width < 0 ? space + self : self + space
  }
}
