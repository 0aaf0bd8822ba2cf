import Foundation
import MeshNodeSimulation
import Testing

/// How many times as many seeds the random tests try: `PNET_SOAK`, which `make soak` sets; 1 without it.
let soakFactor = getenv("PNET_SOAK").flatMap { UInt64(String(cString: $0)) }.map { max($0, 1) } ?? 1

@Suite("Random scenarios") struct RandomScenarioTests {
  /// Seeds that failed once, and what was wrong: `Seeds.txt`.
  static let corpus: [UInt64] = {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Seeds.txt")
    let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    return text.split(separator: "\n").compactMap { UInt64($0.prefix { $0 != " " }) }
  }()

  /// `nil` when all went well; else what did not. The last packets go to `PNET_ARTIFACTS`.
  static func run(_ seed: UInt64) -> String? {
    let network = SimulatedNetwork(.random(seed: seed))
    network.run()
    guard let violation = network.violation else { return nil }
    let folder = getenv("PNET_ARTIFACTS").map { String(cString: $0) } ?? NSTemporaryDirectory()
    let file = "\(folder)/sim-seed-\(seed).md"
    try? "\(violation)\n\n```mermaid\n\(violation.diagram)```\n".write(toFile: file, atomically: true, encoding: .utf8)
    return "\(violation)\npnet sim --random 1 --seed \(seed) does it again; the last packets are in \(file)"
  }

  @Test(arguments: UInt64(0)..<4)
  func `whatever befalls the network, what arrives is right, and all flows again`(part: UInt64) {
    for index in 0..<30 * soakFactor {
      if let failure = Self.run(part * 1_000_000 + index) { Issue.record("\(failure)") }
    }
  }

  @Test func `seeds that failed once do not fail again`() {
    #expect(!Self.corpus.isEmpty)
    for seed in Self.corpus {
      if let failure = Self.run(seed) { Issue.record("\(failure)") }
    }
  }
}
