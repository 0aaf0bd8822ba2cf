import MeshPrimitives
import Testing

@Suite("Deadline queue") struct DeadlineQueueTests {
  @Test func `slots come out by deadline, then by slot, whatever was moved or cancelled`() {
    var queue = DeadlineQueue()
    var model: [UInt32: Int64] = [:]
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    func random(_ bound: UInt64) -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state % bound
    }
    for _ in 0..<5000 {
      let slot = UInt32(random(64))
      switch random(4) {
      case 0:
        queue.cancel(slot)
        model[slot] = nil
      case 1:
        let due = Int64(random(1000))
        queue.scheduleNoLater(slot, than: Instant(nanoseconds: due))
        model[slot] = min(model[slot] ?? .max, due)
      default:
        let due = Int64(random(1000))
        queue.schedule(slot, at: Instant(nanoseconds: due))
        model[slot] = due
      }
      #expect(queue.earliest?.nanoseconds == model.values.min())
    }
    var popped: [UInt32] = []
    while let slot = queue.popDue(at: .distantFuture) { popped.append(slot) }
    #expect(popped == model.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.map(\.key))
  }

  @Test func `nothing is due before its time`() {
    var queue = DeadlineQueue()
    queue.schedule(3, at: Instant(nanoseconds: 10))
    #expect(queue.popDue(at: Instant(nanoseconds: 9)) == nil)
    #expect(queue.popDue(at: Instant(nanoseconds: 10)) == 3)
    #expect(queue.earliest == nil)
  }
}
