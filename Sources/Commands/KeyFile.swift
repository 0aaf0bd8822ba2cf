internal import Glibc
internal import MeshCrypto
internal import MeshPrimitives

/// Reading and writing the files that hold a private key: one line of base64, as `wg genkey` writes it.
public enum KeyFile {
  /// A new private key as base64, without the line's end.
  public static func generate() throws -> String {
    var entropy = SystemEntropy()
    return try PrivateKey(generating: &entropy).base64()
  }

  /// The public key that belongs to `text`, a private key in base64 with or without blanks around it.
  /// - Throws: `Failure` in words.
  public static func publicKey(of text: String) throws(Failure) -> String {
    let trimmed = TextScan.trimmed(Array(text.utf8)[...])
    do {
      return try PrivateKey(base64: String(decoding: trimmed, as: UTF8.self)).publicKey.description
    } catch .malformedText {
      throw Failure(
        "that is no private key: it must be one line of 44 characters as 'pnet genkey' prints it", .badInput)
    } catch {
      throw Failure("no locked memory left for a private key; raise 'ulimit -l'")
    }
  }

  /// Writes `text` and a line's end to a new file of mode 0600.
  /// - Throws: `Failure` when the file exists or cannot be written; a file that was begun is removed.
  public static func create(_ path: String, _ text: String) throws(Failure) {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else {
      if errno == EEXIST {
        throw Failure("\(path) exists and is not overwritten: remove it first, or choose another name", .badInput)
      }
      throw Failure("cannot create \(path): \(systemMessage(errno))", .badInput)
    }
    // The umask cannot have widened the mode, but it may have narrowed it.
    let bytes = Array((text + "\n").utf8)
    let written = unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
    let failure: Int32? = written == bytes.count && fsync(descriptor) == 0 ? nil : (written < 0 ? errno : ENOSPC)
    close(descriptor)
    if let failure {
      unsafe unlink(path)
      throw Failure("cannot write \(path): \(systemMessage(failure))")
    }
  }

  /// The whole of a small file.
  ///
  /// - Parameters:
  ///   - limit: Bytes at most.
  ///   - isSecret: The file holds a private key: when others than its owner may read it, that is an error which prints
  ///     the `chmod`. Under /etc/wireguard it only warns, as `wg-quick` does.
  ///   - content: What secret that is, for the message.
  /// - Returns: the bytes, and a warning.
  public static func read(
    _ path: String, limit: Int, isSecret: Bool, holding content: String = "a private key"
  ) throws(Failure) -> (bytes: [UInt8], warning: String?) {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure("cannot read \(path): \(systemMessage(errno))", .badInput) }
    defer { close(descriptor) }
    var facts = stat()
    guard unsafe fstat(descriptor, &facts) == 0 else {
      throw Failure("cannot read \(path): \(systemMessage(errno))", .badInput)
    }
    guard facts.st_mode & S_IFMT != S_IFDIR else { throw Failure("\(path) is a directory, not a file", .badInput) }
    var warning: String?
    // A pipe, as in `--key <(…)`, has no permissions that matter.
    if isSecret, facts.st_mode & S_IFMT == S_IFREG, facts.st_mode & 0o077 != 0 {
      let message = "\(path) holds \(content) and others can read it: run 'chmod 600 \(shellQuoted(path))'"
      guard path.hasPrefix("/etc/wireguard/") else { throw Failure(message, .badInput) }
      warning = message
    }
    var bytes: [UInt8] = []
    while bytes.count <= limit {
      let wanted = min(65_536, limit + 1 - bytes.count)
      var result = 0
      let piece = unsafe [UInt8](unsafeUninitializedCapacity: wanted) { buffer, count in
        result = unsafe Glibc.read(descriptor, buffer.baseAddress!, wanted)
        count = max(0, result)
      }
      if result < 0 {
        if errno == EINTR { continue }
        throw Failure("cannot read \(path): \(systemMessage(errno))", .badInput)
      }
      if result == 0 { return (bytes, warning) }
      bytes += piece
    }
    throw Failure("\(path) is larger than \(limit) bytes: that is no key or configuration", .badInput)
  }

  /// The private key in a key file, as base64.
  public static func privateKey(_ path: String) throws(Failure) -> String {
    let bytes = try read(path, limit: 4096, isSecret: true).bytes
    let text = String(decoding: TextScan.trimmed(bytes[...]), as: UTF8.self)
    do { _ = try PrivateKey(base64: text) } catch {
      throw Failure(
        "\(path) holds no private key: it must be one line of 44 characters as 'pnet genkey' prints it", .badInput)
    }
    return text
  }

  /// `text` as one word for a shell.
  static func shellQuoted(_ text: String) -> String {
    let plain = text.utf8.allSatisfy {
      TextScan.isAlphanumeric($0)
        || [UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-")].contains($0)
    }
    guard !plain || text.isEmpty else { return text }
    return "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }
}
