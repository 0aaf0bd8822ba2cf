/// What each fuzzer does with an input. A finding is a trap: of a layer, or of ``require(_:_:)`` here.
public enum Fuzzing {}

/// Ends the process when what must always hold does not.
func require(_ holds: Bool, _ claim: @autoclosure () -> String) {
  if !holds { fatalError(claim()) }
}

/// Reads an input as a sequence of choices; zeros when it has ended.
struct Choices {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { position >= bytes.count }

  mutating func byte() -> UInt8 {
    guard position < bytes.count else { return 0 }
    defer { position += 1 }
    return bytes[position]
  }

  /// Two bytes, big-endian.
  mutating func word() -> Int { Int(byte()) << 8 | Int(byte()) }

  /// As many of the next `count` bytes as there are.
  mutating func take(_ count: Int) -> [UInt8] {
    let end = min(bytes.count, position + count)
    defer { position = end }
    return Array(bytes[min(position, end)..<end])
  }
}
