import MeshPrimitives
import MeshRuntime
import Testing

/// A socket with its batches and its poller.
final class Endpoint {
  var socket: UDPSocket
  var received = try! ReceiveBatch()
  var toSend = try! SendBatch()
  var poller = try! Poller()

  init(address: IPAddress? = nil) throws {
    socket = try UDPSocket(address: address)
    try poller.add(socket.descriptor, token: 1)
  }

  var counters: UDPCounters { socket.counters }
  var usesSegmentation: Bool { socket.usesSegmentation }
  var families: UDPSocket.Families { socket.families }
  var coalesces: Bool { socket.coalesces }
  var hasSent: Bool { toSend.isEmpty }
  var isFull: Bool { toSend.isFull }

  func append(_ bytes: [UInt8], _ transmit: Transmit) -> Bool { toSend.append(bytes.bytes, transmit) }
  @discardableResult func flush() -> UDPSocket.Flushed { socket.flush(&toSend) }
  func receive() -> Int { socket.receive(into: &received) }
  /// Waits for up to ten seconds.
  func wait() -> Int { poller.wait(until: MonotonicClock.now + .seconds(10)) }
  func poll() -> Int { poller.wait(until: MonotonicClock.now) }
  var event: Poller.Event { poller.event(at: 0) }

  /// Where another socket of this machine reaches this one.
  func reached(at host: String) -> SocketAddress { SocketAddress(IPAddress(host)!, port: socket.local.port) }

  struct Arrived: Equatable {
    var bytes: [UInt8]
    var message: ReceivedMessage
  }

  /// The next datagrams, `count` of them or what came within ten seconds.
  func collect(_ count: Int) -> [Arrived] {
    var arrived: [Arrived] = []
    let deadline = MonotonicClock.now + .seconds(10)
    while arrived.count < count, MonotonicClock.now < deadline {
      poller.wait(until: deadline)
      while socket.receive(into: &received) > 0 {
        received.forEachDatagram { message, bytes in
          arrived.append(Arrived(bytes: [UInt8](copying: bytes.bytes), message: message))
        }
      }
    }
    return arrived
  }
}

func pattern(_ count: Int, _ seed: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ seed) } }

@Suite("UDP socket") struct UDPSocketTests {
  static let hasIPv6 = (try? UDPSocket(address: IPAddress("::1"))) != nil
  static let hosts = hasIPv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"]

  @Test(arguments: hosts) func `a datagram arrives as it was sent, and says from where`(host: String) throws {
    let (one, two) = (try Endpoint(), try Endpoint())
    let bytes = pattern(1400, 1)
    #expect(one.append(bytes, Transmit(to: two.reached(at: host))))
    #expect(one.flush() == .done)
    #expect(one.hasSent)
    let arrived = two.collect(1)
    #expect(arrived.map(\.bytes) == [bytes])
    #expect(arrived.first?.message.source == one.reached(at: host))
    #expect(arrived.first?.message.local == IPAddress(host))
    #expect(arrived.first?.message.interface != 0)
    #expect(arrived.first?.message.ecn == .notECT)
    #expect(one.counters.sentDatagrams == 1 && one.counters.sentBytes == 1400)
    #expect(two.counters.receivedDatagrams == 1 && two.counters.receivedBytes == 1400)
  }

  @Test(arguments: hosts, [ECN.notECT, .ect0, .ect1, .ce])
  func `the ECN codepoint is carried`(host: String, ecn: ECN) throws {
    let (one, two) = (try Endpoint(), try Endpoint())
    #expect(one.append(pattern(9, 2), Transmit(to: two.reached(at: host), ecn: ecn)))
    one.flush()
    #expect(two.collect(1).map(\.message.ecn) == [ecn])
  }

