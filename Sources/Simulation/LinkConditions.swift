/// What a path does to packets in one direction. The default does nothing to them.
public struct LinkConditions: Sendable, Equatable {
  /// How long each packet takes.
  public var delay = Duration.zero
  /// Up to so much is added, evenly distributed.
  public var jitter = Duration.zero
  /// Whether jitter lets packets overtake each other.
  public var jitterReorders = false
  /// The part of packets that are lost, 0 to 1, each for itself.
  public var loss = 0.0
  /// Loss in bursts, besides ``loss``.
  public var burstLoss: BurstLoss?
  /// The part of packets that arrive twice.
  public var duplication = 0.0
  /// The part of packets that are held back by ``reorderDelay``, so that later ones overtake them.
  public var reordering = 0.0
  public var reorderDelay = Duration.milliseconds(5)
  /// Bits per second; `nil`: no limit, and no queue.
  public var rate: Int64?
  /// Other rates from given times on, earliest first; none while ``rate`` is `nil`.
  public var rateChanges: [RateChange] = []
  /// Bytes that wait for the rate at most; a packet that does not fit is dropped.
  public var queue = 1 << 20
  /// Who waits, who is marked and who is dropped.
  public var discipline = QueueDiscipline.dropTail
  /// Bytes in the queue from which on packets of ECN-capable transports are marked CE; `nil`: never. For
  /// ``QueueDiscipline/dropTail``; the others mark by their own rules.
  public var markingThreshold: Int?
  /// What becomes of the ECN field behind the queue.
  public var bleaching = Bleaching.none
  /// Bytes of the longest packet that passes.
  public var mtu = 65_535
  /// Whether the sender of a packet above ``mtu`` is told the limit, as ICMP does.
  public var reportsTooLong = false

  public init() {}

  // MARK: Rate

  /// Bits per second at a time.
  func rate(at time: Int64, base: Int64) -> Int64 {
    var result = base
    for change in rateChanges where change.at.nanoseconds <= time { result = change.rate }
    return max(result, 1)
  }

  private func nextChange(after time: Int64) -> Int64? {
    for change in rateChanges where change.at.nanoseconds > time { return change.at.nanoseconds }
    return nil
  }

  /// When the last of `bytes` has left that begin to leave at `start`.
  func departure(of bytes: Int, from start: Int64, base: Int64) -> Int64 {
    if rateChanges.isEmpty { return start + Int64(bytes) * 8_000_000_000 / max(base, 1) }
    // Billionths of a bit, so that nothing is rounded at the changes.
    var left = Int64(bytes) * 8_000_000_000
    var time = start
    while true {
      let rate = rate(at: time, base: base)
      guard let change = nextChange(after: time), saturatedProduct(change - time, rate) < left else {
        return time + left / rate
      }
      left -= (change - time) * rate
      time = change
    }
  }

  /// Bytes that leave between two times.
  func bytesLeaving(from start: Int64, to end: Int64, base: Int64) -> Int {
    guard end > start else { return 0 }
    if rateChanges.isEmpty { return Int(Double(end - start) * Double(base) / 8e9) }
    var sum = 0.0
    var time = start
    while time < end {
      let next = min(nextChange(after: time) ?? end, end)
      sum += Double(next - time) * Double(rate(at: time, base: base))
      time = next
    }
    return Int(sum / 8e9)
  }
}

/// The product of two numbers that are not negative.
private func saturatedProduct(_ left: Int64, _ right: Int64) -> Int64 {
  let (product, overflow) = left.multipliedReportingOverflow(by: right)
  return overflow ? .max : product
}
