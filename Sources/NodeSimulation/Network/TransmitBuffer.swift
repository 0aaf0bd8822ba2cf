internal import MeshCrypto
internal import MeshNode
internal import MeshPacket
internal import MeshPrimitives
internal import MeshReliability

/// Memory for the datagrams of a burst, used again and again.
@safe final class TransmitBuffer {
  private static let capacity = 65_536
  private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 64)
  private var count = 0

  deinit { unsafe memory.deallocate() }

  /// Takes the next burst of a node.
  func fill(from node: inout Node, now: Instant, wall: TAI64N) -> Burst? {
    var output = unsafe OutputRawSpan(buffer: memory, initializedCount: 0)
    let burst = node.nextTransmit(into: &output, now: now, wall: wall)
    count = unsafe output.finalize(for: memory)
    return burst
  }

  /// Takes what has come on a stream.
  func read(_ stream: StreamHandle, of node: inout Node) throws(StreamError) -> ReadResult {
    let room = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[0..<FlowContent.longest])
    var output = unsafe OutputRawSpan(buffer: room, initializedCount: 0)
    let result = try node.read(stream, into: &output)
    count = unsafe output.finalize(for: room)
    return result
  }

  /// Takes the next message or datagram; `false`: there is none.
  func readMessage(_ inbox: InboxHandle, datagram: Bool, of node: inout Node) -> Bool {
    var output = unsafe OutputRawSpan(buffer: memory, initializedCount: 0)
    let size = datagram ? node.readDatagram(inbox, into: &output) : node.readMessage(inbox, into: &output)
    count = unsafe output.finalize(for: memory)
    return size != nil
  }

  /// What was taken last.
  var bytes: RawSpan {
    @_lifetime(borrow self) get {
      let span = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: memory[0..<count]))
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }
}
