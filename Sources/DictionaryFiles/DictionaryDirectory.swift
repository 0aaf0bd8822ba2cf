internal import Glibc
public import MeshCompression

/// A directory of dictionaries, each in a file that the `zstd` tool reads with `-D` as it is.
///
/// A file is named `ID-HASH.dict`: zstd's id in decimal, and the first 16 hexadecimal digits of the BLAKE2b-256 hash. Both
/// are verified when it is read. Beside it may lie a note, `ID-HASH.json`, which this type carries and does not read.
///
/// ```swift
/// import MeshDictionaryFiles
///
/// let directory = DictionaryDirectory("/var/lib/pnet/dictionaries")
/// try directory.save(dictionary)
/// let (store, refused) = try directory.load()
/// ```
///
/// Files are of mode 0600, the directory of 0700: a dictionary contains pieces of what it was trained from.
public struct DictionaryDirectory: Sendable {
  /// A file that is no sound dictionary.
  public struct Refused: Equatable, Sendable {
    public var name: String
    public var reason: DictionaryFileError
  }

  public let path: String
  /// Names that are looked at, at most.
  static let maximumFiles = 4096

  public init(_ path: String) { self.path = path }

  /// `ID-HASH.dict`.
  public static func name(of dictionary: ZstdDictionary) -> String { "\(dictionary).dict" }

  /// Where a dictionary of this directory lies.
  public func file(of dictionary: ZstdDictionary) -> String { "\(path)/\(Self.name(of: dictionary))" }

  /// Where its note lies.
  public func note(of dictionary: ZstdDictionary) -> String { "\(path)/\(dictionary).json" }

  /// Reads and checks one file, whatever its name. - Throws: `.system`, `.notARegularFile`, `.tooLarge`, `.dictionary`.
  public static func read(_ file: String) throws(DictionaryFileError) -> ZstdDictionary {
    let bytes = try SmallFile.read(file, limit: ZstdDictionary.maximumSize)
    do throws(DictionaryError) { return try ZstdDictionary(bytes) } catch { throw .dictionary(error) }
  }

  /// All dictionaries, the oldest file first (by its time of change, then by name), and what is wrong with other `.dict`
  /// files: those are left out. An absent directory is an empty one.
  ///
  /// - Parameter store: Where they are added, up to its caps.
  /// - Throws: `.system`, `.tooMany`.
  public func load(
    into store: DictionaryStore = DictionaryStore()
  ) throws(DictionaryFileError) -> (store: DictionaryStore, refused: [Refused]) {
    var store = store
    var refused: [Refused] = []
    var files: [(time: Int, nanoseconds: Int, name: String)] = []
    for name in try names() where name.hasSuffix(".dict") {
      var facts = stat()
      guard unsafe stat("\(path)/\(name)", &facts) == 0 else { continue }
      files.append((facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec, name))
    }
    for (_, _, name) in files.sorted(by: { $0 < $1 }) {
      do throws(DictionaryFileError) {
        let dictionary = try Self.read("\(path)/\(name)")
        guard name == Self.name(of: dictionary) else { throw .misnamed }
        do throws(DictionaryError) { try store.add(dictionary) } catch { throw .dictionary(error) }
      } catch { refused.append(Refused(name: name, reason: error)) }
    }
    return (store, refused)
  }

  /// Writes a dictionary and perhaps its note; makes the directory when it is absent. One that is there already stays as
  /// it is, but gets the note.
  ///
  /// - Returns: the path of its file.
  /// - Throws: `.system`.
  @discardableResult
  public func save(_ dictionary: ZstdDictionary, note: [UInt8]? = nil) throws(DictionaryFileError) -> String {
    try makeDirectories()
    let file = file(of: dictionary)
    do throws(DictionaryFileError) { try SmallFile.write(dictionary.bytes, to: file) } catch {
      guard error == .system(code: EEXIST) else { throw error }
      // What is there under its name may be damaged.
      if (try? Self.read(file))?.hash != dictionary.hash {
        try SmallFile.write(dictionary.bytes, to: file, isReplacing: true)
      }
    }
    if let note { try SmallFile.write(note, to: self.note(of: dictionary), isReplacing: true) }
    return file
  }

  private func makeDirectories() throws(DictionaryFileError) {
    var prefix = path.hasPrefix("/") ? "" : "."
    for part in path.split(separator: "/") {
      prefix += "/\(part)"
      if unsafe mkdir(prefix, 0o700) != 0, errno != EEXIST {
        var facts = stat()
        guard unsafe stat(prefix, &facts) == 0 else { throw .system(code: errno) }
      }
    }
  }

  private func names() throws(DictionaryFileError) -> [String] {
    guard let directory = unsafe opendir(path) else {
      if errno == ENOENT { return [] }
      throw .system(code: errno)
    }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      guard names.count < Self.maximumFiles else { throw .tooMany(limit: Self.maximumFiles) }
      names.append(
        unsafe withUnsafePointer(to: &entry.pointee.d_name) {
          unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
        })
    }
    return names
  }
}
