internal import MeshPrimitives

/// How fast packets were delivered, as one acknowledgement shows it (draft-ietf-ccwg-bbr §4.1). Bytes and nanoseconds.
struct RateSample: Sendable {
  /// Bytes per second; 0: the time was too short to tell.
  var rate = 0.0
  /// Bytes that were delivered from the sending of the newest packet that arrived to its acknowledgement.
  var delivered: Int64 = 0
  /// Bytes delivered in all when that packet was sent, and now.
  var priorDelivered: Int64 = 0
  var total: Int64 = 0
  /// Bytes in flight when it was sent, itself included, and bytes lost since.
  var inFlightAtSend: Int64 = 0
  var lost: Int64 = 0
  /// Bytes that were newly acknowledged, and in flight before and after.
  var acknowledged: Int64 = 0
  var inFlightBefore: Int64 = 0
  var inFlight: Int64 = 0
  /// The application had too little to send.
  var isApplicationLimited = false
}

/// What is known of a lost packet, the last one of those that were found lost together.
struct LossSample: Sendable {
  /// Packets that were lost together, and bytes of the last one.
  var packets = 0
  var size: Int64 = 0
  /// As in ``RateSample``.
  var inFlightAtSend: Int64 = 0
  var lost: Int64 = 0
  var isApplicationLimited = false
}

/// Estimates the rate of delivery (draft-ietf-ccwg-bbr §4.1). Only made for a controller that asks for it: others pay nothing.
final class DeliverySampler {
  private struct Record {
    var size: Int64 = 0
    var delivered: Int64 = 0
    var lost: Int64 = 0
    var inFlight: Int64 = 0
    var deliveredAt = Instant(nanoseconds: 0)
    var firstSentAt = Instant(nanoseconds: 0)
    var isApplicationLimited = false
  }

  /// By number, in a ring that grows and is reused.
  private var ring = [Record](repeating: Record(), count: 64)
  private var delivered: Int64 = 0
  private var lost: Int64 = 0
  private var deliveredAt = Instant(nanoseconds: 0)
  private var firstSentAt = Instant(nanoseconds: 0)
  /// Until so many bytes are delivered samples say what the application had; 0: not limited.
  private var limitedUntil: Int64 = 0

  // Of the acknowledgement that is being read.
  private var sample = RateSample()
  private var newest: (deliveredAt: Instant, firstSentAt: Instant, sentAt: Instant)?

  private func slot(_ number: UInt64) -> Int { Int(truncatingIfNeeded: number) & (ring.count &- 1) }

  /// Packet `number` leaves.
  /// - Parameters:
  ///   - inFlight: bytes, with this packet.
  ///   - base: the lowest number whose record is still needed.
  func sent(_ number: UInt64, size: Int, inFlight: Int, base: UInt64, now: Instant) {
    if number &- base >= UInt64(ring.count) { grow(from: base, to: number) }
    if inFlight == size {
      firstSentAt = now
      deliveredAt = now
    }
    ring[slot(number)] = Record(
      size: Int64(size), delivered: delivered, lost: lost, inFlight: Int64(inFlight), deliveredAt: deliveredAt,
      firstSentAt: firstSentAt, isApplicationLimited: limitedUntil > 0)
  }

  private func grow(from base: UInt64, to number: UInt64) {
    var capacity = ring.count
    while number &- base >= UInt64(capacity) { capacity *= 2 }
    var larger = [Record](repeating: Record(), count: capacity)
    for old in base..<number where number &- old <= UInt64(ring.count) {
      larger[Int(truncatingIfNeeded: old) & (capacity - 1)] = ring[slot(old)]
    }
    ring = larger
  }

  /// There is nothing to send, with so many bytes in flight.
  func applicationLimited(inFlight: Int) { limitedUntil = max(1, delivered + Int64(inFlight)) }

  func lost(_ number: UInt64) { lost += ring[slot(number)].size }

  /// What is known of a lost packet.
  func loss(of number: UInt64, packets: Int) -> LossSample {
    let record = ring[slot(number)]
    return LossSample(
      packets: packets, size: record.size, inFlightAtSend: record.inFlight, lost: lost - record.lost,
      isApplicationLimited: record.isApplicationLimited)
  }

  /// Packet `number` has arrived, and was not taken for lost.
  func arrived(_ number: UInt64, sentAt: Instant) {
    let record = ring[slot(number)]
    delivered += record.size
    sample.acknowledged += record.size
    guard newest == nil || record.delivered >= sample.priorDelivered && sentAt >= (newest?.sentAt ?? sentAt) else {
      return
    }
    sample.priorDelivered = record.delivered
    sample.inFlightAtSend = record.inFlight
    sample.lost = lost - record.lost
    sample.isApplicationLimited = record.isApplicationLimited
    newest = (record.deliveredAt, record.firstSentAt, sentAt)
  }

  /// The acknowledgement has been read; `nil`: nothing has arrived.
  func finish(inFlightBefore: Int, inFlight: Int, leastRoundTrip: Int64, now: Instant) -> RateSample? {
    guard let newest else { return nil }
    defer {
      sample = RateSample()
      self.newest = nil
    }
    if limitedUntil > 0, delivered > limitedUntil { limitedUntil = 0 }
    deliveredAt = now
    firstSentAt = newest.sentAt
    let sending = newest.sentAt.nanoseconds(since: newest.firstSentAt)
    let interval = max(sending, now.nanoseconds(since: newest.deliveredAt))
    sample.delivered = delivered - sample.priorDelivered
    sample.total = delivered
    sample.inFlightBefore = Int64(inFlightBefore)
    sample.inFlight = Int64(inFlight)
    if interval > 0, interval >= leastRoundTrip { sample.rate = Double(sample.delivered) * 1e9 / Double(interval) }
    return sample
  }
}
