/// The flows of one lane that have something to send, in turn.
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
  /// Bytes that the flow in front has put into packets since it came there.
  private var served = 0

  var isEmpty: Bool { flows.isEmpty }
  var count: Int { flows.count }
  var first: Flow? { flows.first }

  mutating func append(_ flow: Flow) { flows.append(flow) }

  /// The flow in front has nothing more to send.
  mutating func removeFirst() -> Flow? {
    served = 0
    return flows.popFirst()
  }

  /// Counts what the flow in front has sent, and lets the next one have its turn when it is time.
  mutating func serve(_ bytes: Int, weight: Int) {
    served += bytes
    guard served >= Self.turn * weight, flows.count > 1, let flow = removeFirst() else { return }
    flows.append(flow)
  }

  mutating func trim() {
    if flows.isEmpty { flows.removeAll() }
  }
}
