internal import CMeshLinux
internal import Glibc
public import MeshPrimitives

/// One UDP port, for IPv4 and IPv6 together where there is IPv6.
///
/// Never blocks. Datagrams carry DF and may be as large as the device takes, whatever the kernel believes of the path
/// (`IP_PMTUDISC_PROBE`): finding the path's MTU is the caller's. IPv4 addresses are always plain, never mapped.
///
/// ```swift
/// var socket = try UDPSocket(port: 2552)
/// var received = try ReceiveBatch(), toSend = try SendBatch()
/// while socket.receive(into: &received) > 0 {
///   received.forEachDatagram { message, datagram in … }
///   socket.flush(&toSend)
/// }
/// ```
public struct UDPSocket: ~Copyable, Sendable {
  public enum Families: Sendable { case both, v4, v6 }

  public enum Flushed: Equatable, Sendable {
    /// The batch is empty.
    case done
    /// The socket takes no more now: flush again when it is writable.
    case blocked
  }

  /// To wait on; the socket owns it.
  public let descriptor: Int32
  public let families: Families
  /// The port, also where any was asked for. The address is that bound to.
  public let local: SocketAddress
  /// Whether runs go to the kernel whole. Off once a device refused it.
  public private(set) var usesSegmentation = true
  public private(set) var counters = UDPCounters()
  private let family: Int32

  /// Opens and binds a socket.
  ///
  /// - Parameters:
  ///   - port: 0 for any free one.
  ///   - address: `nil` for all addresses of this machine, of both families or of IPv4 alone where there is no IPv6.
  ///   - bufferBytes: Of the kernel's buffers each way; without root no more than `net.core.rmem_max` allows.
  /// - Throws: `.portInUse`, `.notPermitted`, `.addressNotAvailable`, `.outOfMemory` or `.system`.
  public init(
    port: UInt16 = 0, address: IPAddress? = nil, scope: UInt32 = 0, bufferBytes: Int = 4 << 20
  ) throws(SocketError) {
    var bound = address.map { cmesh_address($0, scope: scope) } ?? cmesh_address()
    bound.port = port
    var family: Int32 = 0
    let descriptor = unsafe cmesh_udp_open(&bound, Int32(clamping: bufferBytes), &family)
    guard descriptor >= 0 else { throw SocketError(.openSocket, descriptor, port: port) }
    var name = cmesh_address()
    let result = unsafe cmesh_udp_local(descriptor, &name)
    guard result == 0 else {
      cmesh_close(descriptor)
      throw SocketError(.readAddress, result)
    }
    self.descriptor = descriptor
    self.family = family
    families = family == 4 ? .v4 : family == 6 ? .v6 : .both
    local = name.socketAddress
  }

  deinit { cmesh_close(descriptor) }

  /// Whether the kernel puts datagrams of one sender together (UDP_GRO).
  public var coalesces: Bool { cmesh_udp_has_gro(descriptor) != 0 }

  /// Sends every datagram by itself from now on.
  public mutating func avoidSegmentation() { usesSegmentation = false }

  // MARK: - Receiving

  /// Fills `batch` with what has arrived. Never waits.
  ///
  /// - Returns: the number of messages; 0 when nothing is there.
  @discardableResult
  public mutating func receive(into batch: inout ReceiveBatch) -> Int {
    // An error that the kernel kept for this socket is reported once, in place of a message.
    for _ in 0..<4 {
      let result = batch.receive(from: descriptor)
      counters.receiveCalls += 1
      if result < 0 {
        if result == -EAGAIN { return 0 }
        if result != -EINTR { counters.receiveErrors += 1 }
        continue
      }
      for index in 0..<batch.count {
        let message = batch.message(at: index)
        counters.receivedDatagrams += UInt64(message.datagramCount)
        counters.receivedBytes += UInt64(message.byteCount)
        if batch.isTruncated(at: index) { counters.receivedTruncated += 1 }
      }
      return batch.count
    }
    return 0
  }

  // MARK: - Sending

