/// Base-128 varints of proto3, in their shortest form: seven bits a byte, the lowest first.
public enum Varint {
  /// Bytes that `value` takes: 1 to 10.
  @inlinable public static func length(_ value: UInt64) -> Int {
    // 9/64 of the bit width, rounded up: exact for every width from 1 to 64.
    ((64 &- (value | 1).leadingZeroBitCount) &* 9 &+ 64) &>> 6
  }

  /// Reads the varint at `offset` and moves `offset` behind it.
  /// - Throws: `.truncated`, `.malformed` above 10 bytes, `.notCanonical` when there is a shorter form, or when the value
  ///   has bits above the 64th, which proto3 readers drop.
  public static func read(_ bytes: RawSpan, at offset: inout Int) throws(PacketError) -> UInt64 {
    var fields = FieldReader(bytes, offset..<bytes.byteCount)
    let value = try fields.varint()
    offset = fields.position
    return value
  }

  /// Appends `value`. Traps unless ``length(_:)`` bytes are free.
  @inlinable public static func write(_ value: UInt64, to output: inout OutputRawSpan) {
    if value < 0x80 {
      output.append(UInt8(truncatingIfNeeded: value))
      return
    }
    var rest = value
    while rest >= 0x80 {
      output.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest &>>= 7
    }
    output.append(UInt8(truncatingIfNeeded: rest))
  }
}
