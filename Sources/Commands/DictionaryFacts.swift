public import MeshCompression

/// What is known of a dictionary: printed as JSON, and kept beside it as a note.
public struct DictionaryFacts: Codable, Equatable, Sendable {
  /// One size that was tried.
  public struct Candidate: Codable, Equatable, Sendable {
    public var size: Int
    public var ratio: Double
  }

  /// How it was trained.
  public struct Training: Codable, Equatable, Sendable {
    public var samples: Int
    public var sampleBytes: Int
    public var holdOutSamples: Int
    public var holdOutBytes: Int
    public var level: Int
    /// How many times smaller the hold-out samples became without a dictionary, and with this one.
    public var plainRatio: Double
    public var ratio: Double
    /// Bytes, beyond compression without one.
    public var savedPerMessage: Double
    public var messagesToPayOff: Int?
    public var candidates: [Candidate]
  }

  public var id: UInt32
  /// BLAKE2b-256, 64 hexadecimal digits.
  public var hash: String
  /// Bytes.
  public var size: Int
  public var file: String?
  public var training: Training?

  public init(_ dictionary: ZstdDictionary, file: String? = nil, training: Training? = nil) {
    id = dictionary.id
    hash = dictionary.hash.description
    size = dictionary.size
    self.file = file
    self.training = training
  }
}

extension DictionaryFacts.Training {
  public init(_ report: TrainingReport) {
    samples = report.samples
    sampleBytes = report.sampleBytes
    holdOutSamples = report.holdOutSamples
    holdOutBytes = report.holdOutBytes
    level = report.level
    plainRatio = report.plainRatio
    ratio = report.ratio
    savedPerMessage = report.savedPerMessage
    messagesToPayOff = report.messagesToPayOff
    candidates = report.candidates.map { .init(size: $0.size, ratio: report.ratio(of: $0)) }
  }
}

/// What is known of a diff: printed as JSON.
public struct DiffFacts: Codable, Equatable, Sendable {
  public var file: String
  /// Bytes.
  public var size: Int
  /// BLAKE2b-256, 64 hexadecimal digits, of the dictionary to start from and of that to arrive at.
  public var from: String
  public var to: String
  /// Bytes of the latter.
  public var targetSize: Int

  public init(from old: ZstdDictionary, to new: ZstdDictionary, file: String, size: Int) {
    self.file = file
    self.size = size
    from = old.hash.description
    to = new.hash.description
    targetSize = new.size
  }
}
