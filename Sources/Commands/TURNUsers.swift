internal import MeshPrimitives
public import MeshSTUN

/// Who may use a TURN server, from flags and files.
public enum TURNUsers {
  private static let maximumSize = 16 << 20

  /// - Parameters:
  ///   - users: `NAME:PASSWORD` each.
  ///   - file: lines of the same; empty ones and those that begin with `#` are passed over.
  ///   - secretFile: holds the secret that time-limited credentials are made with.
  /// - Throws: `Failure` with the line that is wrong; when nobody at all could use the server; when others can read a file.
  public static func directory(
    realm: String, users: [String], file: String?, secretFile: String?
  ) throws(Failure) -> UserDirectory {
    guard (1...127).contains(realm.utf8.count) else {
      throw Failure("the realm must have 1 to 127 bytes, not \(realm.utf8.count)", .badInput)
    }
    var directory = UserDirectory(realm: realm)
    for user in users { try add(user, from: "--user", to: &directory) }
    if let file {
      let bytes = try KeyFile.read(file, limit: maximumSize, isSecret: true).bytes
      for (number, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
        let text = TextScan.trimmed(line)
        guard let first = text.first, first != UInt8(ascii: "#") else { continue }
        try add(String(decoding: text, as: UTF8.self), from: "\(file):\(number + 1)", to: &directory)
      }
    }
    if let secretFile {
      let secret = TextScan.trimmed(try KeyFile.read(secretFile, limit: 4096, isSecret: true).bytes[...])
      guard secret.count >= 16 else {
        throw Failure(
          "\(secretFile) holds a secret of \(secret.count) bytes: use 16 or more, drawn at random", .badInput)
      }
      directory.acceptTimeLimited(secret: String(decoding: secret, as: UTF8.self))
    }
    guard directory.count > 0 || secretFile != nil else {
      throw Failure("nobody could use the server: name users with --user, --users or --secret", .badInput)
    }
    return directory
  }

  private static func add(_ text: String, from place: String, to directory: inout UserDirectory) throws(Failure) {
    guard let colon = text.firstIndex(of: ":") else {
      throw Failure("\(place): a user is written NAME:PASSWORD", .badInput)
    }
    let (name, password) = (String(text[..<colon]), String(text[text.index(after: colon)...]))
    guard (1...512).contains(name.utf8.count), (1...512).contains(password.utf8.count) else {
      throw Failure("\(place): name and password must have 1 to 512 bytes", .badInput)
    }
    directory.add(name, password: password)
  }
}
