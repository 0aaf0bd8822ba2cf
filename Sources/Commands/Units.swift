internal import Glibc

/// `number` with so many digits behind the point.
public func decimal(_ number: Double, digits: Int) -> String {
  guard number.isFinite, abs(number) < 1e15 else { return "-" }
  var scale = 1.0
  for _ in 0..<digits { scale *= 10 }
  let scaled = Int64((abs(number) * scale).rounded())
  let sign = number < 0 && scaled > 0 ? "-" : ""
  guard digits > 0 else { return "\(sign)\(scaled)" }
  let whole = scaled / Int64(scale)
  let fraction = String(scaled % Int64(scale))
  return "\(sign)\(whole)." + String(repeating: "0", count: digits - fraction.utf8.count) + fraction
}

/// Such as `1.50 GB`: powers of 1000.
public func byteCount(_ bytes: UInt64) -> String {
  let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
  var value = Double(bytes)
  var unit = 0
  while value >= 1000, unit < units.count - 1 {
    value /= 1000
    unit += 1
  }
  return unit == 0 ? "\(bytes) B" : "\(decimal(value, digits: value < 10 ? 2 : value < 100 ? 1 : 0)) \(units[unit])"
}

/// Such as `1 hour, 2 minutes, 3 seconds`, as `wg show` writes it.
public func spelledDuration(_ seconds: Double) -> String {
  guard seconds.isFinite, seconds >= 1 else { return "0 seconds" }
  var rest = UInt64(min(seconds, 1e12))
  var parts: [String] = []
  for (name, length) in [("day", 86_400 as UInt64), ("hour", 3600), ("minute", 60), ("second", 1)] {
    let count = rest / length
    rest %= length
    if count > 0 { parts.append("\(count) \(name)\(count == 1 ? "" : "s")") }
  }
  return parts.joined(separator: ", ")
}

/// Such as `0:07` or `1:02:03`.
func clockDuration(_ seconds: Double) -> String {
  let whole = Int(min(max(0, seconds), 359_999))
  func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
  return whole >= 3600
    ? "\(whole / 3600):\(two(whole / 60 % 60)):\(two(whole % 60))" : "\(whole / 60):\(two(whole % 60))"
}
