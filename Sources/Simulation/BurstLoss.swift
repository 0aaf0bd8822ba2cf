/// Loss in bursts: the Gilbert-Elliott model. The path is in a good or a bad state, and may change it with each packet.
public struct BurstLoss: Sendable, Equatable {
  /// How probable it is that a packet finds the path turned from good to bad, 0 to 1.
  public var toBad: Double
  /// How probable it is that a packet finds the path turned from bad to good, 0 to 1.
  public var toGood: Double
  /// The part of packets that are lost in the good state.
  public var lossInGood: Double
  /// The part of packets that are lost in the bad state.
  public var lossInBad: Double

  public init(toBad: Double, toGood: Double, lossInGood: Double = 0, lossInBad: Double = 1) {
    self.toBad = toBad
    self.toGood = toGood
    self.lossInGood = lossInGood
    self.lossInBad = lossInBad
  }

  /// Bursts in which all is lost.
  /// - Parameters:
  ///   - average: the part of packets that are lost in the long run, from 0 to below 1.
  ///   - length: packets of a burst on average, at least 1.
  public init(average: Double, length: Double) {
    precondition(average >= 0 && average < 1 && length >= 1, "a part below 1 in bursts of a packet at least")
    toGood = 1 / length
    toBad = min(1, toGood * average / (1 - average))
    lossInGood = 0
    lossInBad = 1
  }

  /// The part of packets that are lost in the long run.
  public var average: Double {
    let changes = toBad + toGood
    guard changes > 0 else { return lossInGood }
    return (lossInGood * toGood + lossInBad * toBad) / changes
  }
}
