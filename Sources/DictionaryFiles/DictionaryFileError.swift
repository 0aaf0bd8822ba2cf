public import MeshCompression

/// Why a file of a dictionary could not be read or written.
public enum DictionaryFileError: Error, Equatable, Sendable {
  /// A system call failed with this `errno`.
  case system(code: Int32)
  case notARegularFile
  /// Longer than a dictionary or diff may be, in bytes; not read.
  case tooLarge(limit: Int)
  /// The content is no dictionary.
  case dictionary(DictionaryError)
  /// The name says another id or hash than the content has.
  case misnamed
  /// More files than a directory may have.
  case tooMany(limit: Int)
}
