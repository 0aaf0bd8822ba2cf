import MeshPrimitives
import MeshRuntime

/// Datagrams through the kernel, in batches: what the engine thread does besides the node. An operation is one datagram of
/// 1,400 B, written into a batch, sent, received and looked at.
let runtimeCases: [Benchmark] = [
  Benchmark("runtime/udp/burst-of-46", bytes: 1400, allocationFree: true) {
    let pair = SocketPair()
    return .loop { pair.move($0) }
  }
]

/// Two sockets on loopback, used by one thread.
final class SocketPair {
  private static let burst = 46
  private var left = try! UDPSocket(address: IPAddress("127.0.0.1")!)
  private var right = try! UDPSocket(address: IPAddress("127.0.0.1")!)
  private var outgoing = try! SendBatch()
  private var incoming = try! ReceiveBatch()
  private let payload = [UInt8](repeating: 0xA5, count: 1400)

  /// Moves `count` datagrams, in bursts that never fill the socket's buffer: none is lost on loopback.
  func move(_ count: Int) {
    var moved = 0
    let payload = payload
    while moved < count {
      let burst = min(Self.burst, count - moved)
      let transmit = Transmit(to: right.local, segmentSize: burst > 1 ? 1400 : nil)
      let added = outgoing.append(reserving: burst * 1400) { output in
        for _ in 0..<burst { output.append(payload.span.bytes) }
        return transmit
      }
      precondition(added == .added && left.flush(&outgoing) == .done, "the socket must take a burst")
      var received = 0
      while received < burst {
        guard right.receive(into: &incoming) > 0 else { continue }
        incoming.forEachDatagram { _, datagram in
          precondition(datagram.byteCount == 1400, "a datagram must come whole")
          received += 1
        }
      }
      moved += burst
    }
  }
}
