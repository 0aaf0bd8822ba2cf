public import MeshPrimitives

extension PacketWriter {
  // MARK: Streams

  @inlinable @inline(__always)
  static func streamHeader(
    id: UInt64, offset: UInt64, fin: Bool, serviceLength: Int, lane: UInt32, compression: UInt32
  ) -> Int {
    length(id) &+ length(offset) &+ (fin ? 2 : 0) &+ delimitedLength(serviceLength) &+ length(UInt64(lane))
      &+ length(UInt64(compression))
  }

  /// The greatest number of data bytes with which the frame takes at most `free` bytes; 0 when there is no room
  /// for any. Where a length grows by a byte one byte of `free` can stay unused: ``PayloadKind`` padding fills it.
  @inlinable public static func streamCapacity(
    id: UInt64, offset: UInt64, fin: Bool = false, service: RawSpan, lane: UInt32 = 0, compression: UInt32 = 0,
    free: Int
  ) -> Int {
    let header = streamHeader(
      id: id, offset: offset, fin: fin, serviceLength: service.byteCount, lane: lane, compression: compression)
    return dataCapacity(tag: 1, header: header, free: free)
  }

  /// As above, for a frame without a service.
  @inlinable public static func streamCapacity(id: UInt64, offset: UInt64, fin: Bool = false, free: Int) -> Int {
    dataCapacity(
      tag: 1, header: streamHeader(id: id, offset: offset, fin: fin, serviceLength: 0, lane: 0, compression: 0),
      free: free)
  }

  /// Appends a stream frame up to its data. The caller then appends exactly `dataLength` bytes, for which there is room.
  /// - Parameter service: 1 to 255 bytes of UTF-8 without NUL; empty: none.
  @inlinable @discardableResult
  public static func writeStream(
    id: UInt64, offset: UInt64, fin: Bool, service: RawSpan, lane: UInt32 = 0, compression: UInt32 = 0,
    dataLength: Int, to output: inout OutputRawSpan
  ) -> Bool {
    let header = streamHeader(
      id: id, offset: offset, fin: fin, serviceLength: service.byteCount, lane: lane, compression: compression)
    guard begin(3, header &+ delimitedLength(dataLength), to: &output) else { return false }
    append(1, id, to: &output)
    append(2, offset, to: &output)
    append(3, fin ? 1 : 0, to: &output)
    appendHeader(4, service.byteCount, to: &output)
    output.append(service)
    append(5, UInt64(lane), to: &output)
    append(6, UInt64(compression), to: &output)
    appendHeader(15, dataLength, to: &output)
    return true
  }

  /// As above, for a frame without a service: all but the first of a stream.
  @inlinable @discardableResult
  public static func writeStream(
    id: UInt64, offset: UInt64, fin: Bool, dataLength: Int, to output: inout OutputRawSpan
  ) -> Bool {
    let header = streamHeader(id: id, offset: offset, fin: fin, serviceLength: 0, lane: 0, compression: 0)
    guard begin(3, header &+ delimitedLength(dataLength), to: &output) else { return false }
    append(1, id, to: &output)
    append(2, offset, to: &output)
    append(3, fin ? 1 : 0, to: &output)
    appendHeader(15, dataLength, to: &output)
    return true
  }

  // MARK: Messages

  @inlinable static func messageHeader(_ frame: MessageFrame, serviceLength: Int) -> Int {
    length(frame.id) &+ length(frame.offset) &+ length(frame.size) &+ length(UInt64(frame.lane))
      &+ length(frame.sequence) &+ length(UInt64(frame.channel)) &+ delimitedLength(serviceLength)
      &+ length(UInt64(frame.compression))
  }

  /// The greatest number of data bytes with which the frame takes at most `free` bytes; 0 when there is no room
  /// for any.
  /// - Parameter frame: its `service` and `data` are not looked at.
  @inlinable public static func messageCapacity(_ frame: MessageFrame, service: RawSpan, free: Int) -> Int {
    dataCapacity(tag: 1, header: messageHeader(frame, serviceLength: service.byteCount), free: free)
  }

