/// What a run counted.
struct Counts {
  var datagramsSent: UInt64 = 0
  var datagramsArrived: UInt64 = 0
  var bytesSent: UInt64 = 0
  var wakes: UInt64 = 0
  /// By reason; sorted where it is shown.
  var drops: [String: UInt64] = [:]
  var connects: UInt64 = 0
  var disconnects: UInt64 = 0
  var unreachable: UInt64 = 0
  var messagesOffered: UInt64 = 0
  var messagesDelivered: UInt64 = 0
  /// There was no connection when they were to be sent.
  var messagesRefused: UInt64 = 0
  /// The connection ended before they arrived.
  var messagesEnded: UInt64 = 0
  var transfersBegun: UInt64 = 0
  var transfersDone: UInt64 = 0
  var transfersEnded: UInt64 = 0
  /// Bytes that came out at the other end of all flows.
  var payload: UInt64 = 0
  var latency = Histogram()
}

/// How often each duration occurred, to within a sixteenth.
struct Histogram {
  private var buckets = [UInt64](repeating: 0, count: 64 * 16)
  private(set) var count: UInt64 = 0
  private(set) var greatest: Int64 = 0

  mutating func add(_ nanoseconds: Int64) {
    let value = UInt64(max(nanoseconds, 0))
    buckets[Self.bucket(value)] += 1
    count += 1
    greatest = max(greatest, nanoseconds)
  }

  private static func bucket(_ value: UInt64) -> Int {
    guard value >= 16 else { return Int(value) }
    let exponent = 63 - value.leadingZeroBitCount
    return (exponent - 3) * 16 + Int(value >> UInt64(exponent - 4) & 15)
  }

  /// The longest duration, in nanoseconds, of the shortest `thousandths` of all; 0 when there is none.
  func percentile(_ thousandths: UInt64) -> Int64 {
    guard count > 0 else { return 0 }
    var left = max((count * thousandths + 999) / 1000, 1)
    for (index, occurrences) in buckets.enumerated() where occurrences > 0 {
      if occurrences >= left {
        guard index >= 16 else { return Int64(index) }
        let exponent = index / 16 + 3
        let upper = (UInt64(16 + index % 16) + 1) << UInt64(exponent - 4)
        return min(Int64(clamping: upper), greatest)
      }
      left -= occurrences
    }
    return greatest
  }
}
