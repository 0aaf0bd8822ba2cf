/// A first-in first-out queue whose storage is reused.
struct Ring<Element> {
  private var storage: [Element?] = []
  private var head = 0
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  var first: Element? { count == 0 ? nil : storage[head] }

  /// The element at `index`, counted from the oldest.
  subscript(index: Int) -> Element {
    get { storage[(head &+ index) & (storage.count &- 1)]! }
    set { storage[(head &+ index) & (storage.count &- 1)] = newValue }
  }

  mutating func append(_ element: Element) {
    if count == storage.count { grow() }
    storage[(head &+ count) & (storage.count &- 1)] = element
    count &+= 1
  }

  mutating func popFirst() -> Element? {
    guard count > 0 else { return nil }
    let element = storage[head].take()
    head = (head &+ 1) & (storage.count &- 1)
    count &-= 1
    return element
  }

  mutating func removeAll() {
    storage = []
    head = 0
    count = 0
  }

  private mutating func grow() {
    var larger: [Element?] = []
    larger.reserveCapacity(max(4, storage.count * 2))
    for index in 0..<count { larger.append(storage[(head &+ index) & (storage.count &- 1)]) }
    while larger.count < larger.capacity.powerOfTwoBelow { larger.append(nil) }
    storage = larger
    head = 0
  }
}

extension Int {
  fileprivate var powerOfTwoBelow: Int { self <= 0 ? 0 : 1 << (bitWidth - 1 - leadingZeroBitCount) }
}
