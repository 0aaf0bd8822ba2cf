internal import MeshPrimitives
internal import MeshSTUN

/// The pairs of an agent, best first (RFC 8445 §6.1.2).
struct Checklist: Sendable {
  private(set) var pairs: [Pair] = []
  private var nextID: UInt32 = 0
  /// Whether a check has been taken: from then on pairs are thawed one by one (RFC 8838 §12).
  private var hasStarted = false

  subscript(index: Int) -> Pair {
    _read { yield pairs[index] }
    _modify { yield &pairs[index] }
  }

  func index(of id: UInt32) -> Int? { pairs.firstIndex { $0.id == id } }

  func index(base: SocketAddress, destination: SocketAddress) -> Int? {
    pairs.firstIndex { $0.base == base && $0.destination == destination }
  }

  /// Puts a pair in its place, and says its id. The list is full when that would push out a pair that matters: `nil`.
  mutating func insert(
    component: UInt16, local: Int, remote: Int, base: SocketAddress, destination: SocketAddress,
    foundation: Pair.Foundation, priority: UInt64, maximum: Int
  ) -> UInt32? {
    if pairs.count >= maximum {
      guard let worst = pairs.lastIndex(where: { $0.state == .failed || $0.state == .frozen || $0.state == .waiting }),
        pairs[worst].state == .failed || pairs[worst].priority < priority
      else { return nil }
      pairs.remove(at: worst)
    }
    var pair = Pair(
      id: nextID, component: component, local: local, remote: remote, base: base, destination: destination,
      foundation: foundation, priority: priority)
    nextID &+= 1
    let isBusy = pairs.contains {
      $0.foundation == foundation && ($0.state == .waiting || $0.state == .inProgress)
    }
    if hasStarted, !isBusy { pair.state = .waiting }
    let place = pairs.firstIndex { $0.priority < priority } ?? pairs.endIndex
    pairs.insert(pair, at: place)
    return pair.id
  }

  /// The next pair to be checked on its own account: the best that waits, or else the best frozen one whose foundation
  /// nobody is busy with (RFC 8445 §6.1.4.2).
  mutating func nextWaiting() -> Int? {
    if !hasStarted { start() }
    if let waiting = pairs.firstIndex(where: { $0.state == .waiting }) { return waiting }
    return pairs.indices.first { index in
      pairs[index].state == .frozen
        && !pairs.contains { $0.foundation == pairs[index].foundation && $0.state == .inProgress }
    }
  }

  var hasWaiting: Bool {
    pairs.contains { pair in
      pair.state == .waiting
        || pair.state == .frozen && !pairs.contains { $0.foundation == pair.foundation && $0.state == .inProgress }
    }
  }

  /// Of each foundation, the pair of the least component, and of these the best, begins to wait (RFC 8445 §6.1.2.6).
  private mutating func start() {
    hasStarted = true
    var begun: Set<Pair.Foundation> = []
    let order = pairs.indices.sorted {
      (pairs[$0].component, pairs[$1].priority, $0) < (pairs[$1].component, pairs[$0].priority, $1)
    }
    for index in order where pairs[index].state == .frozen && begun.insert(pairs[index].foundation).inserted {
      pairs[index].state = .waiting
    }
  }

  /// What is like a pair that has succeeded may begin (RFC 8445 §7.2.5.3.3).
  mutating func thaw(_ foundation: Pair.Foundation) {
    for index in pairs.indices where pairs[index].state == .frozen && pairs[index].foundation == foundation {
      pairs[index].state = .waiting
    }
  }

  /// How many wait or are under way: what the timeout of a check grows with (RFC 8445 §14.3).
  var activity: Int { pairs.count { $0.state == .waiting || $0.state == .inProgress } }

  /// Pairs change places when the roles do.
  mutating func setPriorities(_ priority: (Pair) -> UInt64) {
    for index in pairs.indices { pairs[index].priority = priority(pairs[index]) }
    // Equal ones stay in the order in which they came.
    pairs.sort { ($0.priority, $1.id) > ($1.priority, $0.id) }
  }

  mutating func removeAll(where isGone: (Pair) -> Bool) { pairs.removeAll(where: isGone) }

  mutating func reset() {
    pairs = []
    hasStarted = false
  }
}
