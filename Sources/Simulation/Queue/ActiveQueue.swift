internal import MeshPrimitives

/// The packets that wait at a link whose queue is managed.
struct ActiveQueue: Sendable {
  private enum Control: Sendable {
    case coDel(CoDel)
    case dualPI2(DualPI2)
  }

  let discipline: QueueDiscipline
  private var control: Control
  private var classic = PacketRing()
  private var scalable = PacketRing()

  /// `nil` for a discipline that needs no packets held.
  init?(_ discipline: QueueDiscipline) {
    self.discipline = discipline
    switch discipline {
    case .dropTail: return nil
    case .coDel(let parameters): control = .coDel(CoDel(parameters))
    case .dualPI2(let parameters): control = .dualPI2(DualPI2(parameters))
    }
  }

  var isEmpty: Bool { classic.isEmpty && scalable.isEmpty }
  var bytes: Int { classic.bytes + scalable.bytes }

  /// When the packet that has waited longest came, and the size of the shortest of those in front.
  var front: (since: Int64, bytes: Int)? {
    guard let first = classic.first else { return scalable.first.map { ($0.since, $0.bytes.count) } }
    guard let other = scalable.first else { return (first.since, first.bytes.count) }
    return (min(first.since, other.since), min(first.bytes.count, other.bytes.count))
  }

  mutating func append(_ packet: QueuedPacket) {
    if case .dualPI2 = control, packet.ecn == .ect1 || packet.ecn == .ce {
      scalable.append(packet)
    } else {
      classic.append(packet)
    }
  }

  /// The next packet to leave at `now`.
  mutating func next(at now: Int64, entropy: inout SeededEntropy, counts: inout Link.Counts) -> QueuedPacket? {
    switch control {
    case .coDel(var state):
      defer { control = .coDel(state) }
      return state.next(from: &classic, at: now, counts: &counts)
    case .dualPI2(var state):
      defer { control = .dualPI2(state) }
      return state.next(classic: &classic, scalable: &scalable, at: now, entropy: &entropy, counts: &counts)
    }
  }
}
