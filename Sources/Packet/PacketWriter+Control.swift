public import MeshPrimitives

extension PacketWriter {
  // MARK: Flow control

  @inlinable @discardableResult
  public static func writeMaxData(_ limit: UInt64, to output: inout OutputRawSpan) -> Bool {
    writeScalar(6 << 3, limit, to: &output)
  }

  /// A frame of up to three `uint64` fields.
  @inlinable static func writeNumbers(
    _ number: UInt32, _ first: UInt64, _ second: UInt64, _ third: UInt64 = 0, to output: inout OutputRawSpan
  ) -> Bool {
    guard begin(number, length(first) &+ length(second) &+ length(third), to: &output) else { return false }
    append(1, first, to: &output)
    append(2, second, to: &output)
    append(3, third, to: &output)
    return true
  }

  @inlinable @discardableResult
  public static func writeStreamMaxData(_ frame: StreamMaxData, to output: inout OutputRawSpan) -> Bool {
    writeNumbers(7, frame.id, frame.max, to: &output)
  }

  @inlinable @discardableResult
  public static func writeResetStream(_ frame: ResetStream, to output: inout OutputRawSpan) -> Bool {
    writeNumbers(8, frame.id, frame.code.rawValue, frame.finalSize, to: &output)
  }

  @inlinable @discardableResult
  public static func writeStopSending(_ frame: StopSending, to output: inout OutputRawSpan) -> Bool {
    writeNumbers(9, frame.id, frame.code.rawValue, to: &output)
  }

  @inlinable @discardableResult
  public static func writeMaxStreams(_ frame: MaxStreams, to output: inout OutputRawSpan) -> Bool {
    writeNumbers(16, frame.bidirectional, frame.unidirectional, to: &output)
  }

  @inlinable @discardableResult
  public static func writeDataBlocked(_ limit: UInt64, to output: inout OutputRawSpan) -> Bool {
    writeScalar(17 << 3, limit, to: &output)
  }

  @inlinable @discardableResult
  public static func writeStreamDataBlocked(_ frame: StreamDataBlocked, to output: inout OutputRawSpan) -> Bool {
    writeNumbers(18, frame.id, frame.limit, to: &output)
  }

  @inlinable @discardableResult
  public static func writeStreamsBlocked(_ frame: StreamsBlocked, to output: inout OutputRawSpan) -> Bool {
    writeNumbers(19, frame.bidirectional, frame.unidirectional, to: &output)
  }

  @inlinable @discardableResult
  public static func writeRefuseChannel(_ frame: RefuseChannel, to output: inout OutputRawSpan) -> Bool {
    writeNumbers(30, UInt64(frame.channel), frame.code.rawValue, frame.datagrams ? 1 : 0, to: &output)
  }

  // MARK: Paths

  @inlinable @discardableResult
  public static func writePathProbe(_ data: UInt64, to output: inout OutputRawSpan) -> Bool {
    guard begin(10, data == 0 ? 0 : 9, to: &output) else { return false }
    appendFixed64(data, to: &output)
    return true
  }

  @inlinable static func appendFixed64(_ data: UInt64, to output: inout OutputRawSpan) {
    guard data != 0 else { return }
    output.append(UInt8(1 << 3 | 1))
    output.append(data, .little)
  }

  @discardableResult
  public static func writePathReply(_ reply: PathReply, to output: inout OutputRawSpan) -> Bool {
    var address = 0
    if let observed = reply.observed {
      address = (observed.address.family == .v4 ? 6 : 18) + length(UInt64(observed.port))
    }
    guard begin(11, (reply.data == 0 ? 0 : 9) + delimitedLength(address), to: &output) else { return false }
    appendFixed64(reply.data, to: &output)
    guard let observed = reply.observed else { return true }
    appendHeader(2, address, to: &output)
    if observed.address.family == .v4 {
      appendHeader(1, 4, to: &output)
      output.append(UInt32(truncatingIfNeeded: observed.address.low), .big)
    } else {
      appendHeader(1, 16, to: &output)
      output.append(observed.address.high, .big)
      output.append(observed.address.low, .big)
    }
    append(2, UInt64(observed.port), to: &output)
    return true
  }

  // MARK: Relay

  /// Bytes that a `Relay` takes besides its packet, at most: label 5, ECN 2, lengths below 16 KiB.
  public static let relayOverhead = 13

  /// Appends a relay frame up to its packet. The caller then appends exactly `packetLength` bytes, for which there is room.
  /// - Parameter label: the route on the link to the receiver; not 0.
  @inlinable @discardableResult
  public static func writeRelay(
    label: UInt32, ecn: ECN, packetLength: Int, to output: inout OutputRawSpan
  ) -> Bool {
    precondition(label != 0, "a label is not 0")
    let codepoint = UInt64(ecn.rawValue)
    guard begin(12, 5 &+ length(codepoint) &+ delimitedLength(packetLength), to: &output) else { return false }
    output.append(UInt8(1 << 3 | 5))
    output.append(label, .little)
    append(2, codepoint, to: &output)
    appendHeader(3, packetLength, to: &output)
    return true
  }

  /// Writes the next link's label, and congestion that was experienced, over those of a relay frame, in place.
  /// - Parameters:
  ///   - frame: as read from this very message.
  ///   - label: not 0.
  ///   - ecn: written when the frame has a codepoint; a sender that does not use ECN gets none.
  ///   - message: the message that `frame` was read from.
  @inlinable public static func patchRelay(
    _ frame: RelayFrame, label: UInt32, ecn: ECN, in message: inout MutableRawSpan
  ) {
    precondition(label != 0, "a label is not 0")
    message.store(label, at: frame.labelOffset, .little)
    if let offset = frame.ecnOffset, ecn != .notECT {
      message.storeBytes(of: ecn.rawValue, toByteOffset: offset, as: UInt8.self)
    }
  }

  // MARK: The rest

  @inlinable @discardableResult
  public static func writePing(to output: inout OutputRawSpan) -> Bool { writeScalar(15 << 3, 1, to: &output) }

  /// Appends a field whose content MeshWire has encoded, up to that content: the caller then appends exactly `length`
  /// bytes, for which there is room.
  /// - Parameter field: a field of `Packet` that is a message.
  @inlinable @discardableResult
  public static func writeOther(field: UInt32, length: Int, to output: inout OutputRawSpan) -> Bool {
    precondition(field > 0 && field < 1 << 29, "a field number has 29 bits")
    return begin(field, length, to: &output)
  }

  /// Appends padding that takes `count` bytes in all. At least 3 do, and one length cannot be had: where the length of the
  /// content grows by a byte (131 and 16,388) it takes one byte less. ``PayloadKind`` padding fills the rest.
  /// - Returns: bytes appended; 0 below 3, or when they do not fit.
  @discardableResult
  public static func writePadding(_ count: Int, to output: inout OutputRawSpan) -> Int {
    guard count >= 3, count <= output.freeCapacity else { return 0 }
    var content = count - 3
    while 2 + Varint.length(UInt64(content)) + content > count { content -= 1 }
    let before = output.byteCount
    guard begin(64, content, to: &output) else { return 0 }
    output.append(zeros: content)
    return output.byteCount - before
  }
}
