internal import MeshPrimitives

/// Checks text without making a `String`.
enum UTF8Check {
  /// Whether `bytes` are well-formed UTF-8 (Unicode 15, table 3-7) without NUL.
  @inline(never) static func isText(_ bytes: RawSpan) -> Bool {
    var offset = 0
    while offset < bytes.byteCount {
      let lead = bytes.byte(at: offset)
      offset += 1
      if lead < 0x80 {
        if lead == 0 { return false }
        continue
      }
      let count: Int
      // The second byte's range depends on the first: no overlong forms, no surrogates, nothing above U+10FFFF.
      var allowed: ClosedRange<UInt8> = 0x80...0xBF
      switch lead {
      case 0xC2...0xDF: count = 1
      case 0xE0: (count, allowed) = (2, 0xA0...0xBF)
      case 0xED: (count, allowed) = (2, 0x80...0x9F)
      case 0xE1...0xEF: count = 2
      case 0xF0: (count, allowed) = (3, 0x90...0xBF)
      case 0xF4: (count, allowed) = (3, 0x80...0x8F)
      case 0xF1...0xF3: count = 3
      default: return false
      }
      guard bytes.byteCount - offset >= count else { return false }
      for _ in 0..<count {
        guard allowed.contains(bytes.byte(at: offset)) else { return false }
        allowed = 0x80...0xBF
        offset += 1
      }
    }
    return true
  }
}
