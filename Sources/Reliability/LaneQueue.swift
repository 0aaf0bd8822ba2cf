/// The flows of one lane that have something to send: first those with something that was lost, since their receivers can go
/// no further without (RFC 9000 §13.3); then all in turn.
struct LaneQueue {
  enum Flow {
    case stream(Stream)
    /// The messages of the lane.
    case messages
    case datagrams
  }

  /// Bytes that one flow of weight 1 may send before the next has its turn.
  private static let turn = 16 << 10

  private var flows = Ring<Flow>()
  /// Those with something that was lost; each may be in `flows`, too.
  private var repairs = Ring<Flow>()
  /// Bytes that the flow in front has put into packets since it came there.
  private var served = 0

  var isEmpty: Bool { flows.isEmpty && repairs.isEmpty }
  var count: Int { flows.count + repairs.count }
  var first: Flow? { repairs.isEmpty ? flows.first : repairs.first }
  /// The flow in front is there for what it has lost.
  var isRepairing: Bool { !repairs.isEmpty }

  mutating func append(_ flow: Flow) { flows.append(flow) }

  mutating func appendRepair(_ flow: Flow) { repairs.append(flow) }

  /// The flow in front has nothing more to send; or, of repairs, nothing that was lost.
  mutating func removeFirst() {
    if isRepairing {
      _ = repairs.popFirst()
    } else {
      served = 0
      _ = flows.popFirst()
    }
  }

  /// Counts what the flow in front has sent, and lets the next one have its turn when it is time.
  mutating func serve(_ bytes: Int, weight: Int) {
    guard !isRepairing else { return }
    served += bytes
    guard served >= Self.turn * weight, flows.count > 1, let flow = flows.popFirst() else { return }
    served = 0
    flows.append(flow)
  }

  mutating func trim() {
    if flows.isEmpty { flows.removeAll() }
    if repairs.isEmpty { repairs.removeAll() }
  }
}
