import Glibc
import MeshPrimitives
import MeshRuntime
import Synchronization
import Testing

@Suite("Poller and thread") struct PollerTests {
  @Test func `a deadline ends the wait, and not before it`() throws {
    var poller = try Poller()
    let deadline = MonotonicClock.now + .milliseconds(3)
    var (rounds, events) = (0, 0)
    while MonotonicClock.now < deadline {
      events += poller.wait(until: deadline)
      rounds += 1
    }
    events += poller.wait(until: Instant(nanoseconds: .min))
    let wasRung = poller.wasRung
    #expect(events == 0 && !wasRung)
    // A wait that came back early would have made it spin.
    #expect(rounds < 10)
  }

  /// Counts on one thread what another one asks for.
  final class Counter: Sendable {
    let requested = Atomic<Int>(0)
    let seen = Atomic<Int>(0)
    let doorbell: Doorbell
    private let poller: Mutex<Poller?>

    init() throws {
      let poller = try Poller()
      doorbell = poller.doorbell
      self.poller = Mutex(poller)
    }

    func follow(to last: Int) {
      var poller = poller.withLock { $0.take()! }
      while seen.load(ordering: .sequentiallyConsistent) < last {
        poller.wait(until: nil)
        seen.store(requested.load(ordering: .sequentiallyConsistent), ordering: .sequentiallyConsistent)
      }
    }
  }

  @Test func `the doorbell wakes a thread that waits without a deadline`() async throws {
    let counter = try Counter()
    let thread = try EngineThread(name: "mesh-test") { counter.follow(to: 1000) }
    for round in 1...1000 {
      counter.requested.store(round, ordering: .sequentiallyConsistent)
      counter.doorbell.ring()
      if round % 3 == 0 { await Task.yield() }
    }
    await thread.finished()
    thread.join()
    #expect(counter.seen.load(ordering: .sequentiallyConsistent) == 1000)
  }

  @Test func `a descriptor is reported for what is waited for`() throws {
    let (one, two) = (try Endpoint(), try Endpoint())
    try one.poller.update(one.socket.descriptor, token: 7, interest: [.readable, .writable])
    #expect(one.wait() == 1)
    #expect(one.event.token == 7)
    #expect(one.event.isWritable && !one.event.isReadable)
    try one.poller.update(one.socket.descriptor, token: 8, interest: .readable)
    #expect(two.append(pattern(3, 3), Transmit(to: one.reached(at: "127.0.0.1"))))
    two.flush()
    #expect(one.wait() == 1)
    #expect(one.event.token == 8 && one.event.isReadable)
    try one.poller.remove(one.socket.descriptor)
    #expect(one.poll() == 0)
    #expect(throws: SocketError.system(.epoll, errno: 2)) { try one.poller.remove(one.socket.descriptor) }
  }

  @Test func `both clocks run`() {
    let (before, wall) = (MonotonicClock.now, WallTime.now)
    #expect(MonotonicClock.now >= before && before.nanoseconds > 0)
    #expect(wall.seconds > 1_700_000_000 && wall.nanoseconds < 1_000_000_000)
  }

  @Test func `a thread runs its body once and can be waited for twice`() async throws {
    let counter = try Counter()
    let thread = try EngineThread(name: "a name that is too long for Linux") {
      counter.seen.add(1, ordering: .sequentiallyConsistent)
    }
    await thread.finished()
    thread.join()
    thread.join()
    await thread.finished()
    #expect(counter.seen.load(ordering: .sequentiallyConsistent) == 1)
  }

  /// Takes a while to be given back, and then says so.
  private final class Slow: Sendable {
    private let counter: Counter

    init(_ counter: Counter) { self.counter = counter }

    deinit {
      for _ in 0..<20 { sched_yield() }
      counter.seen.add(1, ordering: .sequentiallyConsistent)
    }
  }

  @Test func `what the body of a thread held is given back before the thread has ended`() async throws {
    let counter = try Counter()
    for round in 1...50 {
      var held: Slow? = Slow(counter)
      let thread = try EngineThread(name: "mesh-test") { [held] in withExtendedLifetime(held) {} }
      held = nil
      await thread.finished()
      #expect(counter.seen.load(ordering: .sequentiallyConsistent) == round)
    }
  }
}
