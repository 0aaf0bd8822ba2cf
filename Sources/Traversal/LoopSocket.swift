internal import MeshPrimitives
internal import MeshRuntime

/// A socket of a loop, and what it has yet to send.
final class LoopSocket {
  var socket: UDPSocket
  var toSend: SendBatch

  init(_ address: IPAddress?, port: UInt16, runs: Int = 16) throws(SocketError) {
    socket = try UDPSocket(port: port, address: address)
    toSend = try SendBatch(capacity: runs)
  }

  /// Sends what waits. What the kernel does not take now is lost, as datagrams are.
  func flush() {
    if socket.flush(&toSend) == .blocked { toSend.removeAll() }
  }

  /// Queues a datagram.
  func send(_ bytes: RawSpan, _ transmit: Transmit) {
    if toSend.append(bytes, transmit) { return }
    flush()
    _ = toSend.append(bytes, transmit)
  }
}
