internal import Glibc
public import MeshCompression
internal import MeshDictionaryFiles

/// The directory of dictionaries that the commands use, and the dictionaries in it by what a person calls them.
public struct DictionaryShelf: Sendable {
  /// A file that is no sound dictionary, and why.
  public struct Refused: Sendable, Codable {
    public var file: String
    public var reason: String
  }

  public let path: String
  private let directory: DictionaryDirectory
  private let store: DictionaryStore
  public let refused: [Refused]

  /// `$PNET_DICTIONARIES`, /var/lib/pnet/dictionaries for root, or `pnet/dictionaries` below `$XDG_DATA_HOME`.
  public static var usualPath: String {
    if let path = environmentValue("PNET_DICTIONARIES") { return path }
    if geteuid() == 0 { return "/var/lib/pnet/dictionaries" }
    if let data = environmentValue("XDG_DATA_HOME") { return "\(data)/pnet/dictionaries" }
    return "\(environmentValue("HOME") ?? ".")/.local/share/pnet/dictionaries"
  }

  /// - Throws: `Failure` when the directory cannot be read.
  public init(_ path: String) throws(Failure) {
    self.path = path
    let directory = DictionaryDirectory(path)
    self.directory = directory
    do throws(DictionaryFileError) {
      let loaded = try directory.load()
      store = loaded.store
      refused = loaded.refused.map { Refused(file: $0.name, reason: Failure($0.name, $0.reason).message) }
    } catch { throw Failure(path, error) }
  }

  /// The oldest first.
  public var dictionaries: [ZstdDictionary] { store.dictionaries }

  /// The dictionary that `text` names: the path of a file, or the id, or the beginning of the hash (at least 4 digits), or
  /// the name of a file of one here.
  ///
  /// - Throws: `Failure` when there is none, or more than one.
  public func find(_ text: String) throws(Failure) -> ZstdDictionary {
    let isFile = unsafe access(text, F_OK) == 0
    if isFile || text.utf8.contains(UInt8(ascii: "/")) { return try Self.read(text) }
    let wanted = TextScan.lowercased(Array(text.utf8)[...])
    let found = store.dictionaries.filter { dictionary in
      dictionary.description == wanted || DictionaryDirectory.name(of: dictionary) == wanted
        || String(dictionary.id) == wanted || (wanted.utf8.count >= 4 && dictionary.hash.description.hasPrefix(wanted))
    }
    guard let first = found.first else {
      throw Failure(
        "there is no dictionary \(TextScan.quoted(text)) in \(path), and no such file: 'pnet dict list' shows what there is",
        .badInput)
    }
    guard found.count == 1 else {
      throw Failure(
        "\(TextScan.quoted(text)) may be each of \(found.map(\.description).joined(separator: ", ")): give more of the hash",
        .badInput)
    }
    return first
  }

  /// Reads a dictionary from a file.
  public static func read(_ file: String) throws(Failure) -> ZstdDictionary {
    do throws(DictionaryFileError) { return try DictionaryDirectory.read(file) } catch { throw Failure(file, error) }
  }

  /// What is known of a dictionary; how it was trained, if it was trained here.
  public func facts(of dictionary: ZstdDictionary) -> DictionaryFacts {
    let note = try? SmallFile.read(directory.note(of: dictionary), limit: 65_536)
    let known = note.flatMap { try? JSON.parse(DictionaryFacts.self, $0) }
    let isHere = store[dictionary.hash] != nil
    return DictionaryFacts(
      dictionary, file: isHere ? directory.file(of: dictionary) : nil,
      training: known?.hash == dictionary.hash.description ? known?.training : nil)
  }

  /// Puts a dictionary into the directory. - Returns: its file.
  public func save(_ dictionary: ZstdDictionary, training: DictionaryFacts.Training? = nil) throws -> String {
    let note = try training.map { try JSON.line(DictionaryFacts(dictionary, training: $0)) + [0x0A] }
    do throws(DictionaryFileError) { return try directory.save(dictionary, note: note) } catch {
      throw Failure(directory.file(of: dictionary), error)
    }
  }

  /// Writes bytes to a new file of mode 0600, whole or not at all.
  public static func write(_ bytes: [UInt8], to file: String, isReplacing: Bool) throws(Failure) {
    do throws(DictionaryFileError) { try SmallFile.write(bytes, to: file, isReplacing: isReplacing) } catch {
      throw Failure(file, error)
    }
  }

  /// Trains a dictionary. - Parameter report: Called before each size with how many are done, and of how many.
  public static func train(
    _ samples: [[UInt8]], _ options: TrainingOptions, seed: UInt64, report: (Int, Int) -> Void
  ) throws -> (dictionary: ZstdDictionary, report: TrainingReport) {
    do {
      var training = try DictionaryTraining(samples: samples, options: options, seed: seed)
      repeat {
        try Task.checkCancellation()
        report(training.done, training.total)
      } while try training.step()
      return try training.result()
    } catch let error as DictionaryError { throw Failure("cannot train a dictionary", error) }
  }

  /// The diff that turns `old` into `new`, as bytes of a file.
  public static func diff(from old: ZstdDictionary, to new: ZstdDictionary) throws(Failure) -> [UInt8] {
    do throws(DictionaryError) { return try DictionaryDiff(from: old, to: new).encoded } catch {
      throw Failure("cannot make a diff", error)
    }
  }

  /// The dictionary that the diff in `file` makes of `old`; `nil` for `old` takes the one in this directory that the diff
  /// starts from.
  public func apply(_ file: String, to old: ZstdDictionary?) throws(Failure) -> ZstdDictionary {
    let bytes: [UInt8]
    do throws(DictionaryFileError) { bytes = try SmallFile.read(file, limit: DictionaryDiff.maximumSize) } catch {
      throw Failure(file, error)
    }
    do throws(DictionaryError) {
      let diff = try DictionaryDiff(parsing: bytes.bytes)
      guard let old = old ?? store[diff.reference] else {
        throw DictionaryError.wrongReference(expected: diff.reference, found: diff.reference)
      }
      return try diff.apply(to: old)
    } catch {
      if case .wrongReference(let expected, let found) = error, expected == found {
        throw Failure("\(file) starts from the dictionary \(expected), which is not in \(path)", .badInput)
      }
      throw Failure(file, error)
    }
  }
}
