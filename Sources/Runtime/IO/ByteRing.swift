/// A bounded queue of bytes. It owns no lock: ``StreamPipe`` guards it.
///
/// Storage is allocated when the first bytes come, doubles up to the limit as they pile up, and is given back by
/// ``releaseIfEmpty()``: an idle stream costs next to nothing.
@safe
struct ByteRing: ~Copyable {
  private var storage: UnsafeMutableRawBufferPointer
  private var head = 0
  /// The bytes in the queue.
  private(set) var count = 0
  /// The most bytes that the queue takes.
  let limit: Int

  private static var firstAllocation: Int { 4096 }

  init(limit: Int) {
    precondition(limit > 0, "a ring holds at least one byte")
    self.limit = limit
    unsafe storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  }

  deinit { unsafe storage.deallocate() }

  var isEmpty: Bool { count == 0 }
  var free: Int { limit - count }

  /// Appends as many of `bytes` as there is room for and returns how many those are.
  mutating func write(_ bytes: RawSpan) -> Int {
    unsafe bytes.withUnsafeBytes { source in
      let taken = min(source.count, free)
      guard taken > 0 else { return 0 }
      reserve(count + taken)
      let tail = unsafe (head + count) % storage.count
      let first = unsafe min(taken, storage.count - tail)
      unsafe (storage.baseAddress! + tail).copyMemory(from: source.baseAddress!, byteCount: first)
      if first < taken {
        unsafe storage.baseAddress!.copyMemory(from: source.baseAddress! + first, byteCount: taken - first)
      }
      count += taken
      return taken
    }
  }

  /// Moves as many bytes as there are, and as fit, to the end of `output` and returns how many those are.
  mutating func read(into output: inout OutputRawSpan) -> Int {
    let taken = min(count, output.freeCapacity)
    guard taken > 0 else { return 0 }
    let first = unsafe min(taken, storage.count - head)
    output.append(unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: storage[head..<head + first])))
    if first < taken {
      output.append(unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: storage[0..<taken - first])))
    }
    count -= taken
    head = unsafe count == 0 ? 0 : (head + taken) % storage.count
    return taken
  }

  /// Lets `body` append up to `count` bytes where they are to lie: as many as stand in one piece, at least one unless the
  /// ring is full. Returns how many it appended.
  mutating func fill(atMost wanted: Int, _ body: (inout OutputRawSpan) -> Void) -> Int {
    let wanted = min(wanted, free)
    guard wanted > 0 else { return 0 }
    reserve(count + wanted)
    let tail = unsafe (head + count) % storage.count
    let room = unsafe min(wanted, storage.count - tail)
    let region = unsafe UnsafeMutableRawBufferPointer(rebasing: storage[tail..<tail + room])
    var output = unsafe OutputRawSpan(buffer: region, initializedCount: 0)
    body(&output)
    let added = unsafe output.finalize(for: region)
    count += added
    return added
  }

  /// Lends `body` the oldest bytes that stand in one piece, and drops as many of them as it says. Returns that number.
  mutating func consume(_ body: (RawSpan) -> Int) -> Int {
    guard count > 0 else { return 0 }
    let piece = unsafe min(count, storage.count - head)
    let taken = body(unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: storage[head..<head + piece])))
    precondition((0...piece).contains(taken), "no more can be taken than there is")
    count -= taken
    head = unsafe count == 0 ? 0 : (head + taken) % storage.count
    return taken
  }

  /// Drops all bytes.
  mutating func removeAll() {
    count = 0
    head = 0
  }

  /// Gives the storage back when nothing is in it.
  mutating func releaseIfEmpty() {
    guard isEmpty else { return }
    unsafe storage.deallocate()
    unsafe storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    head = 0
  }

  private mutating func reserve(_ needed: Int) {
    guard unsafe needed > storage.count else { return }
    var size = unsafe max(storage.count, min(Self.firstAllocation, limit))
    while size < needed { size = min(size * 2, limit) }
    let grown = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
    if count > 0 {
      let first = unsafe min(count, storage.count - head)
      unsafe grown.baseAddress!.copyMemory(from: storage.baseAddress! + head, byteCount: first)
      if first < count {
        unsafe (grown.baseAddress! + first).copyMemory(from: storage.baseAddress!, byteCount: count - first)
      }
    }
    unsafe storage.deallocate()
    unsafe storage = grown
    head = 0
  }
}

// The storage has one owner, and exclusive access to a value of this type is exclusive access to it.
extension ByteRing: @unchecked Sendable {}
