internal import Glibc
internal import MeshDictionaryFiles

/// Reads the samples that a dictionary is trained from or measured on.
public struct SampleFiles: Sendable {
  /// What one sample is.
  public enum Split: Equatable, Sendable {
    /// A whole file.
    case files
    /// A line, without its end.
    case lines
    /// What lies between empty lines.
    case paragraphs
    /// So many bytes.
    case blocks(Int)

    /// `files`, `lines`, `paragraphs`, or a number of bytes.
    public init?(_ text: String) {
      switch text {
      case "files": self = .files
      case "lines": self = .lines
      case "paragraphs": self = .paragraphs
      default:
        guard let count = TextScan.decimal(text, upTo: 131_072), count >= 16 else { return nil }
        self = .blocks(count)
      }
    }
  }

  /// Bytes of all files together, at most.
  public static let limit = 64 << 20
  public let split: Split

  public init(split: Split) { self.split = split }

  /// The samples in the files and in all regular files of the directories, in order of names.
  ///
  /// - Throws: `Failure` when there is a file that cannot be read, or when they are too many.
  public func read(_ paths: [String]) throws -> [[UInt8]] {
    var samples: [[UInt8]] = []
    var total = 0
    for path in try paths.flatMap({ try files(at: $0, depth: 0) }) {
      try Task.checkCancellation()
      let bytes: [UInt8]
      do throws(DictionaryFileError) { bytes = try SmallFile.read(path, limit: Self.limit) } catch {
        throw Failure(path, error)
      }
      total += bytes.count
      guard total <= Self.limit else {
        throw Failure("the samples have more than \(byteCount(UInt64(Self.limit))): give fewer files", .badInput)
      }
      samples += pieces(bytes).filter { !$0.isEmpty }.map { Array($0) }
    }
    return samples
  }

  func pieces(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    switch split {
    case .files: return [bytes[...]]
    case .lines: return bytes.split(separator: 0x0A)
    case .blocks(let size):
      return stride(from: 0, to: bytes.count, by: size).map { bytes[$0..<min($0 + size, bytes.count)] }
    case .paragraphs:
      var pieces: [ArraySlice<UInt8>] = []
      var start = 0
      for index in bytes.indices where bytes[index] == 0x0A && (index == start || bytes[index - 1] == 0x0A) {
        pieces.append(bytes[start..<index])
        start = index + 1
      }
      return pieces + [bytes[start...]]
    }
  }

  private func files(at path: String, depth: Int) throws -> [String] {
    var facts = stat()
    guard unsafe stat(path, &facts) == 0 else {
      throw Failure("cannot read \(path): \(systemMessage(errno))", .badInput)
    }
    guard facts.st_mode & S_IFMT == S_IFDIR else { return [path] }
    guard depth < 16 else { throw Failure("\(path): the directories are nested too deeply", .badInput) }
    return try TemporaryFolder.names(in: path).flatMap { name -> [String] in
      let inner = "\(path)/\(name)"
      var facts = stat()
      // Links are left out, or a directory could contain itself.
      guard unsafe lstat(inner, &facts) == 0 else { return [] }
      switch facts.st_mode & S_IFMT {
      case S_IFREG: return [inner]
      case S_IFDIR: return try files(at: inner, depth: depth + 1)
      default: return []
      }
    }
  }
}
