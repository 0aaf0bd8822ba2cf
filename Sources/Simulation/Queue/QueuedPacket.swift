internal import MeshPrimitives

/// A packet that waits for its turn.
struct QueuedPacket: Sendable {
  var bytes: [UInt8]
  var ecn: ECN
  var tag: UInt32
  /// Behind the queue it will be lost.
  var isDoomed: Bool
  /// When it came, in nanoseconds.
  var since: Int64
}

/// Packets first in, first out, in a ring that is reused, and freed when it was long and is empty.
struct PacketRing: Sendable {
  /// The capacity of a ring that is kept while it is empty.
  private static let kept = 64

  private var slots: [QueuedPacket?] = []
  private var head = 0
  private(set) var count = 0
  /// Bytes of all packets.
  private(set) var bytes = 0

  var isEmpty: Bool { count == 0 }
  var first: QueuedPacket? { count == 0 ? nil : slots[head] }

  /// Nanoseconds that the packet in front has waited at `now`; 0 without one.
  func delay(at now: Int64) -> Int64 { count == 0 ? 0 : max(0, now - (slots[head]?.since ?? now)) }

  mutating func append(_ packet: QueuedPacket) {
    if count == slots.count { grow() }
    slots[(head + count) & (slots.count - 1)] = packet
    count += 1
    bytes += packet.bytes.count
  }

  mutating func popFirst() -> QueuedPacket? {
    guard count > 0, let packet = slots[head] else { return nil }
    slots[head] = nil
    head = (head + 1) & (slots.count - 1)
    count -= 1
    bytes -= packet.bytes.count
    if count == 0, slots.count > Self.kept {
      slots = []
      head = 0
    }
    return packet
  }

  private mutating func grow() {
    var larger = [QueuedPacket?](repeating: nil, count: max(8, slots.count * 2))
    for index in 0..<count { larger[index] = slots[(head + index) & (slots.count - 1)] }
    slots = larger
    head = 0
  }
}
