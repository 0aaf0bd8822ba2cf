/// What training has come to: how each size of dictionary did on samples that it was not trained with.
public struct TrainingReport: Equatable, Sendable {
  /// One dictionary that was tried.
  public struct Candidate: Equatable, Sendable {
    /// The size that was asked for, in bytes.
    public var target: Int
    /// The size that came out.
    public var size: Int
    /// Bytes that the hold-out samples became, each compressed alone; one that does not get smaller counts as it is.
    public var compressedBytes: Int
  }

  /// All samples that were used, and their bytes.
  public var samples = 0
  public var sampleBytes = 0
  /// Those of them that the dictionaries were measured on.
  public var holdOutSamples = 0
  public var holdOutBytes = 0
  public var level = 0
  /// What the hold-out samples became without a dictionary.
  public var plainBytes = 0
  /// In the order of ``TrainingOptions/sizes``.
  public var candidates: [Candidate] = []
  /// The index of the candidate that was chosen.
  public var chosen = 0

  /// How many times smaller the hold-out samples became without a dictionary.
  public var plainRatio: Double { Self.ratio(holdOutBytes, plainBytes) }

  /// How many times smaller the hold-out samples became with a candidate.
  public func ratio(of candidate: Candidate) -> Double { Self.ratio(holdOutBytes, candidate.compressedBytes) }

  /// The ratio of the chosen one: what ``RatioMonitor`` compares with.
  public var ratio: Double { candidates.indices.contains(chosen) ? ratio(of: candidates[chosen]) : 1 }

  /// Bytes that the chosen dictionary saves per message, beyond what compression without one saves.
  public var savedPerMessage: Double {
    guard candidates.indices.contains(chosen), holdOutSamples > 0 else { return 0 }
    return Double(plainBytes - candidates[chosen].compressedBytes) / Double(holdOutSamples)
  }

  /// After so many messages the dictionary has saved its own size; `nil` when it saves nothing.
  public var messagesToPayOff: Int? {
    guard savedPerMessage > 0, candidates.indices.contains(chosen) else { return nil }
    return Int(Double(candidates[chosen].size) / savedPerMessage) + 1
  }

  public init() {}

  private static func ratio(_ before: Int, _ after: Int) -> Double { after > 0 ? Double(before) / Double(after) : 1 }
}