  /// Bytes of the frame with `dataLength` bytes of data.
  /// - Parameter frame: its `service` and `data` are not looked at.
  @inlinable public static func messageSize(_ frame: MessageFrame, service: RawSpan, dataLength: Int) -> Int {
    size(1, messageHeader(frame, serviceLength: service.byteCount), dataLength)
  }

  /// Appends a message frame up to its data. The caller then appends exactly `dataLength` bytes, for which there is room.
  /// - Parameters:
  ///   - frame: its `service` and `data` are not looked at.
  ///   - service: 1 to 255 bytes of UTF-8 without NUL; empty: none.
  @inlinable @discardableResult
  public static func writeMessage(
    _ frame: MessageFrame, service: RawSpan, dataLength: Int, to output: inout OutputRawSpan
  ) -> Bool {
    let header = messageHeader(frame, serviceLength: service.byteCount)
    guard begin(4, header &+ delimitedLength(dataLength), to: &output) else { return false }
    append(1, frame.id, to: &output)
    append(2, frame.offset, to: &output)
    append(3, frame.size, to: &output)
    append(4, UInt64(frame.lane), to: &output)
    append(5, frame.sequence, to: &output)
    append(6, UInt64(frame.channel), to: &output)
    appendHeader(7, service.byteCount, to: &output)
    output.append(service)
    append(8, UInt64(frame.compression), to: &output)
    appendHeader(15, dataLength, to: &output)
    return true
  }

  // MARK: Datagrams

  @inlinable static func datagramHeader(channel: UInt32, serviceLength: Int, compression: UInt32) -> Int {
    length(UInt64(channel)) &+ delimitedLength(serviceLength) &+ length(UInt64(compression))
  }

  /// The greatest number of data bytes with which the frame takes at most `free` bytes; 0 when there is no room
  /// for any.
  @inlinable public static func datagramCapacity(
    channel: UInt32, service: RawSpan, compression: UInt32 = 0, free: Int
  ) -> Int {
    dataCapacity(
      tag: 1,
      header: datagramHeader(channel: channel, serviceLength: service.byteCount, compression: compression), free: free)
  }

  /// Bytes of the frame with `dataLength` bytes of data.
  @inlinable public static func datagramSize(
    channel: UInt32, service: RawSpan, compression: UInt32 = 0, dataLength: Int
  ) -> Int {
    size(
      1, datagramHeader(channel: channel, serviceLength: service.byteCount, compression: compression), dataLength)
  }

  /// Appends a datagram frame up to its data. The caller then appends exactly `dataLength` bytes, for which there is room.
  /// - Parameter service: 1 to 255 bytes of UTF-8 without NUL; empty: none.
  @inlinable @discardableResult
  public static func writeDatagram(
    channel: UInt32, service: RawSpan, compression: UInt32 = 0, dataLength: Int, to output: inout OutputRawSpan
  ) -> Bool {
    let header = datagramHeader(channel: channel, serviceLength: service.byteCount, compression: compression)
    guard begin(5, header &+ delimitedLength(dataLength), to: &output) else { return false }
    append(1, UInt64(channel), to: &output)
    appendHeader(2, service.byteCount, to: &output)
    output.append(service)
    append(3, UInt64(compression), to: &output)
    appendHeader(15, dataLength, to: &output)
    return true
  }

  // MARK: Fragments of IP packets

  /// Appends an `IPFragment` up to its data. The caller then appends exactly `dataLength` bytes, for which there is room.
  /// - Parameters:
  ///   - size: bytes of the whole IP packet.
  ///   - dataLength: from 1 on; `offset + dataLength` is at most `size`.
  @inlinable @discardableResult
  public static func writeFragment(
    id: UInt32, offset: UInt32, size: UInt32, dataLength: Int, to output: inout OutputRawSpan
  ) -> Bool {
    let header = length(UInt64(id)) &+ length(UInt64(offset)) &+ length(UInt64(size))
    guard begin(25, header &+ delimitedLength(dataLength), to: &output) else { return false }
    append(1, UInt64(id), to: &output)
    append(2, UInt64(offset), to: &output)
    append(3, UInt64(size), to: &output)
    appendHeader(15, dataLength, to: &output)
    return true
  }
}
