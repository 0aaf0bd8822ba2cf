internal import MeshPrimitives

/// A whole message or a datagram, in the model's ledger.
struct Letter {
  enum State: UInt8 {
    case sent
    case delivered
    /// The connection of its sender is over.
    case ended
  }

  let sender: UInt32
  let receiver: UInt32
  /// Bytes.
  let size: UInt32
  let carrier: Scenario.Carrier
  var state = State.sent
  let sent: Instant

  init(sender: UInt32, receiver: UInt32, size: UInt32, carrier: Scenario.Carrier, sent: Instant) {
    (self.sender, self.receiver, self.size, self.carrier, self.sent) = (sender, receiver, size, carrier, sent)
  }
}

/// Numbers, first in first out.
struct NumberQueue {
  private var numbers: [Int] = []
  private var head = 0

  var first: Int? { head < numbers.count ? numbers[head] : nil }
  var count: Int { numbers.count - head }

  mutating func append(_ number: Int) { numbers.append(number) }

  mutating func popFirst() -> Int? {
    guard head < numbers.count else { return nil }
    defer {
      head += 1
      if head == numbers.count {
        numbers.removeAll(keepingCapacity: true)
        head = 0
      } else if head >= 64, head * 2 > numbers.count {
        numbers.removeFirst(head)
        head = 0
      }
    }
    return numbers[head]
  }
}
