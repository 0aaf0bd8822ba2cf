public import MeshTraversal

/// A report on the network for people: facts first, then what they mean.
public enum NetReportText {
  public static func render(_ report: NetReport) -> String {
    var lines: [String] = []
    if let udp = report.udp { lines.append(row("UDP", udp ? "works" : "does not work: no server answered")) }
    if report.ipv4 != nil || report.ipv6 != nil {
      lines += family("IPv4", report.ipv4)
      lines += family("IPv6", report.ipv6)
    }
    for relay in report.relays { lines += relayed(relay) }
    lines += meaning(report).map { "\n" + $0 }
    return lines.joined(separator: "\n")
  }

  private static func row(_ key: String, _ value: String) -> String {
    key + String(repeating: " ", count: max(1, 12 - key.count)) + value
  }

  private static func family(_ name: String, _ family: NetReport.Family?) -> [String] {
    guard let family else { return [row(name, "not tried: no server has such an address")] }
    guard let local = family.localAddress else { return [row(name, "no route")] }
    var lines = [row(name, family.works ? "works, from \(local)" : "does not work, from \(local)")]
    for view in family.views {
      let time = view.roundTripMilliseconds.map { ", \(decimal($0, digits: 1)) ms" } ?? ""
      let seen = view.mappedAddress.map { "seen as \($0)\(time)" } ?? view.problem ?? ""
      lines.append(row("", "\(view.server): \(seen)"))
    }
    guard family.works else { return lines }
    if family.isTranslated == false {
      lines.append(row("  NAT", "none: the address is this machine's own"))
    } else {
      var parts = ["yes"]
      if let mapping = family.mapping { parts.append("mapping \(mapping)") }
      if let preserves = family.preservesPort { parts.append(preserves ? "keeps the port" : "changes the port") }
      if let hairpins = family.hairpins { parts.append(hairpins ? "hairpins" : "no hairpinning") }
      lines.append(row("  NAT", parts.joined(separator: ", ")))
    }
    if let filtering = family.filtering {
      let none = family.isTranslated == false && filtering == "endpoint-independent"
      lines.append(row("  filter", none ? "none" : filtering))
    } else {
      lines.append(row("  filter", "not known: no server has the second address that the test needs"))
    }
    if let lifetime = family.lifetime { lines.append(row("  binding", self.lifetime(lifetime))) }
    return lines
  }

  private static func lifetime(_ lifetime: NetReport.Lifetime) -> String {
    guard lifetime.isConclusive else {
      return "its life could not be measured: the server does not answer to another port, or mappings differ"
    }
    func seconds(_ value: Double) -> String { "\(Int(value)) s" }
    switch (lifetime.atLeastSeconds, lifetime.lessThanSeconds) {
    case (let least?, let less?): return "lives \(seconds(least)) when idle, and not \(seconds(less))"
    case (nil, let less?): return "lives less than \(seconds(less)) when idle"
    case (let least?, nil): return "lives \(seconds(least)) or longer when idle"
    case (nil, nil): return "its life could not be measured"
    }
  }

  private static func relayed(_ relay: NetReport.Relay) -> [String] {
    let name = "\(relay.server) over \(relay.transport)"
    if let problem = relay.problem { return [row("TURN", "\(name): \(problem)")] }
    let time = relay.roundTripMilliseconds.map { ", \(decimal($0, digits: 1)) ms through it and back" } ?? ""
    return [row("TURN", "\(name): relays at \(relay.relayedAddress ?? "?")\(time)")]
  }

  /// What it means for connections with other nodes.
  private static func meaning(_ report: NetReport) -> [String] {
    guard let udp = report.udp else { return [] }
    guard udp else {
      return report.relays.contains { $0.problem == nil }
        ? ["Connections need the relay: nothing else gets through."]
        : ["Without UDP a node reaches others only through a TURN server over TCP or TLS."]
    }
    guard let family = report.ipv4?.works == true ? report.ipv4 : report.ipv6 else { return [] }
    if family.isTranslated == false {
      return family.filtering == nil || family.filtering == "endpoint-independent"
        ? ["Others reach this machine directly."]
        : ["A firewall lets in only answers: others are reached directly when both sides try."]
    }
    switch (family.mapping, family.filtering) {
    case ("endpoint-independent"?, "endpoint-independent"?):
      return ["A full cone: others reach this machine directly, also through hard NATs of their own."]
    case ("endpoint-independent"?, _):
      return ["Direct connections work with all but peers whose NAT has a mapping per destination (symmetric)."]
    case (nil, _):
      return ["How the NAT maps is not known: name a second server, or one with two addresses (RFC 5780)."]
    default:
      return [
        "A mapping per destination (symmetric): direct connections work only with peers that anybody can reach; "
          + "all others need a relay."
      ]
    }
  }
}
