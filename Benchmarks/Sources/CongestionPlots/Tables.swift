import MeshReliability

/// The tables in Markdown.
enum Tables {
  static func alone(_ results: [RunResult]) -> String {
    let algorithms = CongestionAlgorithm.allCases
    var text = "| path | " + algorithms.map(\.name).joined(separator: " | ") + " |\n"
    text += "|---|" + String(repeating: "---|", count: algorithms.count) + "\n"
    for start in stride(from: 0, to: results.count, by: algorithms.count) {
      let row = results[start..<start + algorithms.count]
      text += "| \(results[start].path.name) | "
      text += row.map { cell($0.flows[0]) }.joined(separator: " | ") + " |\n"
    }
    return text
  }

  private static func cell(_ flow: FlowResult) -> String {
    "\(fixed(flow.share * 100, 0)) % · \(short(flow.waitMedian)) / \(short(flow.wait99))"
  }

  static func pairs(_ results: [RunResult]) -> String {
    var text = ""
    var last = ""
    for result in results {
      if result.path.name != last {
        last = result.path.name
        text += "\n### \(last)\n\n| flows | first | second | Jain |\n|---|---|---|---|\n"
      }
      text += "| \(result.flows.map(\.algorithm.name).joined(separator: ", ")) | "
      text += result.flows.map(cell).joined(separator: " | ") + " | \(fixed(result.fairness, 2)) |\n"
    }
    return text
  }

  static func recovery(_ results: [RecoveryResult]) -> String {
    let algorithms = CongestionAlgorithm.allCases
    var text = "| path | " + algorithms.map(\.name).joined(separator: " | ") + " |\n"
    text += "|---|" + String(repeating: "---|", count: algorithms.count) + "\n"
    for start in stride(from: 0, to: results.count, by: algorithms.count) {
      let row = results[start..<start + algorithms.count]
      text += "| \(results[start].path.name) | "
      text += row.map { "\(seconds($0.drain)) / \(seconds($0.regain))" }.joined(separator: " | ") + " |\n"
    }
    return text
  }

  static func background(_ results: [BackgroundResult]) -> String {
    func percent(_ value: Double) -> String { "\(fixed(value * 100, 0)) %" }
    var text =
      "| path | alone | beside CUBIC of another connection | beside the bulk lane of its own |\n|---|---|---|---|\n"
    for result in results {
      text += "| \(result.path.name) | \(percent(result.alone))"
      for pair in [result.besideAnother, result.besideBulk] {
        text += " | \(percent(pair.lane)) and \(percent(pair.other))"
      }
      text += " |\n"
    }
    return text
  }

  private static func seconds(_ value: Double?) -> String { value.map { fixed($0, 1) } ?? "> 15" }

  // MARK: JSON

  static func json(alone: [RunResult], pairs: [RunResult], recovery: [RecoveryResult], background: [BackgroundResult])
    -> String
  {
    """
    {"alone": [\(alone.map(object).joined(separator: ",\n"))],
    "pairs": [\(pairs.map(object).joined(separator: ",\n"))],
    "recovery": [\(recovery.map(object).joined(separator: ",\n"))],
    "background": [\(background.map(object).joined(separator: ",\n"))]}
    """
  }

  private static func members(_ path: Path) -> String {
    """
    "rateMbps": \(path.rate), "roundTripMs": \(path.roundTrip), "loss": \(path.loss), "queue": "\(path.queue.rawValue)", \
    "queueBytes": \(path.queueBytes)
    """
  }

  private static func object(_ result: RunResult) -> String {
    let flows = result.flows.map {
      """
      {"algorithm": "\($0.algorithm.name)", "share": \(fixed($0.share, 4)), "waitP50Ms": \(fixed($0.waitMedian, 3)), \
      "waitP99Ms": \(fixed($0.wait99, 3))}
      """
    }
    return """
      {\(members(result.path)), "seconds": \(result.seconds), "jain": \(fixed(result.fairness, 4)), \
      "flows": [\(flows.joined(separator: ", "))]}
      """
  }

  private static func object(_ result: BackgroundResult) -> String {
    """
    {\(members(result.path)), "alone": \(fixed(result.alone, 4)), \
    "besideAnother": [\(fixed(result.besideAnother.lane, 4)), \(fixed(result.besideAnother.other, 4))], \
    "besideBulk": [\(fixed(result.besideBulk.lane, 4)), \(fixed(result.besideBulk.other, 4))]}
    """
  }

  private static func object(_ result: RecoveryResult) -> String {
    """
    {\(members(result.path)), "algorithm": "\(result.algorithm.name)", \
    "drainSeconds": \(result.drain.map { fixed($0, 1) } ?? "null"), \
    "regainSeconds": \(result.regain.map { fixed($0, 1) } ?? "null")}
    """
  }
}
