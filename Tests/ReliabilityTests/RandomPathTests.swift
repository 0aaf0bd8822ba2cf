import MeshPrimitives
import MeshReliability
import MeshSimulation
import Testing

@Suite("Random paths") struct RandomPathTests {
  private static func conditions(_ entropy: inout SeededEntropy) -> LinkConditions {
    var path = LinkConditions()
    path.delay = .microseconds(Int(entropy.upTo(entropy.chance(0.3) ? 150_000 : 20_000)))
    if entropy.chance(0.7) { path.loss = Double(entropy.upTo(300)) / 1000 }
    if entropy.chance(0.5) { path.duplication = Double(entropy.upTo(200)) / 1000 }
    if entropy.chance(0.5) {
      path.reordering = Double(entropy.upTo(300)) / 1000
      path.reorderDelay = .milliseconds(Int(entropy.upTo(60)))
    }
    if entropy.chance(0.5) {
      path.jitter = .milliseconds(Int(entropy.upTo(30)))
      path.jitterReorders = entropy.chance(0.5)
    }
    if entropy.chance(0.5) {
      path.rate = 1_000_000 + entropy.upTo(100_000_000)
      path.queue = 5_000 + Int(entropy.upTo(200_000))
      if entropy.chance(0.5) { path.markingThreshold = path.queue / 2 }
    }
    return path
  }

  private static func configuration(_ entropy: inout SeededEntropy) -> Configuration {
    var configuration = Configuration()
    configuration.congestion = CongestionAlgorithm.allCases[Int(entropy.upTo(4))]
    configuration.local = ConnectionLimits(
      data: UInt64(2_000 + entropy.upTo(400_000)), streamData: UInt64(1_000 + entropy.upTo(200_000)),
      streams: UInt64(1 + entropy.upTo(20)))
    configuration.peer = configuration.local
    configuration.sendBuffer = 1_000 + Int(entropy.upTo(300_000))
    configuration.packetsPerAck = 1 + Int(entropy.upTo(20))
    return configuration
  }

  /// Any windows, buffers, packet sizes and paths; now and then a pool so small that both ends run out of memory.
  @Test(arguments: 1...24 * soakFactor)
  func `whatever the path and the limits, everything arrives and all memory comes back`(seed: UInt64) {
    var entropy = SeededEntropy(seed: seed)
    let path = Self.conditions(&entropy)
    let configuration = Self.configuration(&entropy)
    let pair = Pair(path, seed: seed, a: configuration, pool: entropy.chance(0.3) ? 200_000 : 64 << 20)
    pair.capacity = 512 + Int(entropy.upTo(1_000))
    var transfers: [Transfer] = []
    var toOpen = 1 + Int(entropy.upTo(12))
    let done = pair.run(
      .seconds(3_000),
      work: {
        var worked = false
        while toOpen > 0, let id = try? pair.open(entropy.chance(0.5) ? .a : .b, "service") {
          toOpen -= 1
          worked = true
          for from in Pair.Side.allCases {
            let size = Int(entropy.upTo(40_000))
            let transfer = Transfer(pair, id, from: from, size: size, salt: id.rawValue * 2 + (from == .a ? 0 : 1))
            transfer.chunk = 1 + Int(entropy.upTo(20_000))
            transfers.append(transfer)
          }
        }
        for transfer in transfers where !(transfer.isEnded && transfer.isFinished) {
          if transfer.work() { worked = true }
        }
        return worked
      },
      until: {
        toOpen == 0 && transfers.allSatisfy(\.isComplete) && pair.a.streamCount == 0 && pair.b.streamCount == 0
      })
    pair.run(for: .seconds(10))
    #expect(done, "seed \(seed): \(String(describing: pair.a.closeReason)), \(path), \(configuration)")
    #expect(pair.errors == [], "seed \(seed)")
    #expect(pair.poolA.used == 0 && pair.poolB.used == 0, "seed \(seed)")
    #expect(pair.a.statistics.bytesInFlight == 0 && pair.b.statistics.bytesInFlight == 0, "seed \(seed)")
  }
}
