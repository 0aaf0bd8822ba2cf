internal import MeshPrimitives
internal import MeshRuntime
internal import MeshTURN

/// A few sockets and the wait around a client machine.
final class ClientLoop {
  private let sockets: [LoopSocket]
  private var poller: Poller
  private var received: ReceiveBatch
  private let flag: StopFlag
  private(set) var now = MonotonicClock.now

  init(sockets count: Int, _ stop: StopFlag) throws(SocketError) {
    var sockets: [LoopSocket] = []
    poller = try Poller()
    received = try ReceiveBatch(capacity: 4)
    flag = stop
    for index in 0..<count {
      let socket = try LoopSocket(nil, port: 0, runs: 2)
      try poller.add(socket.socket.descriptor, token: UInt64(index))
      sockets.append(socket)
    }
    self.sockets = sockets
  }

  func port(_ index: Int) -> UInt16 { sockets[index].socket.local.port }

  func send(_ bytes: [UInt8], on index: Int, to destination: SocketAddress) {
    sockets[index].send(bytes.bytes, Transmit(to: destination))
  }

  /// Sends what `write` appends, to where it says.
  func send(on index: Int, _ write: (inout OutputRawSpan) -> SocketAddress?) -> SocketAddress? {
    var destination: SocketAddress?
    let bytes = [UInt8](capacity: TURNClient.maximumSize) { destination = write(&$0) }
    if let destination { send(bytes, on: index, to: destination) }
    return destination
  }

  /// Sends data through a TURN client, if it may.
  func wrap(_ client: inout TURNClient, _ data: [UInt8], for peer: SocketAddress, on index: Int) {
    let room = TURNClient.headroom
    var buffer = [UInt8](repeating: 0, count: room) + data + [0, 0, 0]
    var span = buffer.mutableBytes
    guard let range = client.wrap(&span, room..<room + data.count, for: peer, now: now) else { return }
    sockets[index].send(span.bytes.extracting(range), Transmit(to: client.server))
  }

  func flush() { for socket in sockets { socket.flush() } }

  /// Runs a machine: `step` sends what is due and says until when to wait, or `nil` at the end.
  func run(
    _ step: (ClientLoop) -> Instant?, receive: (RawSpan, SocketAddress, Int, Instant) -> Void,
    timeout: (Instant) -> Void
  ) {
    flag.attach(poller.doorbell)
    while !flag.isSet {
      now = MonotonicClock.now
      let deadline = step(self)
      flush()
      guard let deadline else { return }
      poller.wait(until: deadline)
      now = MonotonicClock.now
      for event in 0..<poller.count {
        let index = Int(poller.event(at: event).token)
        guard sockets[index].socket.receive(into: &received) > 0 else { continue }
        received.forEachDatagram { message, datagram in receive(datagram.bytes, message.source, index, now) }
      }
      timeout(now)
    }
  }
}
