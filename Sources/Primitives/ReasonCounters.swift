/// How often each of a closed set of reasons occurred. Counting costs an addition and allocates nothing.
public struct ReasonCounters<Reason: CaseIterable & RawRepresentable & Sendable>: Sendable
where Reason.RawValue == UInt8 {
  private var counts = [UInt64](repeating: 0, count: Reason.allCases.count)

  /// - Precondition: the raw values of `Reason` are 0, 1, 2 and so on.
  public init() {}

  public subscript(reason: Reason) -> UInt64 { counts[Int(reason.rawValue)] }

  public mutating func count(_ reason: Reason, times: UInt64 = 1) { counts[Int(reason.rawValue)] &+= times }

  /// The sum of all.
  public var total: UInt64 { counts.reduce(0, &+) }
}
