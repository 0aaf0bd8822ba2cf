internal import MeshPrimitives

/// How far ahead of what was read the peer may send. It doubles when the peer used a quarter of it within a round trip: then
/// it, and not the path, sets the speed.
struct ReceiveWindow {
  /// Bytes.
  private(set) var size: UInt64
  private let largest: UInt64
  private var toldAt: Instant?

  init(size: UInt64, largest: UInt64) {
    self.size = size
    self.largest = max(size, largest)
  }

  /// Whether it is time to tell the peer, when it was told `limit` and `position` has been read.
  func isWorthTelling(position: UInt64, limit: UInt64) -> Bool { position + size - limit >= max(size / 4, 1) }

  /// The peer is told now.
  /// - Parameter roundTrip: nanoseconds; 0: unknown.
  mutating func tell(roundTrip: Int64, now: Instant) {
    if let toldAt, now.nanoseconds(since: toldAt) < roundTrip { size = min(largest, size * 2) }
    toldAt = now
  }
}
