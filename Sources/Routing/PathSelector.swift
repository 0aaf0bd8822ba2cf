public import MeshPrimitives

/// What is known of one way to a peer.
public struct PathEstimate: Equatable, Sendable {
  /// Round-trip time; `nil`: not measured.
  public var roundTrip: Duration?
  /// Nodes between; 0: direct.
  public var hops: Int
  public var family: IPAddress.Family
  /// Whether it carries packets both ways now.
  public var isAnswering: Bool

  public init(roundTrip: Duration?, hops: Int = 0, family: IPAddress.Family, isAnswering: Bool) {
    self.roundTrip = roundTrip
    self.hops = hops
    self.family = family
    self.isAnswering = isAnswering
  }
}

/// Chooses among the paths to a peer: what answers before what does not, then the shorter round trip, then fewer hops, then
/// IPv6. A path in use is only left for one that is clearly better, so that two alike do not take turns.
public enum PathSelector {
  /// Round trips that differ by less count as equal, in nanoseconds.
  private static let tolerance: Int64 = 5_000_000

  /// The index of the path to use.
  /// - Parameter current: the index of the one in use.
  public static func choose(among paths: [PathEstimate], current: Int) -> Int {
    var best = current
    for index in paths.indices where isClearlyBetter(paths[index], than: paths[best]) { best = index }
    return best
  }

  static func isClearlyBetter(_ path: PathEstimate, than other: PathEstimate) -> Bool {
    guard path.isAnswering == other.isAnswering else { return path.isAnswering }
    if let mine = path.roundTrip?.wholeNanoseconds, let theirs = other.roundTrip?.wholeNanoseconds {
      let difference = theirs - mine
      // A tenth of a long round trip is no difference either.
      if abs(difference) > max(tolerance, max(mine, theirs) / 10) { return difference > 0 }
    }
    if path.hops != other.hops { return path.hops < other.hops }
    return path.family == .v6 && other.family == .v4
  }
}
