import MeshPrimitives
import Testing

@testable import MeshReliability

@Suite("ECN validation") struct ECNValidationTests {
  private func path(_ algorithm: CongestionAlgorithm, sent: UInt64 = 10) -> PathState {
    var configuration = Configuration()
    configuration.congestion = algorithm
    var path = PathState(configuration)
    path.sentMarked = sent
    return path
  }

  @Test func `Prague marks ECT(1), all others ECT(0), but for BBR`() {
    for algorithm in CongestionAlgorithm.allCases where algorithm != .bbr {
      #expect(path(algorithm).outgoingECN == (algorithm == .prague ? .ect1 : .ect0))
    }
    #expect(path(.bbr).outgoingECN == .notECT)
  }

  // RFC 9000 §13.4.2.1.
  private static let cases: [(UInt64, UInt64, UInt64, UInt64, Bool)] = [
    // ours, theirs, CE, newly acknowledged; whether it holds
    (5, 0, 0, 5, true),
    (3, 0, 2, 5, true),
    (6, 0, 0, 5, true),
    (4, 0, 0, 5, false),
    (0, 0, 0, 5, false),
    (5, 1, 0, 5, false),
    (0, 5, 0, 5, false),
    (11, 0, 0, 5, false),
    (8, 0, 3, 5, false),
    (.max, 0, .max, 5, false),
  ]

  @Test(arguments: cases, [CongestionAlgorithm.cubic, .prague])
  func `the counts must account for all that was marked`(
    counts: (UInt64, UInt64, UInt64, UInt64, Bool), algorithm: CongestionAlgorithm
  ) {
    var path = path(algorithm)
    let (ours, theirs, ce, new, holds) = counts
    let ect0 = algorithm == .prague ? theirs : ours
    let ect1 = algorithm == .prague ? ours : theirs
    let growth = path.validateECN(ect0: ect0, ect1: ect1, ce: ce, newlyMarked: new)
    #expect(path.marksECN == holds)
    #expect(growth.packets == (holds ? ours + ce : 0))
    #expect(growth.ce == (holds ? ce : 0))
    #expect(holds || path.outgoingECN == .notECT)
  }

  @Test func `counts never fall`() {
    for later in [(5, 1), (4, 3)] as [(UInt64, UInt64)] {
      var path = path(.cubic)
      _ = path.validateECN(ect0: 5, ect1: 0, ce: 2, newlyMarked: 7)
      _ = path.validateECN(ect0: later.0, ect1: 0, ce: later.1, newlyMarked: 0)
      #expect(!path.marksECN)
    }
  }

  @Test func `a path that marks everything is told nothing more`() {
    var path = path(.prague, sent: 1_000)
    _ = path.validateECN(ect0: 0, ect1: 0, ce: 99, newlyMarked: 99)
    #expect(path.marksECN)
    _ = path.validateECN(ect0: 0, ect1: 0, ce: 100, newlyMarked: 1)
    #expect(!path.marksECN)
    var honest = self.path(.prague, sent: 1_000)
    _ = honest.validateECN(ect0: 0, ect1: 1, ce: 500, newlyMarked: 501)
    #expect(honest.marksECN)
  }
}
