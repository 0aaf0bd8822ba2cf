internal import MeshSimulation

/// Who is a neighbour of whom.
public struct Topology: Equatable, Sendable {
  public enum Kind: String, CaseIterable, Sendable {
    case line, ring, star, grid, random, full
  }

  public var kind: Kind
  /// How many nodes there are, 1 at least.
  public var nodes: Int
  /// Neighbours of a node on average; of ``Kind/random`` only.
  public var degree: Int

  public init(_ kind: Kind = .ring, nodes: Int, degree: Int = 4) {
    self.kind = kind
    self.nodes = nodes
    self.degree = degree
  }

  /// Columns of a grid.
  var columns: Int {
    var columns = 1
    while columns * columns < nodes { columns += 1 }
    return columns
  }

  /// The most pairs of neighbours that a scenario may have.
  static let mostPairs = 4_000_000

  /// No fewer than the pairs of neighbours that there are.
  var pairsAtMost: Int {
    switch kind {
    case .line, .ring, .star: nodes
    case .grid: 2 * nodes
    case .full: nodes * (nodes - 1) / 2
    case .random: nodes * max(degree, 2) / 2
    }
  }

  /// Pairs of neighbours, the smaller number first, in ascending order. A random graph is connected: a ring through all
  /// nodes in random order, and more pairs up to the degree.
  public func edges(seed: UInt64) -> [(Int, Int)] {
    switch kind {
    case .line: return (1..<max(nodes, 1)).map { ($0 - 1, $0) }
    case .ring:
      guard nodes > 2 else { return Topology(.line, nodes: nodes).edges(seed: seed) }
      return ([(0, nodes - 1)] + (1..<nodes).map { ($0 - 1, $0) }).sorted(by: <)
    case .star: return (1..<max(nodes, 1)).map { (0, $0) }
    case .grid:
      let columns = columns
      return (0..<nodes).flatMap { node in
        [(node, node + 1), (node, node + columns)].filter { pair in
          pair.1 < nodes && (pair.1 == node + columns || pair.1 % columns != 0)
        }
      }
    case .full: return (0..<nodes).flatMap { left in (left + 1..<max(nodes, left + 1)).map { (left, $0) } }
    case .random: return randomEdges(seed: seed)
    }
  }

  private func randomEdges(seed: UInt64) -> [(Int, Int)] {
    guard nodes > 2 else { return Topology(.line, nodes: nodes).edges(seed: seed) }
    var random = SeededEntropy(seed: seed)
    var order = Array(0..<nodes)
    for index in stride(from: nodes - 1, to: 0, by: -1) { order.swapAt(index, Int(random.upTo(Int64(index)))) }
    var known: Set<UInt64> = []
    var pairs: [(Int, Int)] = []
    func add(_ left: Int, _ right: Int) {
      let pair = (min(left, right), max(left, right))
      guard left != right, known.insert(UInt64(pair.0) << 32 | UInt64(pair.1)).inserted else { return }
      pairs.append(pair)
    }
    for index in 0..<nodes { add(order[index], order[(index + 1) % nodes]) }
    let wanted = min(nodes * max(degree, 2) / 2, nodes * (nodes - 1) / 2)
    while pairs.count < wanted { add(Int(random.upTo(Int64(nodes - 1))), Int(random.upTo(Int64(nodes - 1)))) }
    return pairs.sorted(by: <)
  }
}
