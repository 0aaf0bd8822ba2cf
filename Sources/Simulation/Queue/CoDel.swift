internal import MeshPrimitives

/// Controlled Delay (RFC 8289 §5): when packets have waited longer than a target for a whole interval, one is marked or
/// dropped, and the next ones sooner and sooner until the wait is short again.
public struct CoDel: Sendable {
  public struct Parameters: Sendable, Equatable {
    /// The wait that is tolerated for ever.
    public var target = Duration.milliseconds(5)
    /// The wait that is tolerated for so long: about the longest usual round trip.
    public var interval = Duration.milliseconds(100)
    /// Whether packets of ECN-capable transports are marked in place of being dropped.
    public var marks = true
    /// Bytes; a shorter queue is never acted upon.
    public var packetSize = 1_514

    public init() {}
  }

  private let target: Int64
  private let interval: Int64
  private let marks: Bool
  private let packetSize: Int
  /// When the wait will have been above the target for an interval; `nil` while it is not above.
  private var firstAbove: Int64?
  private var isDropping = false
  private var dropNext: Int64 = 0
  private var count = 0
  private var lastCount = 0

  init(_ parameters: Parameters) {
    target = parameters.target.wholeNanoseconds
    interval = parameters.interval.wholeNanoseconds
    marks = parameters.marks
    packetSize = parameters.packetSize
  }

  /// The next packet to leave at `now`; those in front of it that were dropped are counted.
  mutating func next(from ring: inout PacketRing, at now: Int64, counts: inout Link.Counts) -> QueuedPacket? {
    guard var packet = take(from: &ring, at: now) else {
      isDropping = false
      return nil
    }
    if isDropping {
      if !isLate { isDropping = false }
      while isDropping, now >= dropNext {
        count += 1
        if mark(&packet, counts: &counts) {
          dropNext = following(dropNext)
          break
        }
        counts.dropped += 1
        guard let successor = take(from: &ring, at: now) else {
          isDropping = false
          return nil
        }
        packet = successor
        if isLate { dropNext = following(dropNext) } else { isDropping = false }
      }
    } else if isLate {
      // §5.6: begin where the last time ended, if that was not long ago.
      let delta = count - lastCount
      count = delta > 1 && now - dropNext < 16 * interval ? delta : 1
      lastCount = count
      dropNext = following(now)
      isDropping = true
      if !mark(&packet, counts: &counts) {
        counts.dropped += 1
        guard let successor = take(from: &ring, at: now) else {
          isDropping = false
          return nil
        }
        packet = successor
      }
    }
    return packet
  }

  /// Whether the packet that was taken last may be dropped.
  private var isLate = false

  private mutating func take(from ring: inout PacketRing, at now: Int64) -> QueuedPacket? {
    isLate = false
    guard let packet = ring.popFirst() else {
      firstAbove = nil
      return nil
    }
    if now - packet.since < target || ring.bytes <= packetSize {
      firstAbove = nil
    } else if let firstAbove {
      isLate = now >= firstAbove
    } else {
      firstAbove = now + interval
    }
    return packet
  }

  private func mark(_ packet: inout QueuedPacket, counts: inout Link.Counts) -> Bool {
    guard marks, packet.ecn != .notECT else { return false }
    packet.ecn = .ce
    counts.marked += 1
    return true
  }

  private func following(_ time: Int64) -> Int64 { time + Int64(Double(interval) / Double(count).squareRoot()) }
}
