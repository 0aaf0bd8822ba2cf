import MeshNode
import MeshPrimitives
import MeshRuntime
import Synchronization
import Testing

@Suite("Stream pipe", .timeLimit(.minutes(5))) struct StreamPipeTests {
  /// An engine that echoes what each of its pipes brings, on a thread of its own.
  final class EchoEngine: Sendable {
    let ready: ReadyList
    private let poller: Mutex<Poller?>
    private let doorbell: Doorbell
    private let pipes = Mutex<[StreamPipe]>([])
    private let isStopped = Atomic<Bool>(false)
    private let thread = Mutex<EngineThread?>(nil)
    let visits = Atomic<Int>(0)

    init() throws {
      let poller = try Poller()
      doorbell = poller.doorbell
      ready = ReadyList(doorbell: poller.doorbell)
      self.poller = Mutex(poller)
    }

    func open(limit: Int) -> StreamPipe {
      pipes.withLock { pipes in
        pipes.append(StreamPipe(token: UInt64(pipes.count), limit: limit, ready: ready))
        return pipes.last!
      }
    }

    func start() throws {
      let thread = try EngineThread(name: "mesh-echo") { self.run() }
      self.thread.withLock { $0 = thread }
    }

    func stop() async {
      isStopped.store(true, ordering: .sequentiallyConsistent)
      doorbell.ring()
      await thread.withLock { $0! }.finished()
    }

    private func run() {
      var poller = poller.withLock { $0.take()! }
      var tokens: [UInt64] = []
      var waiting: [[UInt8]] = []  // per pipe: read, and not taken yet by the other side
      while !isStopped.load(ordering: .sequentiallyConsistent) {
        poller.wait(until: nil)
        ready.drain(into: &tokens)
        for token in tokens {
          visits.add(1, ordering: .relaxed)
          let pipe = pipes.withLock { $0[Int(token)] }
          while waiting.count <= Int(token) { waiting.append([]) }
          echo(pipe, &waiting[Int(token)])
        }
      }
    }

    private func echo(_ pipe: StreamPipe, _ waiting: inout [UInt8]) {
      let attention = pipe.engineAttend()
      while true {
        if waiting.isEmpty {
          waiting = [UInt8](capacity: 1000) { _ = pipe.engineRead(into: &$0) }
          if waiting.isEmpty { break }
        }
        let taken = pipe.engineWrite(waiting.bytes)
        waiting.removeFirst(taken)
        if !waiting.isEmpty { return }  // the app's next read posts the pipe
      }
      if attention.isFinished { pipe.engineFinish() }
    }
  }

  @Test(arguments: [16, 5000, 65_536]) func `bytes go through the engine and back, in order`(limit: Int) async throws {
    let engine = try EchoEngine()
    let pipes = (0..<4).map { _ in engine.open(limit: limit) }
    try engine.start()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, pipe) in pipes.enumerated() {
        let count = limit == 16 ? 5000 : 400_000
        let sent = pattern(count, index)
        group.addTask {
          var offset = 0
          var size = 1
          while offset < sent.count {
            let chunk = Array(sent[offset..<min(offset + size, sent.count)])
            try await pipe.write(chunk)
            offset += chunk.count
            size = size % 9000 + 37
          }
          pipe.finish()
        }
        group.addTask {
          var received: [UInt8] = []
          while try await pipe.read(into: &received, atMost: 700 * (index + 1)) > 0 {}
          let isSame = received == sent
          #expect(isSame, "\(received.count) of \(sent.count) bytes")
          // The end stays the end.
          let again = try await pipe.read(into: &received)
          #expect(again == 0)
        }
      }
      try await group.waitForAll()
    }
    await engine.stop()
  }

  /// A pipe whose engine is the test itself.
  final class Bench: Sendable {
    let ready: ReadyList
    let pipe: StreamPipe
    private let poller: Mutex<Poller>
    private let wasPosted = Atomic<Bool>(false)

    init(limit: Int = 64) throws {
      let poller = try Poller()
      ready = ReadyList(doorbell: poller.doorbell)
      pipe = StreamPipe(token: 5, limit: limit, ready: ready)
      self.poller = Mutex(poller)
    }

    /// What was posted since the last time.
    func posted() -> [UInt64] {
      var tokens: [UInt64] = []
      ready.drain(into: &tokens)
      return tokens
    }

    /// Waits until something is posted, on a thread of its own: one of the pool would be missing elsewhere.
    func wait() async -> Bool {
      wasPosted.store(false, ordering: .sequentiallyConsistent)
      let thread = try? EngineThread(name: "mesh-test") {
        self.wasPosted.store(self.waitNow(), ordering: .sequentiallyConsistent)
      }
      await thread?.finished()
      return wasPosted.load(ordering: .sequentiallyConsistent)
    }

    private func waitNow() -> Bool {
      var tokens: [UInt64] = []
      // No deadline: how soon the app's task runs depends on what else is tested at the same time.
      while tokens.isEmpty {
        poller.withLock { _ = $0.wait(until: nil) }
        ready.drain(into: &tokens)
      }
      return !tokens.isEmpty
    }

    func take(_ maximum: Int = 1000) -> [UInt8] { [UInt8](capacity: maximum) { _ = pipe.engineRead(into: &$0) } }
    func give(_ bytes: [UInt8]) -> Int { pipe.engineWrite(bytes.bytes) }
  }

  @Test func `many writes post the pipe once`() async throws {
    let bench = try Bench()
    for byte in 0..<10 as Range<UInt8> { try await bench.pipe.write([byte]) }
    bench.pipe.finish()
    #expect(bench.posted() == [5])
    #expect(bench.posted() == [])
    let attention = bench.pipe.engineAttend()
    #expect(attention.outgoing == 10 && attention.isFinished && attention.resetCode == nil && attention.consumed == 0)
    #expect(bench.take() == Array(0..<10))
    await #expect(throws: StreamFailure.finished) { try await bench.pipe.write([1]) }
  }

  @Test func `a full pipe holds the writer until the engine has read`() async throws {
    let bench = try Bench(limit: 8)
    let writer = Task { try await bench.pipe.write(Array(0..<20)) }
    var taken: [UInt8] = []
    while taken.count < 20 {
      #expect(await bench.wait())
      #expect(bench.pipe.engineAttend().outgoing <= 8)
      taken += bench.take(3)
      while bench.pipe.engineAttend().outgoing > 0 { taken += bench.take(3) }
    }
    try await writer.value
    #expect(taken == Array(0..<20))
  }

  @Test func `the engine learns that the app has read when it waits for room`() async throws {
    let bench = try Bench(limit: 8)
    #expect(bench.give(Array(0..<12)) == 8)
    #expect(bench.give([99]) == 0)
    var read: [UInt8] = []
    #expect(try await bench.pipe.read(into: &read, atMost: 1) == 1)
    #expect(bench.posted() == [5])
    #expect(bench.pipe.engineAttend().consumed == 1)
    #expect(bench.give([8]) == 1)
    #expect(try await bench.pipe.read(into: &read, atMost: 100) == 8)
    #expect(read == Array(0...8))
    #expect(bench.pipe.engineAttend().consumed == 8)
    #expect(bench.pipe.engineAttend().consumed == 0)
  }

  @Test func `a reader waits for bytes, for the end and for a failure`() async throws {
    for act in 0..<3 {
      let bench = try Bench()
      let reader = Task { () throws -> [UInt8] in
        var read: [UInt8] = []
        _ = try await bench.pipe.read(into: &read)
        return read
      }
      await Task.yield()
      switch act {
      case 0: #expect(bench.give([7]) == 1)
      case 1: bench.pipe.engineFinish()
      default: bench.pipe.engineFailReading(.reset(code: 3))
      }
      switch await reader.result {
      case .success(let read): #expect(act < 2 && read == (act == 0 ? [7] : []))
      case .failure(let error): #expect(act == 2 && error as? StreamFailure == .reset(code: 3))
      }
    }
  }

  @Test func `what came before a failure is read before it`() async throws {
    let bench = try Bench()
    #expect(bench.give([1, 2, 3]) == 3)
    bench.pipe.engineFailReading(.disconnected(.peerRestarted))
    bench.pipe.engineFailReading(.reset(code: 1))
    var read: [UInt8] = []
    #expect(try await bench.pipe.read(into: &read) == 3)
    await #expect(throws: StreamFailure.disconnected(.peerRestarted)) { _ = try await bench.pipe.read(into: &read) }
    #expect(bench.give([4, 5]) == 0)
    #expect(read == [1, 2, 3])
  }

  @Test func `a reset by the app reaches the engine, and both ways end`() async throws {
    let bench = try Bench(limit: 4)
    #expect(bench.give([1]) == 1)
    let writer = Task { try await bench.pipe.write([1, 2, 3, 4, 5, 6]) }
    #expect(await bench.wait())
    bench.pipe.reset(code: 77)
    await #expect(throws: StreamFailure.reset(code: 77)) { try await writer.value }
    var read: [UInt8] = []
    await #expect(throws: StreamFailure.reset(code: 77)) { _ = try await bench.pipe.read(into: &read) }
    let attention = bench.pipe.engineAttend()
    #expect(attention.resetCode == 77 && attention.outgoing == 0)
    #expect(bench.take() == [])
  }

  @Test func `a cancelled reader ends and loses no byte`() async throws {
    for round in 0..<200 {
      let bench = try Bench()
      let reader = Task { () throws -> [UInt8] in
        var read: [UInt8] = []
        _ = try await bench.pipe.read(into: &read)
        return read
      }
      if round % 2 == 0 { await Task.yield() }
      let giver = Task.detached { if round % 3 == 0 { _ = bench.give([42]) } }
      reader.cancel()
      await giver.value
      switch await reader.result {
      case .success(let read): #expect(read == [42])
      case .failure(let error):
        #expect(error is CancellationError)
        if round % 3 != 0 { #expect(bench.give([42]) == 1) }
        var read: [UInt8] = []
        #expect(try await bench.pipe.read(into: &read) == 1)
        #expect(read == [42])
      }
    }
  }

  @Test func `a cancelled writer ends, and the pipe goes on`() async throws {
    let bench = try Bench(limit: 4)
    let writer = Task { try await bench.pipe.write([1, 2, 3, 4, 5, 6]) }
    #expect(await bench.wait())
    writer.cancel()
    await #expect(throws: CancellationError.self) { try await writer.value }
    #expect(bench.take() == [1, 2, 3, 4])
    try await bench.pipe.write([7])
    #expect(bench.take() == [7])
  }

  @Test func `a second reader at the same time is refused`() async throws {
    let bench = try Bench()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        var read: [UInt8] = []
        // Either of the two may be first; the other one is refused until bytes come.
        do { _ = try await bench.pipe.read(into: &read) } catch StreamFailure.busy { _ = bench.give([1]) }
      }
      group.addTask {
        var read: [UInt8] = []
        do { _ = try await bench.pipe.read(into: &read) } catch StreamFailure.busy { _ = bench.give([1]) }
      }
      try await group.waitForAll()
    }
  }

  @Test func `storage that was given back comes again`() async throws {
    let bench = try Bench(limit: 100_000)
    for size in [10, 50_000, 3, 100_000] {
      let bytes = pattern(size, size)
      try await bench.pipe.write(bytes)
      #expect(bench.give(bytes) == size)
      bench.pipe.engineReleaseStorage()
      var read: [UInt8] = []
      while read.count < size { _ = try await bench.pipe.read(into: &read, atMost: 7000) }
      let isSame = read == bytes && bench.take(size) == bytes
      #expect(isSame)
      bench.pipe.engineReleaseStorage()
    }
  }
}

extension StreamPipe {
  /// What the app has written, up to the room in `output`.
  func engineRead(into output: inout OutputRawSpan) -> Int {
    var total = 0
    engineTake { bytes in
      let count = min(bytes.byteCount, output.freeCapacity)
      output.append(bytes.extracting(0..<count))
      total += count
      return count
    }
    return total
  }

  /// Hands over as many of `bytes` as there is room for.
  func engineWrite(_ bytes: RawSpan) -> Int {
    var total = 0
    engineFill { output in
      let count = min(bytes.byteCount - total, output.freeCapacity)
      output.append(bytes.extracting(total..<total + count))
      total += count
    }
    return total
  }
}

extension StreamPipe {
  /// Appends what has come to `buffer`, and returns how much that is; 0 at the end.
  fileprivate func read(into buffer: inout [UInt8], atMost maximum: Int = 65_536) async throws -> Int {
    guard let bytes = try await read(upTo: maximum) else { return 0 }
    buffer += bytes
    return bytes.count
  }
}