  /// Sends what `batch` holds. Never waits. A datagram that cannot be sent is counted under its reason and dropped; where the
  /// kernel refuses the source, because this machine no longer has that address, it chooses one.
  @discardableResult
  public mutating func flush(_ batch: inout SendBatch) -> Flushed {
    // The run that is next was refused, perhaps for its source.
    var isWithoutSource = false
    while !batch.isEmpty {
      let run = batch.run(batch.head)
      let several = run.length > run.segment
      let sent: Int32
      if (several && !usesSegmentation) || run.sent > 0 || run.may_fragment != 0 {
        sent = sendSingly(&batch, run)
      } else {
        sent = sendRuns(&batch)
      }
      guard sent < 0 else {
        if isWithoutSource { counters.refusedSources += 1 }
        isWithoutSource = false
        continue
      }
      switch -sent {
      case EINTR: continue
      case EAGAIN:
        counters.sendBlocked += 1
        if isWithoutSource { counters.refusedSources += 1 }
        return .blocked
      case let errno where run.source.family != 0 && Self.mayMeanSource(errno):
        batch.clearSource()
        isWithoutSource = true
      case let errno:
        isWithoutSource = false
        if several, run.sent == 0, usesSegmentation, Self.mayMeanSegmentation(errno) {
          switch trySingly(&batch, errno) {
          case .some(let flushed): return flushed
          case .none: continue
          }
        }
        drop(&batch, errno)
      }
    }
    return .done
  }

  /// Errors by which the kernel refuses a source that is no address of this machine: they differ by its version.
  private static func mayMeanSource(_ errno: Int32) -> Bool {
    errno == EINVAL || errno == EADDRNOTAVAIL || errno == ENETUNREACH || errno == EHOSTUNREACH
  }

  /// Errors by which a device refuses segmentation, or the kernel a segment that is larger than the device's MTU.
  private static func mayMeanSegmentation(_ errno: Int32) -> Bool {
    errno == EIO || errno == EINVAL || errno == EMSGSIZE || errno == EOPNOTSUPP || errno == ENOPROTOOPT
  }

  /// The runs from the head on that may go whole, in one call.
  private mutating func sendRuns(_ batch: inout SendBatch) -> Int32 {
    var count = 1
    while batch.head + count < batch.used {
      let next = batch.run(batch.head + count)
      guard next.may_fragment == 0, usesSegmentation || next.length <= next.segment else { break }
      count += 1
    }
    counters.sendCalls += 1
    let sent = unsafe cmesh_send_runs(batch.storage, descriptor, family, Int32(batch.head), Int32(count))
    for index in 0..<max(0, Int(sent)) { countSent(batch.run(batch.head + index)) }
    batch.head += max(0, Int(sent))
    return sent
  }

  /// The datagrams of the first run one by one, in one call for up to 64.
  private mutating func sendSingly(_ batch: inout SendBatch, _ run: cmesh_run) -> Int32 {
    if run.may_fragment != 0 { cmesh_udp_set_fragmentation(descriptor, family, 1) }
    counters.sendCalls += 1
    let sent = unsafe cmesh_send_single(batch.storage, descriptor, family, Int32(batch.head))
    if run.may_fragment != 0 { cmesh_udp_set_fragmentation(descriptor, family, 0) }
    if sent >= 0 {
      let now = batch.run(batch.head).sent
      counters.sentDatagrams += UInt64(sent)
      counters.sentBytes += UInt64(now - run.sent)
      if now == run.length { batch.head += 1 }
    }
    return sent
  }

  /// Sends one by one a run that was refused whole. When its first datagram goes, it was the segmentation that is not
  /// to be had, and it is not tried again.
  ///
  /// - Returns: what to end the flush with; `nil` to go on.
  private mutating func trySingly(_ batch: inout SendBatch, _ errno: Int32) -> Flushed? {
    let sent = sendSingly(&batch, batch.run(batch.head))
    switch sent {
    case 1...: usesSegmentation = false
    case -EAGAIN:
      counters.sendBlocked += 1
      return .blocked
    case -EINTR: break
    default: drop(&batch, sent == 0 ? errno : -sent)
    }
    return nil
  }

  /// Gives up what failed: the next datagram of a run that goes one by one, else the whole run.
  private mutating func drop(_ batch: inout SendBatch, _ errno: Int32) {
    let run = batch.run(batch.head)
    if run.sent > 0 || (!usesSegmentation && run.length > run.segment) {
      counters.count(1, droppedFor: errno)
      if batch.skipDatagram() { batch.head += 1 }
    } else {
      counters.count(Self.datagrams(run), droppedFor: errno)
      batch.head += 1
    }
  }

  private mutating func countSent(_ run: cmesh_run) {
    counters.sentDatagrams += UInt64(Self.datagrams(run))
    counters.sentBytes += UInt64(run.length)
  }

  private static func datagrams(_ run: cmesh_run) -> Int {
    run.segment == 0 ? 1 : Int((run.length + run.segment - 1) / run.segment)
  }
}
