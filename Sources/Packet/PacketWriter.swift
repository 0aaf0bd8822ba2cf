internal import MeshPrimitives

/// Writes a `pnet.mesh.v1.Packet` field by field, without allocation.
///
/// Each function appends one field, whole, and returns whether it did: `false` means that it does not fit into the free
/// capacity, and nothing was written. The canonical form wants fields in ascending order of their numbers (``FieldNumber``,
/// the order of ``Frame``'s cases); the caller keeps it. Fields that carry data are written in two steps: the header for a
/// known length, then exactly that many bytes, which the caller appends.
///
///     PacketWriter.writeNumber(number, to: &output)
///     let room = PacketWriter.streamCapacity(id: id, offset: offset, free: output.freeCapacity)
///     let length = min(room, pending.byteCount)
///     PacketWriter.writeStream(id: id, offset: offset, fin: false, dataLength: length, to: &output)
///     output.append(pending.extracting(first: length))
///
/// Field groups: `PacketWriter+Data.swift` (stream, message, datagram), `PacketWriter+Ack.swift`,
/// `PacketWriter+Control.swift` (all else).
public enum PacketWriter {
  // MARK: Numbers

  @inlinable @discardableResult
  public static func writeNumber(_ number: UInt64, to output: inout OutputRawSpan) -> Bool {
    writeScalar(1 << 3, number, to: &output)
  }

  /// Bytes that ``writeNumber(_:to:)`` appends.
  @inlinable public static func numberLength(_ number: UInt64) -> Int { 1 + Varint.length(number) }

  /// A top-level `uint64` with a one-byte or two-byte tag; nothing for 0.
  @inlinable static func writeScalar(_ tag: UInt64, _ value: UInt64, to output: inout OutputRawSpan) -> Bool {
    guard value != 0 else { return true }
    guard Varint.length(tag) + Varint.length(value) <= output.freeCapacity else { return false }
    Varint.write(tag, to: &output)
    Varint.write(value, to: &output)
    return true
  }

  // MARK: Parts

  /// Bytes of a field of wire type 0 with a one-byte tag; none for 0.
  @inlinable @inline(__always) static func length(_ value: UInt64) -> Int {
    value == 0 ? 0 : 1 &+ Varint.length(value)
  }

  /// Bytes of a length-delimited field with a one-byte tag; none when it is empty.
  @inlinable @inline(__always) static func delimitedLength(_ count: Int) -> Int {
    count == 0 ? 0 : 1 &+ Varint.length(UInt64(truncatingIfNeeded: count)) &+ count
  }

  /// Appends a field of wire type 0 with a one-byte tag; nothing for 0.
  @inlinable @inline(__always)
  static func append(_ number: UInt8, _ value: UInt64, to output: inout OutputRawSpan) {
    guard value != 0 else { return }
    output.append(number << 3)
    Varint.write(value, to: &output)
  }

  /// Appends tag and length of a length-delimited field with a one-byte tag; nothing when it is empty.
  @inlinable @inline(__always)
  static func appendHeader(_ number: UInt8, _ count: Int, to output: inout OutputRawSpan) {
    guard count != 0 else { return }
    output.append(number << 3 | 2)
    Varint.write(UInt64(truncatingIfNeeded: count), to: &output)
  }

  /// Appends tag and length of a top-level frame whose content takes `length` bytes, if all of it fits.
  /// - Parameter number: a field of `Packet`, 1 to 64.
  @inlinable static func begin(_ number: UInt32, _ length: Int, to output: inout OutputRawSpan) -> Bool {
    let tag = UInt64(number) << 3 | 2
    precondition(length >= 0, "a length is not negative")
    let size = UInt64(truncatingIfNeeded: length)
    guard length <= output.freeCapacity, Varint.length(tag) &+ Varint.length(size) &+ length <= output.freeCapacity
    else {
      return false
    }
    Varint.write(tag, to: &output)
    Varint.write(size, to: &output)
    return true
  }

  /// The greatest number of data bytes with which a frame takes at most `free` bytes.
  /// - Parameters:
  ///   - tag: bytes of the frame's own tag.
  ///   - header: bytes of the frame's content before the tag of its data.
  /// - Returns: 0 also when not even an empty frame fits.
  @inlinable static func dataCapacity(tag: Int, header: Int, free: Int) -> Int {
    // The lengths' own sizes depend on the answer: down from an estimate with the shortest ones, and up again where
    // that jumped over a step of theirs.
    var data = max(0, free &- tag &- header &- 3)
    while data > 0, size(tag, header, data) > free { data = max(0, data &- (size(tag, header, data) &- free)) }
    while size(tag, header, data &+ 1) <= free { data &+= 1 }
    return data
  }

  /// Bytes of a frame with `data` bytes behind a header of `header`.
  @inlinable @inline(__always) static func size(_ tag: Int, _ header: Int, _ data: Int) -> Int {
    let content = header &+ delimitedLength(data)
    return tag &+ Varint.length(UInt64(truncatingIfNeeded: content)) &+ content
  }
}
