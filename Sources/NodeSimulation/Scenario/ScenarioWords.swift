internal import MeshPrimitives
internal import MeshSimulation

/// The words of one line of a scenario, read from left to right.
struct ScenarioWords {
  /// What is wrong with a line.
  struct Problem: Error { let message: String }

  private enum Discipline: String, CaseIterable { case none, codel, dualpi2 }
  private enum BleachingName: String, CaseIterable { case none, all, ce, ect1, mark }

  private let words: [Substring]
  private var next = 0

  init(_ line: Substring) {
    let code = line.prefix { $0 != "#" }
    words = code.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\r" })
  }

  var isEmpty: Bool { next >= words.count }

  func peek() -> Substring? { next < words.count ? words[next] : nil }

  mutating func word(_ expected: String) throws(Problem) -> Substring {
    guard next < words.count else { throw Problem(message: "\(expected) is missing") }
    next += 1
    return words[next - 1]
  }

  /// Takes the next word if it is this one.
  mutating func take(_ word: String) -> Bool {
    guard next < words.count, words[next] == word else { return false }
    next += 1
    return true
  }

  func end() throws(Problem) {
    guard next < words.count else { return }
    throw Problem(message: "\(quoted(words[next])) is not expected here")
  }

  private func quoted(_ word: Substring) -> String {
    "'" + String(word.prefix(40).filter { $0.isASCII && !$0.isNewline }) + "'"
  }

  mutating func choice<Value: RawRepresentable & CaseIterable>(
    _ expected: String, of type: Value.Type
  ) throws(Problem) -> Value where Value.RawValue == String {
    let text = try word(expected)
    if let value = Value(rawValue: String(text)) { return value }
    let all = Value.allCases.map { $0.rawValue }.joined(separator: ", ")
    throw Problem(message: "\(expected) is one of \(all), not \(quoted(text))")
  }

  mutating func integer(_ expected: String, _ range: ClosedRange<Int64>) throws(Problem) -> Int64 {
    let text = try word(expected)
    guard let value = Int64(text), range.contains(value) else {
      throw Problem(
        message: "\(expected) is a whole number from \(range.lowerBound) to \(range.upperBound), not \(quoted(text))")
    }
    return value
  }

  /// A number of a host below `nodes`.
  mutating func host(_ nodes: Int) throws(Problem) -> Int {
    let text = try word("the number of a host")
    guard let value = Int(text), value >= 0, value < nodes else {
      throw Problem(message: "a host is a number from 0 to \(nodes - 1), not \(quoted(text))")
    }
    return value
  }

