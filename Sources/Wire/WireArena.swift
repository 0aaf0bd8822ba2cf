internal import CMeshProto
internal import CMeshProtobufC

/// Bounded working memory for reading and writing messages: one block that is filled from its start and emptied at once.
///
/// A node keeps one for all its messages. 64 KiB suffices for every packet of up to 9,000 bytes.
@safe
public struct WireArena: ~Copyable {
  /// What the allocator's callback finds at the start of the block.
  private struct Header {
    var used: Int
    var capacity: Int
    var isFull = false
  }

  /// Bytes of the block.
  public let capacity: Int
  private let block: UnsafeMutableRawPointer

  /// - Parameter capacity: bytes; from 1,024 on.
  public init(capacity: Int = 65_536) {
    precondition(capacity >= 1024, "an arena has at least 1,024 bytes")
    self.capacity = capacity
    // Not zeroed: pages that are never used cost nothing.
    unsafe block = .allocate(byteCount: capacity, alignment: 16)
    reset()
  }

  deinit { unsafe block.deallocate() }

  mutating func reset() {
    unsafe block.storeBytes(of: Header(used: 64, capacity: capacity), as: Header.self)
  }

  /// Whether an allocation failed since the last reset.
  var isFull: Bool { unsafe block.assumingMemoryBound(to: Header.self).pointee.isFull }

  /// A pointer to no bytes, for C that wants one.
  var nothing: UnsafePointer<UInt8> { unsafe UnsafePointer(block.assumingMemoryBound(to: UInt8.self)) }

  /// For protobuf-c; valid as long as the arena is.
  var allocator: ProtobufCAllocator {
    unsafe ProtobufCAllocator(
      alloc: { data, size in unsafe WireArena.allocate(data!, size) }, free: { _, _ in }, allocator_data: block)
  }

  private static func allocate(_ block: UnsafeMutableRawPointer, _ size: Int) -> UnsafeMutableRawPointer? {
    let header = unsafe block.assumingMemoryBound(to: Header.self)
    let free = unsafe header.pointee.capacity - header.pointee.used
    guard size >= 0, size <= free else {
      unsafe header.pointee.isFull = true
      return nil
    }
    let result = unsafe block + header.pointee.used
    // Aligned for any type; the last allocation may end beyond a multiple of 16.
    unsafe header.pointee.used = min((header.pointee.used + size + 15) & ~15, header.pointee.capacity)
    return unsafe result
  }

  // MARK: Building messages

  private borrowing func take(_ size: Int) throws(WireError) -> UnsafeMutableRawPointer {
    guard let result = unsafe Self.allocate(block, size) else { throw .arenaFull(capacity: capacity) }
    return unsafe result
  }

  /// `value` as a C message.
  borrowing func make<Value: CConvertible>(_ value: Value) throws(WireError) -> UnsafeMutablePointer<Value.CMessage> {
    let raw = unsafe try take(MemoryLayout<Value.CMessage>.stride)
    let message = unsafe raw.assumingMemoryBound(to: Value.CMessage.self)
    unsafe Value.initialize(message)
    unsafe try value.fill(&message.pointee, self)
    return unsafe message
  }

  borrowing func message<Value: CConvertible>(
    _ value: Value?
  ) throws(WireError) -> UnsafeMutablePointer<Value.CMessage>? {
    guard let value else { return nil }
    return unsafe try make(value)
  }

  /// An array of pointers to C messages; `nil` for none.
  borrowing func messages<Value: CConvertible>(
    _ values: [Value]
  ) throws(WireError) -> UnsafeMutablePointer<UnsafeMutablePointer<Value.CMessage>?>? {
    guard unsafe !values.isEmpty else { return nil }
    let raw = unsafe try take(values.count * MemoryLayout<UnsafeRawPointer>.stride)
    let list = unsafe raw.assumingMemoryBound(to: UnsafeMutablePointer<Value.CMessage>?.self)
    for unsafe(index, value) in unsafe values.enumerated() { unsafe list[index] = try make(value) }
    return unsafe list
  }

  borrowing func bytes(_ bytes: some Collection<UInt8>) throws(WireError) -> ProtobufCBinaryData {
    guard !bytes.isEmpty else { return unsafe ProtobufCBinaryData(len: 0, data: nil) }
    let raw = unsafe try take(bytes.count).assumingMemoryBound(to: UInt8.self)
    var count = 0
    for byte in bytes {
      unsafe raw[count] = byte
      count += 1
    }
    return unsafe ProtobufCBinaryData(len: count, data: raw)
  }

  /// `count` zeros.
  borrowing func zeros(_ count: Int) throws(WireError) -> ProtobufCBinaryData {
    guard count > 0 else { return unsafe ProtobufCBinaryData(len: 0, data: nil) }
    let raw = unsafe try take(count)
    unsafe raw.initializeMemory(as: UInt8.self, repeating: 0, count: count)
    return unsafe ProtobufCBinaryData(len: count, data: raw.assumingMemoryBound(to: UInt8.self))
  }

  borrowing func numbers<Number: FixedWidthInteger>(_ numbers: [Number]) throws(WireError) -> UnsafeMutablePointer<
    Number
  >? {
    guard !numbers.isEmpty else { return nil }
    let raw = unsafe try take(numbers.count * MemoryLayout<Number>.stride).assumingMemoryBound(to: Number.self)
    for (index, number) in numbers.enumerated() { unsafe raw[index] = number }
    return unsafe raw
  }

  /// An array of byte strings; `nil` for none.
  borrowing func list(_ values: [[UInt8]]) throws(WireError) -> UnsafeMutablePointer<ProtobufCBinaryData>? {
    guard !values.isEmpty else { return nil }
    let raw = unsafe try take(values.count * MemoryLayout<ProtobufCBinaryData>.stride)
    let list = unsafe raw.assumingMemoryBound(to: ProtobufCBinaryData.self)
    for (index, value) in values.enumerated() { unsafe list[index] = try bytes(value) }
    return unsafe list
  }
}
