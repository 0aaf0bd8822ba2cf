internal import Glibc
internal import MeshCrypto
internal import MeshPrimitives

/// What has come of a file, under a hidden name of its own, locked while it is written to.
@safe final class PartFile {
  private let offer: FileOffer
  private let directory: Int32
  private let name: String
  private let file: FileAccess
  private let hash = SHA256()

  /// Opens the part of an earlier attempt, or a new one. - Throws: `Failure`.
  init(_ offer: FileOffer, in directory: Int32) throws(Failure) {
    self.offer = offer
    self.directory = directory
    name = ".\(offer.name).\(offer.sha256.prefix(16)).part"
    let descriptor = unsafe openat(directory, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o600)
    guard descriptor >= 0 else { throw Failure("cannot write '\(offer.name)': \(systemMessage(errno))") }
    file = FileAccess(descriptor)
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      throw Failure("'\(offer.name)' is being received already by another transfer")
    }
  }

  /// Takes what is there into the hash. - Returns: how many bytes that is.
  func resume(_ report: (UInt64) -> Void) throws -> UInt64 {
    if file.size > offer.size { ftruncate(file.descriptor, 0) }
    return try file.hash(into: hash, upTo: file.size, report)
  }

  func append(_ bytes: [UInt8], at offset: UInt64) throws(Failure) {
    do { try file.write(bytes, at: offset) } catch {
      let isFull = error.code == ENOSPC || error.code == EDQUOT
      throw Failure(
        isFull
          ? "the disk is full after \(byteCount(offset)) of '\(offer.name)': make room and send it again to go on there"
          : "cannot write '\(offer.name)': \(error)")
    }
    hash.update(bytes.bytes)
  }

  /// Checks the hash, makes sure that all is on disk, and gives the file its name.
  /// - Throws: `Failure`. A part that is damaged is removed, since nothing good can follow from it.
  func store(isOverwriting: Bool) throws(Failure) {
    guard hexadecimal(hash.digest().rawBytes) == offer.sha256 else {
      unsafe unlinkat(directory, name, 0)
      throw Failure("'\(offer.name)' arrived damaged (its SHA-256 is another one) and was removed: send it again")
    }
    // Private while it was a part; now as any new file.
    fchmod(file.descriptor, 0o666 & ~Self.mask)
    guard fsync(file.descriptor) == 0 else {
      throw Failure("cannot write '\(offer.name)' to disk: \(systemMessage(errno))")
    }
    let result: Int32
    if isOverwriting {
      result = unsafe renameat(directory, name, directory, offer.name)
    } else {
      // A rename would replace what has got that name in the meantime; a link does not.
      result = unsafe linkat(directory, name, directory, offer.name, 0)
      if result == 0 {
        unsafe unlinkat(directory, name, 0)
      } else if errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK {
        return try renameChecked()
      }
    }
    guard result == 0 else { throw Failure("cannot give '\(offer.name)' its name: \(systemMessage(errno))") }
    fsync(directory)
  }

  /// Where the file system has no links.
  private func renameChecked() throws(Failure) {
    var facts = stat()
    guard unsafe fstatat(directory, offer.name, &facts, AT_SYMLINK_NOFOLLOW) != 0 else {
      throw Failure("another file '\(offer.name)' is there already: move it away, or receive with --overwrite")
    }
    guard unsafe renameat(directory, name, directory, offer.name) == 0 else {
      throw Failure("cannot give '\(offer.name)' its name: \(systemMessage(errno))")
    }
    fsync(directory)
  }

  /// The process's umask, read once without changing it.
  private static let mask: mode_t = {
    guard let text = try? KeyFile.read("/proc/self/status", limit: 65_536, isSecret: false).bytes else { return 0o077 }
    for line in text.split(separator: 0x0A) where line.starts(with: Array("Umask:".utf8)) {
      return mode_t(String(decoding: TextScan.trimmed(line.dropFirst(6)), as: UTF8.self), radix: 8) ?? 0o077
    }
    return 0o077
  }()
}
