internal import CMeshLinux
internal import MeshPrimitives

/// Datagrams on their way to the kernel, in buffers allocated once.
///
/// Datagrams of one size to one destination are written back to back and form a *run*, which goes to the kernel as one
/// message (UDP_SEGMENT): up to 64 datagrams, of which only the last may be shorter, and 65,507 bytes. The order of
/// datagrams is kept. ``UDPSocket/flush(_:)`` sends the batch; what the socket does not take now stays in it.
@safe
public struct SendBatch: ~Copyable {
  public enum Appended: Equatable, Sendable {
    /// Datagrams were added.
    case added
    /// The writer had nothing to add.
    case nothing
    /// There is no room: flush first. The writer was not called.
    case full
  }

  /// The most bytes of one run, and of one datagram.
  public static let maximumBytes = 65_507
  static let maximumSegments = 64
  private static let bufferBytes = 65_536

  let storage: OpaquePointer
  /// The most runs at a time.
  public let capacity: Int
  /// The runs written, of which the first `head` are gone.
  var used = 0
  var head = 0
  /// Whether the last run may grow: its last datagram is as long as the others.
  private var isOpen = false
  // What the last run holds, kept here too: it is looked at for each datagram.
  private var openRoute: Transmit
  private var openLength = 0
  private var openSegment = 1

  /// - Throws: `.outOfMemory`.
  public init(capacity: Int = 16) throws(SocketError) {
    precondition((1...64).contains(capacity), "a batch sends 1 to 64 runs")
    guard let storage = unsafe cmesh_send_batch_create(Int32(capacity), Self.bufferBytes) else { throw .outOfMemory }
    unsafe self.storage = storage
    self.capacity = capacity
    openRoute = Transmit(to: SocketAddress(IPAddress(v4: 0), port: 0))
  }

  deinit { unsafe cmesh_send_batch_destroy(storage) }

  /// Whether nothing waits to be sent.
  public var isEmpty: Bool { head == used }

  /// Whether no more can be appended before a flush.
  public var isFull: Bool { used == capacity }

  /// Lets `writer` write one datagram, or several of one size, straight into the batch.
  ///
  /// - Parameters:
  ///   - size: The bytes that the writer needs at most, up to ``maximumBytes``. It gets at least that, and may use all
  ///     that it gets.
  ///   - writer: Appends the bytes and returns where they go; `nil` when there is nothing to send. With a `segmentSize`
  ///     it wrote up to 64 datagrams; only the last may be shorter.
  public mutating func append<Failure: Error>(
    reserving size: Int, _ writer: (inout OutputRawSpan) throws(Failure) -> Transmit?
  ) throws(Failure) -> Appended {
    precondition(size <= Self.maximumBytes, "a datagram has up to 65,507 bytes")
    if isEmpty {
      used = 0
      head = 0
      isOpen = false
    }
    guard used < capacity else { return .full }
    // The bytes are written behind the open run, in the hope that they belong to it, and moved when they do not.
    let extends = isOpen && openLength + size <= Self.maximumBytes
    let start = unsafe extends ? bytes(used - 1, from: openLength) : bytes(used, from: 0)
    let room = unsafe UnsafeMutableRawBufferPointer(
      start: start, count: extends ? Self.maximumBytes - openLength : Self.maximumBytes)
    var output = unsafe OutputRawSpan(buffer: room, initializedCount: 0)
    guard let transmit = try writer(&output) else { return .nothing }
    let count = unsafe output.finalize(for: room)
    if extends, extend(by: count, transmit) { return .added }
    if extends { unsafe bytes(used, from: 0).copyMemory(from: start, byteCount: count) }
    startRun(of: count, transmit)
    return .added
  }

  /// Adds what was written behind the open run to it, if it belongs there.
  private mutating func extend(by count: Int, _ transmit: Transmit) -> Bool {
    guard count > 0, transmit.destination == openRoute.destination, transmit.ecn == openRoute.ecn,
      transmit.source == openRoute.source, !transmit.mayFragment
    else { return false }
    let total = openLength + count
    guard (transmit.segmentSize ?? count) == openSegment || (transmit.segmentSize == nil && count < openSegment),
      total <= Self.maximumSegments * openSegment
    else { return false }
    unsafe cmesh_send_batch_run(storage, Int32(used - 1))!.pointee.length = UInt32(total)
    openLength = total
    // It stays open while every datagram has the full size.
    isOpen = total % openSegment == 0 && total < Self.maximumSegments * openSegment
    return true
  }

  /// Makes a run of what was written to the next free buffer.
  private mutating func startRun(of count: Int, _ transmit: Transmit) {
    let segment = transmit.segmentSize ?? count
    precondition(segment > 0 || count == 0, "datagrams of no bytes are sent one by one")
    precondition(count <= segment * Self.maximumSegments, "a run has up to 64 datagrams")
    unsafe cmesh_send_batch_run(storage, Int32(used))!.pointee = cmesh_run(
      destination: cmesh_address(transmit.destination),
      source: transmit.source.map { cmesh_address($0, scope: transmit.destination.scope) } ?? cmesh_address(),
      length: UInt32(count), segment: UInt32(segment), sent: 0, traffic_class: transmit.ecn.rawValue,
      may_fragment: transmit.mayFragment ? 1 : 0)
    used += 1
    openRoute = transmit
    openLength = count
    openSegment = max(segment, 1)
    isOpen = count > 0 && count % segment == 0 && count < segment * Self.maximumSegments && !transmit.mayFragment
  }

  /// Copies one datagram into the batch.
  ///
  /// - Returns: whether there was room.
  public mutating func append(_ datagram: RawSpan, _ transmit: Transmit) -> Bool {
    append(reserving: datagram.byteCount) { output in
      output.append(datagram)
      return transmit
    } == .added
  }

  /// Drops all that waits.
  public mutating func removeAll() { head = used }

  // MARK: - Runs

  func run(_ index: Int) -> cmesh_run { unsafe cmesh_send_batch_run(storage, Int32(index))!.pointee }

  /// Leaves out the next datagram of the first run.
  ///
  /// - Returns: whether it was the last one.
  mutating func skipDatagram() -> Bool {
    let run = run(head)
    let sent = min(run.sent + run.segment, run.length)
    unsafe cmesh_send_batch_run(storage, Int32(head))!.pointee.sent = sent
    return sent == run.length
  }

  /// Lets the kernel choose the source of the first run.
  mutating func clearSource() { unsafe cmesh_send_batch_run(storage, Int32(head))!.pointee.source = cmesh_address() }

  private func bytes(_ index: Int, from offset: Int) -> UnsafeMutableRawPointer {
    unsafe UnsafeMutableRawPointer(cmesh_send_batch_bytes(storage, Int32(index))!) + offset
  }
}

// The storage has one owner, and exclusive access to a value of this type is exclusive access to it.
extension SendBatch: @unchecked Sendable {}
