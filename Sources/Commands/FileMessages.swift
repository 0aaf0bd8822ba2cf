/// The messages of the service `pnet.files`. The sender opens a stream, and for each file:
///
/// 1. sends a ``FileOffer``;
/// 2. gets a ``FileAnswer``: `.send` from an offset, `.have` when the receiver holds it already, or `.refused`;
/// 3. after `.send`, sends the bytes from the offset to the size, and gets `.stored` or `.refused`.
///
/// It finishes the stream after the last file. `.refused` may come at any time and ends the stream.
public enum FileService {
  public static let name = "pnet.files"
  /// Bytes that are read or written at once.
  static let chunk = 1 << 17
}

struct FileOffer: Codable, Equatable, Sendable {
  /// Of the file, without its directory.
  var name: String
  var size: UInt64
  /// Of the whole file, 64 lower-case hexadecimal digits.
  var sha256: String
}

struct FileAnswer: Codable, Equatable, Sendable {
  enum Verdict: String, Codable { case send, have, stored, refused }
  var verdict: Verdict
  var offset: UInt64?
  var reason: String?
}

/// How far a transfer is.
public struct TransferProgress: Equatable, Sendable {
  public enum Phase: Equatable, Sendable { case hashing, transferring, done }
  public var name: String
  public var phase: Phase
  /// Bytes.
  public var done: UInt64
  public var total: UInt64
}

/// A file that was sent or received.
public struct TransferredFile: Equatable, Sendable, Codable {
  public var name: String
  /// The key at the other end.
  public var peer: String
  /// Bytes.
  public var size: UInt64
  /// Bytes that went over the network: fewer than the size after a resume.
  public var transferred: UInt64
  public var sha256: String
  /// From the offer to the confirmation.
  public var seconds: Double
}
