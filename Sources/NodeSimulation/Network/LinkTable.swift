internal import MeshPrimitives
internal import MeshSimulation

/// All links: a path for each pair of hosts that ever sent to each other, in each direction, and the accesses of hosts.
struct LinkTable {
  enum Stage {
    case uplink
    /// `way`: 0 between the first addresses; bit 0: from the second one, bit 1: to the second one.
    case path(from: Int, to: Int, way: Int = 0)
    case downlink
    /// What an attacker sends.
    case attack
  }

  var seed: UInt64 = 0
  var links: [Link] = []
  private(set) var stages: [Stage] = []
  private var paths: [UInt64: Int] = [:]
  private var uplinks: [Int: Int] = [:]
  private var downlinks: [Int: Int] = [:]
  private var attack: Int?
  /// Of the paths that were not set one by one.
  var conditions = LinkConditions()
  private var overrides: [UInt64: LinkConditions] = [:]

  private static func key(_ from: Int, _ to: Int) -> UInt64 { UInt64(UInt32(from)) << 32 | UInt64(UInt32(to)) }

  private mutating func add(_ conditions: LinkConditions, _ stage: Stage, key: UInt64) -> Int {
    links.append(Link(conditions, seed: derivedSeed(seed, key)))
    stages.append(stage)
    return links.count - 1
  }

  mutating func path(from: Int, to: Int) -> Int {
    let key = Self.key(from, to)
    if let known = paths[key] { return known }
    let link = add(overrides[key] ?? conditions, .path(from: from, to: to), key: key)
    paths[key] = link
    return link
  }

  /// A path from or to a second address; `conditions` count when it is new.
  mutating func path(from: Int, to: Int, way: Int, _ conditions: LinkConditions?) -> Int {
    let key = Self.key(from, to) | UInt64(way) << 28
    if let known = paths[key] { return known }
    let link = add(conditions ?? self.conditions, .path(from: from, to: to, way: way), key: key)
    paths[key] = link
    return link
  }

  mutating func set(_ conditions: LinkConditions, from: Int, to: Int) {
    overrides[Self.key(from, to)] = conditions
    if let link = paths[Self.key(from, to)] { links[link].conditions = conditions }
  }

  /// Of all paths that were not set one by one.
  mutating func setAll(_ conditions: LinkConditions) {
    self.conditions = conditions
    for link in links.indices {
      guard case .path(let from, let to, 0) = stages[link], overrides[Self.key(from, to)] == nil else { continue }
      links[link].conditions = conditions
    }
  }

  mutating func setAccess(_ access: Scenario.Access) {
    let known = access.isUplink ? uplinks[access.host] : downlinks[access.host]
    if let known { return links[known].conditions = access.conditions }
    let key = UInt64(access.host) << 1 | (access.isUplink ? 1 : 0) | 1 << 63
    let link = add(access.conditions, access.isUplink ? .uplink : .downlink, key: key)
    if access.isUplink { uplinks[access.host] = link } else { downlinks[access.host] = link }
  }

  func uplink(of host: Int) -> Int? { uplinks.isEmpty ? nil : uplinks[host] }
  func downlink(of host: Int) -> Int? { downlinks.isEmpty ? nil : downlinks[host] }

  /// Bytes that wait on the way from one host to another.
  func queuedBytes(from: Int, to: Int, now: Instant) -> Int {
    [uplink(of: from), paths[Self.key(from, to)], downlink(of: to)].reduce(0) { sum, index in
      guard let index else { return sum }
      // A copy, so that looking changes nothing.
      var link = links[index]
      return sum + link.queuedBytes(now: now)
    }
  }

  mutating func attackLink() -> Int {
    if let attack { return attack }
    var conditions = LinkConditions()
    conditions.jitter = .milliseconds(200)
    conditions.jitterReorders = true
    let link = add(conditions, .attack, key: .max)
    attack = link
    return link
  }

  /// Packets that each path has carried, in the order in which the paths were first used.
  var used: [(from: Int, to: Int, packets: Int)] {
    links.indices.compactMap { link in
      guard case .path(let from, let to, _) = stages[link] else { return nil }
      return (from, to, links[link].counts.sent)
    }
  }
}