  /// Hosts as `3`, `0-4` or `0,2,5-7`.
  mutating func hosts(_ nodes: Int) throws(Problem) -> [Int] {
    let text = try word("the hosts")
    var result: [Int] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map { Int($0) }
      guard let first = ends.first ?? nil, let last = ends.last ?? nil, first >= 0, first <= last, last < nodes else {
        throw Problem(message: "hosts are written as 3, 0-4 or 0,2,5-7, up to \(nodes - 1), not \(quoted(text))")
      }
      result += first...last
    }
    return result
  }

  /// A time as `5s`, `20ms`, `2m`, `1h`, `100us`; `-` in front where `isSigned`.
  mutating func duration(_ expected: String, isSigned: Bool = false) throws(Problem) -> Duration {
    let text = try word(expected)
    let units: [(String, Int64)] = [
      ("us", 1000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000),
    ]
    let digits = text.hasPrefix("-") && isSigned ? text.dropFirst() : text
    if let value = Self.scaled(digits, units) { return .nanoseconds(digits.count == text.count ? value : -value) }
    throw Problem(message: "\(expected) is a time such as 5s, 20ms, 1.5m or 1h, not \(quoted(text))")
  }

  /// Bytes as `200B`, `64k`, `10M`; powers of 1000.
  mutating func bytes(_ expected: String) throws(Problem) -> Int64 {
    let text = try word(expected)
    let units: [(String, Int64)] = [
      ("B", 1), ("k", 1000), ("kB", 1000), ("M", 1_000_000), ("MB", 1_000_000), ("G", 1_000_000_000),
      ("GB", 1_000_000_000), ("", 1),
    ]
    if let value = Self.scaled(text, units) { return value }
    throw Problem(message: "\(expected) is a number of bytes such as 200B, 64k or 10M, not \(quoted(text))")
  }

  /// Bits per second as `500k`, `10M`, `1G`.
  mutating func rate(_ expected: String) throws(Problem) -> Int64 {
    let text = try word(expected)
    let units: [(String, Int64)] = [
      ("k", 1000), ("kbit", 1000), ("M", 1_000_000), ("Mbit", 1_000_000), ("G", 1_000_000_000), ("Gbit", 1_000_000_000),
    ]
    if let value = Self.scaled(text, units), value >= 1000 { return value }
    throw Problem(message: "\(expected) is a number of bits per second such as 500k, 10M or 1G, not \(quoted(text))")
  }

  /// A share as `1%` or `0.01`.
  mutating func share(_ expected: String) throws(Problem) -> Double {
    let text = try word(expected)
    let isPercent = text.hasSuffix("%")
    if let value = Double(isPercent ? text.dropLast() : text), value >= 0, value <= (isPercent ? 100 : 1) {
      return isPercent ? value / 100 : value
    }
    throw Problem(message: "\(expected) is a share such as 1% or 0.01, not \(quoted(text))")
  }

  /// A decimal number with one of the units, in the least unit.
  private static func scaled(_ text: Substring, _ units: [(String, Int64)]) -> Int64? {
    let number = text.prefix { $0.isNumber || $0 == "." }
    guard let unit = units.first(where: { $0.0 == text.dropFirst(number.count) }) else { return nil }
    let parts = number.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard let whole = parts.first.flatMap({ Int64($0) }), whole < 1 << 40 else { return nil }
    let (product, overflow) = whole.multipliedReportingOverflow(by: unit.1)
    guard !overflow, product < 1 << 62 else { return nil }
    guard parts.count == 2 else { return product }
    guard (1...9).contains(parts[1].count), let fraction = Int64(parts[1]) else { return nil }
    let scale = (0..<parts[1].count).reduce(Int64(1)) { product, _ in product * 10 }
    return product + fraction * (unit.1 / 1_000) / scale * 1_000
      + (unit.1 < 1000 ? 0 : fraction * (unit.1 % 1000) / scale)
  }

  /// What a path does to packets: the words behind `link`, `path` and `access`.
  mutating func conditions(_ base: LinkConditions) throws(Problem) -> LinkConditions {
    var conditions = base
    while let name = peek(), name != "at" {
      next += 1
      switch name {
      case "delay": conditions.delay = try duration("the delay")
      case "jitter": conditions.jitter = try duration("the jitter")
      case "reorders": conditions.jitterReorders = true
      case "loss": conditions.loss = try share("the loss")
      case "duplicate": conditions.duplication = try share("the share of duplicates")
      case "reorder": conditions.reordering = try share("the share that is held back")
      case "holdback": conditions.reorderDelay = try duration("the time of those held back")
      case "rate": conditions.rate = take("none") ? nil : try rate("the rate")
      case "queue": conditions.queue = Int(clamping: try bytes("the queue"))
      case "mark":
        conditions.markingThreshold = take("none") ? nil : Int(clamping: try bytes("the threshold for marks"))
      case "mtu": conditions.mtu = Int(clamping: try bytes("the MTU"))
      case "icmp": conditions.reportsTooLong = true
      case "burst":
        let average = try share("the loss in bursts")
        guard average < 1 else { throw Problem(message: "the loss in bursts is below 100%") }
        let length = take("length") ? try integer("the packets of a burst", 1...10_000) : 4
        conditions.burstLoss = average > 0 ? BurstLoss(average: average, length: Double(length)) : nil
      case "aqm":
        switch try choice("the queue discipline", of: Discipline.self) {
        case .none: conditions.discipline = .dropTail
        case .codel: conditions.discipline = .coDel()
        case .dualpi2: conditions.discipline = .dualPI2()
        }
      case "bleach":
        switch try choice("the bleaching", of: BleachingName.self) {
        case .none: conditions.bleaching = .none
        case .all: conditions.bleaching = .clearsField
        case .ce: conditions.bleaching = .clearsCE
        case .ect1: conditions.bleaching = .remarksECT1
        case .mark: conditions.bleaching = .marksAll
        }
      default:
        throw Problem(
          message:
            "\(quoted(name)) is not known here; allowed are delay, jitter, reorders, loss, duplicate, reorder, holdback, burst, rate, queue, mark, aqm, bleach, mtu, icmp"
        )
      }
    }
    return conditions
  }
}
