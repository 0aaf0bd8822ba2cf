internal import MeshPrimitives

/// The last packets of one host as a Mermaid sequence diagram.
struct SequenceDiagram {
  private static let longest = 80
  let text: String

  init(_ entries: [TraceEntry], about host: Int) {
    let chosen = entries.filter { host < 0 || $0.sender == host || $0.receiver == host }.suffix(Self.longest)
    var names: [Int] = []
    for entry in chosen {
      var parties = [entry.sender, entry.receiver]
      if case .event = entry.kind, entry.receiver < 0 { parties.removeLast() }
      for name in parties where !names.contains(name) { names.append(name) }
    }
    names.sort()
    var lines = ["sequenceDiagram"]
    for name in names { lines.append("  participant \(Self.name(name))") }
    for entry in chosen {
      let time = Self.seconds(entry.time)
      let (from, to) = (Self.name(entry.sender), Self.name(entry.receiver))
      if case .event(let text) = entry.kind {
        lines.append("  Note over \(from): \(time) \(text)\(entry.receiver >= 0 ? " \(to)" : "")")
        continue
      }
      let arrow =
        switch entry.kind {
        case .sent: "-)"
        case .arrived, .forged: "->>"
        default: "-x"
        }
      lines.append("  \(from)\(arrow)\(to): \(time) \(entry.kind.name) \(Self.message(entry)) \(entry.size) B")
    }
    text = lines.joined(separator: "\n") + "\n"
  }

  private static func name(_ host: Int) -> String { host < 0 ? "Nobody" : "H\(host)" }

  private static func message(_ entry: TraceEntry) -> String {
    switch entry.type {
    case 1: "initiation"
    case 2: "response"
    case 3: "cookie"
    case 4: entry.size == 32 ? "keepalive" : "data"
    default: "other"
    }
  }

  private static func seconds(_ time: Duration) -> String {
    let micros = time.wholeNanoseconds / 1000
    let fraction = String(micros % 1_000_000)
    return "\(micros / 1_000_000)." + String(repeating: "0", count: 6 - fraction.count) + fraction
  }
}
