internal import MeshPrimitives

/// Whether a message has its fields in ascending order, looked at only when something in it is wrong.
///
/// proto3 lets a later copy of a singular field replace or complete an earlier one. A value that is wrong where it was
/// read may so be right in the end: then the message is not canonical, and whoever reads all of it decides.
enum Disorder {
  /// What to say of a message in which `error` was found first.
  @inline(never)
  static func overrules(_ error: PacketError, in message: RawSpan) -> PacketError {
    switch error {
    case .malformed, .tooLarge: find(in: message).map { .notCanonical(offset: $0) } ?? error
    case .notCanonical, .truncated, .unsupported: error
    }
  }

  /// Where the first field out of order lies; `nil` also when the bytes are no fields from some point on.
  private static func find(in message: RawSpan) -> Int? {
    find(message, 0..<message.byteCount, repeated: FieldNumber.repeated) { bytes, field, range in
      guard FieldNumber.hot >> UInt64(field) & 1 != 0 else { return nil }
      return find(bytes, range, repeated: 0) { bytes, inner, range in
        // The one message inside a hot message.
        guard field == FieldNumber.pathReply, inner == 2 else { return nil }
        return find(bytes, range, repeated: 0) { _, _, _ in nil }
      }
    }
  }

  /// - Parameter inside: looks into a length-delimited value of a field below 64.
  private static func find(
    _ bytes: RawSpan, _ range: Range<Int>, repeated: UInt64, inside: (RawSpan, UInt32, Range<Int>) -> Int?
  ) -> Int? {
    var fields = FieldReader(bytes, range)
    do {
      while true {
        let tag = try fields.nextTag(repeated: repeated)
        if tag == 0 { return nil }
        let content = try fields.skip(tag)
        if tag & 7 == 2, tag >> 3 < 64, let offset = inside(bytes, tag >> 3, content) { return offset }
      }
    } catch {
      if case .notCanonical(let offset) = error { return offset }
      return nil
    }
  }
}
