internal import CMeshProto
internal import CMeshProtobufC

// Copies values out of C messages. `field` is the number that an error names.

func read<Value: CConvertible>(_ message: UnsafeMutablePointer<Value.CMessage>?) throws(WireError) -> Value? {
  guard let message = unsafe message else { return nil }
  return unsafe try Value(message.pointee)
}

func read<Value: CConvertible>(
  _ count: Int, _ messages: UnsafeMutablePointer<UnsafeMutablePointer<Value.CMessage>?>?, max: Int = .max,
  field: UInt32 = 0
) throws(WireError) -> [Value] {
  guard count <= max else { throw .invalid(field: field) }
  var values: [Value] = unsafe []
  guard count > 0, let messages = unsafe messages else { return values }
  unsafe values.reserveCapacity(count)
  for index in 0..<count {
    if let value: Value = unsafe try read(messages[index]) { unsafe values.append(value) }
  }
  return values
}

func read<Number>(
  _ count: Int, _ numbers: UnsafeMutablePointer<Number>?, max: Int, field: UInt32
) throws(WireError) -> [Number] {
  guard count <= max else { throw .invalid(field: field) }
  return unsafe Array(UnsafeBufferPointer(start: numbers, count: count))
}

func read(_ bytes: ProtobufCBinaryData) -> [UInt8] {
  unsafe Array(UnsafeBufferPointer(start: bytes.data, count: bytes.len))
}

/// Bytes whose length is one of `lengths`.
func read(_ bytes: ProtobufCBinaryData, lengths: ClosedRange<Int>, field: UInt32) throws(WireError) -> [UInt8] {
  guard unsafe lengths.contains(bytes.len) else { throw .invalid(field: field) }
  return unsafe read(bytes)
}

/// UTF-8 without NUL, of at most `max` bytes.
func text(_ bytes: ProtobufCBinaryData, max: Int, field: UInt32) throws(WireError) -> String {
  let buffer = unsafe UnsafeBufferPointer(start: bytes.data, count: bytes.len)
  guard buffer.count <= max, unsafe !buffer.contains(0),
    let text = unsafe String(validating: buffer, as: UTF8.self)
  else { throw .invalid(field: field) }
  return text
}