  @Test(arguments: hosts, [true, false])
  func `a burst arrives whole and in order, with segmentation and without`(host: String, segmented: Bool) throws {
    let (one, two) = (try Endpoint(), try Endpoint())
    // Sizes that end runs: a shorter last one, a longer next one, an empty one, more than 64, more than 65,507 bytes.
    let sizes =
      Array(repeating: 1200, count: 30) + [77] + Array(repeating: 1400, count: 50) + [0] + [1] + [60_000]
      + Array(repeating: 16, count: 130) + Array(repeating: 500, count: 3)
    if !segmented { one.socket.avoidSegmentation() }
    let sent = sizes.enumerated().map { pattern($1, $0) }
    for datagram in sent {
      #expect(one.append(datagram, Transmit(to: two.reached(at: host), ecn: .ect0)))
    }
    #expect(one.flush() == .done)
    let arrived = two.collect(sizes.count)
    #expect(arrived.map(\.bytes.count) == sizes)
    let isSame = arrived.map(\.bytes) == sent
    #expect(isSame)
    #expect(arrived.allSatisfy { $0.message.source == one.reached(at: host) && $0.message.ecn == .ect0 })
    #expect(one.counters.sentDatagrams == UInt64(sizes.count))
    #expect(one.counters.sentBytes == UInt64(sizes.reduce(0, +)))
    #expect(one.usesSegmentation == segmented)
    if segmented {
      #expect(one.counters.sendCalls == 1)
      if two.coalesces { #expect(two.counters.receiveCalls < 10) }
    }
  }

  @Test func `a burst is one message on both sides`() throws {
    let (one, two) = (try Endpoint(), try Endpoint())
    try #require(two.coalesces)
    let added = one.toSend.append(reserving: 40 * 1400) { output in
      for index in 0..<40 { output.append(pattern(index == 39 ? 100 : 1400, index).bytes) }
      return Transmit(to: two.reached(at: "127.0.0.1"), segmentSize: 1400)
    }
    #expect(added == .added)
    one.flush()
    #expect(two.wait() == 1)
    var batch = try ReceiveBatch()
    let count = two.socket.receive(into: &batch)
    try #require(count == 1)
    let message = batch.message(at: 0)
    #expect(message.datagramCount == 40 && message.segmentSize == 1400 && message.byteCount == 39 * 1400 + 100)
    var bytes = batch.bytes(at: 0)
    bytes.storeBytes(of: 0xAA, toByteOffset: 0, as: UInt8.self)
    var sizes: [Int] = []
    var first: UInt8 = 0
    batch.forEachDatagram { _, bytes in
      if sizes.isEmpty { first = bytes.bytes.byte(at: 0) }
      sizes.append(bytes.byteCount)
    }
    #expect(first == 0xAA)
    #expect(sizes == Array(repeating: 1400, count: 39) + [100])
  }

  @Test func `bursts of other sizes do not run together`() throws {
    let (one, two) = (try Endpoint(), try Endpoint())
    let bursts = [(2000, 1000), (1500, 700), (700, 700), (90, 40), (40, 1000), (128, 2), (2, 2), (1, 2)]
    for (count, segment) in bursts {
      let added = one.toSend.append(reserving: count) { output in
        output.append(pattern(count, segment).bytes)
        return Transmit(to: two.reached(at: "127.0.0.1"), segmentSize: segment)
      }
      #expect(added == .added)
    }
    #expect(one.flush() == .done)
    let expected = bursts.flatMap { count, segment in
      stride(from: 0, to: count, by: segment).map { min(segment, count - $0) }
    }
    #expect(two.collect(expected.count).map(\.bytes.count) == expected)
    #expect(one.counters.sentDatagrams == UInt64(expected.count))
  }

  @Test func `datagrams to several places go where they belong`() throws {
    let one = try Endpoint()
    let (two, three) = (try Endpoint(), try Endpoint())
    let (second, third) = (two.reached(at: "127.0.0.1"), three.reached(at: Self.hosts.last!))
    for index in 0..<9 {
      let isSecond = index % 3 != 2
      #expect(one.append(pattern(300, index), Transmit(to: isSecond ? second : third)))
    }
    one.flush()
    #expect(two.collect(6).map(\.bytes) == [0, 1, 3, 4, 6, 7].map { pattern(300, $0) })
    #expect(three.collect(3).map(\.bytes) == [2, 5, 8].map { pattern(300, $0) })
  }

  @Test(arguments: ["127.0.0.1", "127.9.8.7"]) func `the source address can be chosen`(source: String) throws {
    let (one, two) = (try Endpoint(), try Endpoint())
    let transmit = Transmit(to: two.reached(at: "127.0.0.1"), from: IPAddress(source))
    #expect(one.append(pattern(5, 5), transmit))
    one.flush()
    #expect(two.collect(1).map(\.message.source) == [one.reached(at: source)])
  }

  @Test(arguments: ["127.0.0.1", "::1"])
  func `from an address that this machine no longer has it is sent from another one`(host: String) throws {
    let (one, two) = (try Endpoint(), try Endpoint())
    let gone = IPAddress(host == "::1" ? "2001:db8::77" : "192.0.2.77")
    for index in 0..<8 {
      #expect(one.append(pattern(100, index), Transmit(to: two.reached(at: host), from: gone)))
    }
    #expect(one.flush() == .done)
    let arrived = two.collect(8)
    #expect(arrived.map(\.bytes) == (0..<8).map { pattern(100, $0) })
    #expect(arrived.allSatisfy { $0.message.source == one.reached(at: host) })
    #expect(one.counters.refusedSources == 1 && one.usesSegmentation)
  }

  @Test func `what cannot be sent is counted and the rest goes on`() throws {
    let (one, two) = (try Endpoint(), try Endpoint())
    let good = Transmit(to: two.reached(at: "127.0.0.1"))
    #expect(one.append(pattern(100, 0), good))
    // What no socket may send to unless it asks for it, and a port that is none.
    #expect(one.append(pattern(100, 1), Transmit(to: SocketAddress("255.255.255.255:9")!)))
    #expect(one.append(pattern(100, 2), Transmit(to: SocketAddress("127.0.0.1:0")!)))
    #expect(one.append(pattern(100, 3), good))
    #expect(one.flush() == .done)
    #expect(two.collect(2).map(\.bytes) == [pattern(100, 0), pattern(100, 3)])
    let counters = one.counters
    #expect(counters.sentDatagrams == 2)
    #expect(counters.badAddress == 1)
    #expect(counters.denied == 1)
    #expect(one.usesSegmentation)
  }

  @Test func `datagrams of a family that the socket lacks are counted as unreachable`() throws {
    let one = try Endpoint(address: IPAddress("127.0.0.1"))
    #expect(one.families == .v4)
    #expect(one.append(pattern(10, 0), Transmit(to: SocketAddress("[::1]:9")!)))
    #expect(one.append(pattern(10, 0), Transmit(to: one.reached(at: "127.0.0.1"))))
    #expect(one.flush() == .done)
    #expect(one.counters.unreachable == 1 && one.counters.sentDatagrams == 1)
  }

  @Test func `a datagram that may be fragmented arrives too`() throws {
    let (one, two) = (try Endpoint(), try Endpoint())
    let transmit = Transmit(to: two.reached(at: "127.0.0.1"), mayFragment: true)
    for index in 0..<3 { #expect(one.append(pattern(200, index), transmit)) }
    #expect(one.flush() == .done)
    #expect(two.collect(3).map(\.bytes) == (0..<3).map { pattern(200, $0) })
  }

  @Test func `a port in use is said to be`() throws {
    let first = try Endpoint()
    let port = first.reached(at: "127.0.0.1").port
    #expect(throws: SocketError.portInUse(port)) { _ = try UDPSocket(port: port) }
    #expect(SocketError.portInUse(2552).description.contains("2552 is in use"))
    #expect(throws: SocketError.addressNotAvailable) { _ = try UDPSocket(address: IPAddress("192.0.2.1")) }
  }

  @Test func `a batch that is full says so and takes more after a flush`() throws {
    let (one, two) = (try Endpoint(), try Endpoint())
    one.toSend = try SendBatch(capacity: 2)
    let transmit = Transmit(to: two.reached(at: "127.0.0.1"))
    // Each is longer than the one before: no run can be extended.
    #expect(one.append(pattern(10, 0), transmit))
    #expect(one.append(pattern(20, 1), transmit))
    #expect(one.isFull && !one.append(pattern(30, 2), transmit))
    one.flush()
    #expect(one.append(pattern(30, 2), transmit))
    one.flush()
    #expect(two.collect(3).map(\.bytes.count) == [10, 20, 30])
  }

  @Test func `a writer with nothing to say adds nothing`() throws {
    let one = try Endpoint()
    let appended = one.toSend.append(reserving: 100) { _ in nil }
    #expect(appended == .nothing && one.hasSent)
  }
}
