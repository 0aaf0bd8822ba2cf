public import MeshPrimitives

/// The time of a handshake initiation as WireGuard sends it: 12 bytes, TAI64N with the nanoseconds rounded down to
/// 2^24 (16.8 ms), so that a peer learns less about the clock. Compared only with others of the same sender.
public struct TAI64N: Comparable, Hashable, Sendable {
  private let seconds: UInt64  // 2^62 + 10 + Unix seconds
  private let nanoseconds: UInt32

  /// Before every time that a peer can send.
  public static let zero = TAI64N(seconds: 0, nanoseconds: 0)

  private init(seconds: UInt64, nanoseconds: UInt32) {
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }

  /// - Parameters:
  ///   - seconds: Unix time. Before 1970 is allowed.
  ///   - nanoseconds: Of the second; rounded down.
  public init(secondsSince1970 seconds: Int64, nanoseconds: UInt32) {
    self.init(
      seconds: 0x4000_0000_0000_000A &+ UInt64(bitPattern: seconds), nanoseconds: nanoseconds & ~0xFF_FFFF)
  }

  /// Takes 12 bytes from `reader`, as they are: the sender rounds, not the receiver.
  /// - Throws: `.truncated` when fewer are left.
  public init(parsing reader: inout ByteReader) throws(DecodeError) {
    try reader.require(12)
    seconds = try reader.readUInt64(.big)
    nanoseconds = try reader.readUInt32(.big)
  }

  /// Appends the 12 bytes, big-endian.
  public func write(to output: inout OutputRawSpan) {
    output.append(seconds, .big)
    output.append(nanoseconds, .big)
  }

  /// The next time that differs from this one after rounding.
  public var successor: TAI64N {
    let rounded = nanoseconds & ~0xFF_FFFF
    return rounded >= 989_855_744  // the last step below a second
      ? TAI64N(seconds: seconds &+ 1, nanoseconds: 0) : TAI64N(seconds: seconds, nanoseconds: rounded &+ 0x100_0000)
  }

  /// As the 12 bytes compare.
  public static func < (left: TAI64N, right: TAI64N) -> Bool {
    (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
  }
}

extension TAI64N: LosslessStringConvertible {
  /// Reads what ``description`` gives. `nil` for anything else, and for nanoseconds of a second or more.
  public init?(_ text: String) {
    let digits = text.utf8.dropFirst()
    // A sign is no digit, but the initialisers of integers take one.
    guard text.utf8.count == 25, text.utf8.first == UInt8(ascii: "@"),
      digits.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
      let seconds = UInt64(Substring(digits.prefix(16)), radix: 16),
      let nanoseconds = UInt32(Substring(digits.dropFirst(16)), radix: 16), nanoseconds < 1_000_000_000
    else { return nil }
    self.init(seconds: seconds, nanoseconds: nanoseconds)
  }

  /// The external form of TAI64N: `@` and the 12 bytes as 24 hexadecimal digits.
  public var description: String {
    func padded(_ digits: String, to count: Int) -> String {
      String(repeating: "0", count: count - digits.utf8.count) + digits
    }
    return "@" + padded(String(seconds, radix: 16), to: 16) + padded(String(nanoseconds, radix: 16), to: 8)
  }
}
