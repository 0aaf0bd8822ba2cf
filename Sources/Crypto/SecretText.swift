internal import CMeshSodium

/// Base64 of 32 secret bytes by libsodium's codec, which looks nothing up in a table and so leaks nothing through the
/// cache. For key files only.
enum SecretText {
  static func encode(_ secret: UnsafePointer<UInt8>) -> String {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 45) { text in
      unsafe sodium_bin2base64(text.baseAddress!, 45, secret, 32, sodium_base64_VARIANT_ORIGINAL)
      let result = unsafe String(cString: text.baseAddress!)
      unsafe Sodium.wipe(text.baseAddress!, 45)
      return result
    }
  }

  /// Writes 32 bytes to `secret`; `false` (and nothing of use written) unless `text` is exactly what `encode` gives.
  static func decode(_ text: String, to secret: UnsafeMutablePointer<UInt8>) -> Bool {
    var text = text
    return text.withUTF8 { characters in
      guard characters.count == 44 else { return false }
      var length = 0
      let failure = unsafe characters.withMemoryRebound(to: CChar.self) { source in
        unsafe sodium_base642bin(
          secret, 32, source.baseAddress!, 44, nil, &length, nil, sodium_base64_VARIANT_ORIGINAL)
      }
      return failure == 0 && length == 32
    }
  }
}
