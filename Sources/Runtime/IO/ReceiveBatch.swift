internal import CMeshLinux
internal import MeshPrimitives

/// Buffers for the messages of one `recvmmsg`, allocated once. Memory becomes resident only as traffic needs it.
@safe
public struct ReceiveBatch: ~Copyable {
  private let storage: OpaquePointer
  /// The most messages of one receive.
  public let capacity: Int
  /// The messages of the last receive.
  public internal(set) var count = 0

  /// Room for `capacity` messages of 64 KiB each.
  /// - Throws: `.outOfMemory`.
  public init(capacity: Int = 16) throws(SocketError) {
    precondition((1...1024).contains(capacity), "a batch receives 1 to 1024 messages")
    guard let storage = unsafe cmesh_receive_batch_create(Int32(capacity), 65_536) else { throw .outOfMemory }
    unsafe self.storage = storage
    self.capacity = capacity
  }

  deinit { unsafe cmesh_receive_batch_destroy(storage) }

  /// What is known of the message at `index`, below ``count``.
  public func message(at index: Int) -> ReceivedMessage {
    let received = raw(index)
    return ReceivedMessage(
      source: received.source.socketAddress, local: received.local.ipAddress, interface: received.interface,
      ecn: ECN(trafficClass: received.traffic_class), byteCount: Int(received.length),
      segmentSize: Int(received.segment))
  }

  /// The bytes of the message at `index`, all of its datagrams, in place.
  @_lifetime(&self)
  public mutating func bytes(at index: Int) -> MutableRawSpan {
    let length = Int(raw(index).length)
    let start = unsafe UnsafeMutableRawPointer(cmesh_receive_batch_bytes(storage, Int32(index))!)
    let span = unsafe MutableRawSpan(_unsafeStart: start, byteCount: length)
    return unsafe _overrideLifetime(span, mutating: &self)
  }

  /// Hands each datagram to `body`, in the order of arrival, to be opened in place. Truncated messages are left out.
  public mutating func forEachDatagram<Failure: Error>(
    _ body: (ReceivedMessage, inout MutableRawSpan) throws(Failure) -> Void
  ) throws(Failure) {
    for index in 0..<count where !isTruncated(at: index) {
      let message = message(at: index)
      let start = unsafe UnsafeMutableRawPointer(cmesh_receive_batch_bytes(storage, Int32(index))!)
      var offset = 0
      repeat {
        let length = min(message.segmentSize, message.byteCount - offset)
        var datagram = unsafe MutableRawSpan(_unsafeStart: start + offset, byteCount: length)
        try body(message, &datagram)
        offset += length
      } while offset < message.byteCount
    }
  }

  /// Hands each message, all of its datagrams in one piece, to `body`, in the order of arrival. Truncated ones are left out.
  public mutating func forEachMessage(_ body: (ReceivedMessage, inout MutableRawSpan) -> Void) {
    for index in 0..<count where !isTruncated(at: index) {
      let message = message(at: index)
      var run = bytes(at: index)
      body(message, &run)
    }
  }

  mutating func receive(from descriptor: Int32) -> Int32 {
    let result = unsafe cmesh_receive(storage, descriptor)
    count = max(0, Int(result))
    return result
  }

  func isTruncated(at index: Int) -> Bool { raw(index).truncated != 0 }

  private func raw(_ index: Int) -> cmesh_received {
    precondition((0..<count).contains(index), "no message was received at this index")
    return unsafe cmesh_receive_batch_message(storage, Int32(index))!.pointee
  }
}

// The storage has one owner, and exclusive access to a value of this type is exclusive access to it.
extension ReceiveBatch: @unchecked Sendable {}
