import MeshCrypto
import MeshPrimitives
import MeshRuntime
import MeshTURN

/// Sends ChannelData through a TURN server to a socket of its own, and says how much came through.
///
///     relay-load SERVER-IP PORT USER PASSWORD PACKETS-PER-SECOND SECONDS
///
/// Payloads have 200 bytes. The peer is at 127.0.0.2. Paced in bursts of 1 ms; who is late sends up to 5 ms worth at once.
@main struct RelayLoad: ~Copyable {
  static let size = 200

  static func main() throws {
    let arguments = CommandLine.arguments
    guard arguments.count == 7, let ip = IPAddress(arguments[1]), let port = UInt16(arguments[2]),
      let rate = Int64(arguments[5]), let seconds = Int64(arguments[6]), (1...10_000_000).contains(rate),
      (1...3600).contains(seconds)
    else { fail("usage: relay-load SERVER-IP PORT USER PASSWORD PACKETS-PER-SECOND SECONDS") }
    var load = try RelayLoad(
      TURNClient.Configuration(
        server: SocketAddress(ip, port: port), username: arguments[3], password: arguments[4]))
    guard load.bind() else { fail("no channel within 10 s") }
    load.run(rate, seconds)
    load.close()
  }

  private var client: TURNClient
  private var socket: UDPSocket
  private var peer: UDPSocket
  private var outgoing: SendBatch
  private var received: ReceiveBatch
  private var poller: Poller
  private var sent: Int64 = 0
  private var arrived: Int64 = 0

  private init(_ configuration: TURNClient.Configuration) throws {
    let socket = try UDPSocket(address: IPAddress("127.0.0.1"), bufferBytes: 16 << 20)
    let peer = try UDPSocket(address: IPAddress("127.0.0.2"), bufferBytes: 16 << 20)
    var poller = try Poller()
    try poller.add(socket.descriptor, token: 0)
    try poller.add(peer.descriptor, token: 1)
    let outgoing = try SendBatch(capacity: 64)
    let received = try ReceiveBatch(capacity: 64)
    self.socket = socket
    self.peer = peer
    self.poller = poller
    self.outgoing = outgoing
    self.received = received
    client = TURNClient(configuration, entropy: SystemEntropy(), now: MonotonicClock.now)
  }

  /// Makes an allocation and a channel to the peer.
  private mutating func bind() -> Bool {
    let giveUp = MonotonicClock.now + .seconds(10)
    while MonotonicClock.now < giveUp {
      step()
      while let event = client.nextEvent() {
        switch event {
        case .allocated: client.bindChannel(to: peer.local, now: MonotonicClock.now)
        case .channelBound: return true
        case .failed, .refusedPeer: Self.fail("the server refuses: \(event)")
        default: break
        }
      }
      step()
      poller.wait(until: min(giveUp, client.deadline ?? giveUp))
      receive()
    }
    return false
  }

  /// Sends for some seconds, then waits until nothing comes for half a second.
  private mutating func run(_ rate: Int64, _ seconds: Int64) {
    let start = MonotonicClock.now
    let end = start + .seconds(seconds)
    var tick = start
    var due: Int64 = 0
    let most = max(1, rate * 5 / 1000)
    while tick < end {
      let now = MonotonicClock.now
      // What should have been sent by now; what is later than 5 ms is left out.
      let target = now.nanoseconds(since: start) / 1000 * rate / 1_000_000
      send(min(most, target - due), now)
      due = target
      tick = now + .milliseconds(1)
      repeat {
        poller.wait(until: tick)
        receive()
      } while MonotonicClock.now < tick
    }
    let sending = MonotonicClock.now.nanoseconds(since: start)
    var last = arrived
    repeat {
      last = arrived
      let quiet = MonotonicClock.now + .milliseconds(500)
      while MonotonicClock.now < quiet {
        poller.wait(until: quiet)
        receive()
      }
    } while arrived != last
    print("{\"sent\": \(sent), \"received\": \(arrived), \"seconds\": \(Double(sending) / 1e9)}")
  }

  private mutating func send(_ count: Int64, _ now: Instant) {
    guard count > 0 else { return }
    let transmit = Transmit(to: client.server)
    let destination = peer.local
    let payload = TURNClient.headroom..<TURNClient.headroom + Self.size
    var buffer = [UInt8](repeating: 0x5A, count: TURNClient.headroom + Self.size + TURNClient.tailroom)
    for _ in 0..<count {
      var range: Range<Int>?
      do {
        var bytes = buffer.mutableBytes
        range = client.wrap(&bytes, payload, for: destination, now: now)
      }
      guard let range else { continue }
      if !outgoing.append(buffer.bytes.extracting(range), transmit) {
        flush()
        _ = outgoing.append(buffer.bytes.extracting(range), transmit)
      }
      sent += 1
    }
    flush()
  }

  private mutating func flush() {
    while socket.flush(&outgoing) == .blocked { receive() }
  }

  private mutating func receive() {
    while peer.receive(into: &received) > 0 {
      for index in 0..<received.count { arrived += Int64(received.message(at: index).datagramCount) }
    }
    while socket.receive(into: &received) > 0 {
      let now = MonotonicClock.now
      for index in 0..<received.count {
        let source = received.message(at: index).source
        let bytes: [UInt8]
        do {
          let datagram = received.bytes(at: index)
          bytes = [UInt8](copying: datagram.bytes)
        }
        _ = client.handle(bytes.bytes, from: source, now: now)
      }
    }
  }

  private mutating func step() {
    let now = MonotonicClock.now
    var client = self.client
    if let deadline = client.deadline, deadline <= now { client.handleTimeout(now: now) }
    while true {
      var destination: SocketAddress?
      let request = [UInt8](capacity: TURNClient.maximumSize) { destination = client.nextTransmit(into: &$0, now: now) }
      guard let destination else { break }
      _ = outgoing.append(request.bytes, Transmit(to: destination))
    }
    self.client = client
    flush()
  }

  /// Gives the allocation back.
  private mutating func close() {
    client.free(now: MonotonicClock.now)
    step()
  }

  private static func fail(_ message: String) -> Never { exit(saying: "relay-load: " + message) }
}
