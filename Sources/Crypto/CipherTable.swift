/// Which backend handles messages of which length.
struct CipherTable: Sendable {
  /// The lengths that stand for the classes in a measurement; bytes of plaintext.
  static let samples = [64, 256, 576, 1_400, 16_384]
  /// The greatest length of each class but the last. Halfway, by ratio, between the samples.
  private static let bounds: InlineArray<4, Int> = [128, 384, 896, 4_096]

  private var backends: InlineArray<5, CipherBackend>

  init(_ backend: CipherBackend) { backends = InlineArray(repeating: backend) }

  /// - Parameter choose: The backend for messages as long as a sample.
  init(choosing choose: (Int) -> CipherBackend) {
    backends = InlineArray { choose(Self.samples[$0]) }
  }

  @inline(__always) func backend(for length: Int) -> CipherBackend {
    let index = length <= 384 ? (length <= 128 ? 0 : 1) : length <= 896 ? 2 : length <= 4_096 ? 3 : 4
    return backends[index]
  }

  var choices: [CipherChoice] {
    (0..<5).map { CipherChoice(upTo: $0 < 4 ? Self.bounds[$0] : .max, backend: backends[$0]) }
  }

  mutating func replace(_ backend: CipherBackend, by other: CipherBackend) {
    for index in 0..<5 where backends[index] == backend { backends[index] = other }
  }

  func uses(_ backend: CipherBackend) -> Bool { choices.contains { $0.backend == backend } }
}

/// One row of a provider's table: the backend for messages that are longer than the row before says, up to `upTo`
/// bytes of plaintext.
public struct CipherChoice: Equatable, Sendable {
  public let upTo: Int
  public let backend: CipherBackend
}
