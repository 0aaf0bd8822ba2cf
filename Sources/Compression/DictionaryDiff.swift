internal import CMeshZstd
internal import MeshPrimitives

/// What turns a dictionary that the other side holds into a retrained one: the new one, compressed with the old one as its
/// prefix.
///
/// As bytes (all numbers little-endian):
///
///     0        4           8                40               72
///     | "PNDD" | new size  | hash of old    | hash of new    | zstd frame …
///
/// Behind the header is a standard frame: `zstd -d --patch-from OLD` reads it too. Nothing in a diff is believed: the size is
/// capped before anything is allocated, and the hash is verified after applying.
public struct DictionaryDiff: Equatable, Sendable {
  /// The dictionary to start from.
  public let reference: DictionaryHash
  /// The dictionary that comes out.
  public let target: DictionaryHash
  /// Its size in bytes.
  public let targetSize: Int
  /// The zstd frame.
  public let body: [UInt8]

  static let magic: UInt32 = 0x4444_4E50
  static let headerSize = 72
  /// A diff is never larger than a dictionary that does not compress at all.
  public static let maximumSize = headerSize + ZstdDictionary.maximumSize + 1024

  /// The diff from `old` to `new`. Takes some milliseconds, and some 20 MB while it lasts.
  ///
  /// - Throws: `.outOfMemory`.
  public init(from old: ZstdDictionary, to new: ZstdDictionary) throws(DictionaryError) {
    reference = old.hash
    target = new.hash
    targetSize = new.size
    guard let context = unsafe ZSTD_createCCtx() else { throw .outOfMemory }
    defer { unsafe ZSTD_freeCCtx(context) }
    var windowLog: Int32 = 17
    while 1 << windowLog < old.size + new.size { windowLog += 1 }
    for (parameter, value) in [
      (ZSTD_c_compressionLevel, 19), (ZSTD_c_windowLog, windowLog), (ZSTD_c_enableLongDistanceMatching, 1),
      (ZSTD_c_ldmHashRateLog, 1), (ZSTD_c_ldmMinMatch, 16),
    ] { unsafe ZSTD_CCtx_setParameter(context, parameter, value) }
    var body = [UInt8](repeating: 0, count: ZSTD_compressBound(new.size))
    let result = unsafe old.withBytes { prefix in
      unsafe new.withBytes { source in
        // Holds for one frame.
        _ = unsafe ZSTD_CCtx_refPrefix(context, prefix.baseAddress, prefix.count)
        return unsafe ZSTD_compress2(context, &body, body.count, source.baseAddress, source.count)
      }
    }
    guard !Zstd.isError(result) else { throw .outOfMemory }
    self.body = Array(body.prefix(result))
  }

  /// A diff as it came over a network, in messages that say the rest.
  public init(reference: DictionaryHash, target: DictionaryHash, targetSize: Int, body: [UInt8]) {
    self.reference = reference
    self.target = target
    self.targetSize = targetSize
    self.body = body
  }

  /// Reads what ``encoded`` writes. - Throws: `.tooLarge`, `.corruptDiff`.
  public init(parsing bytes: RawSpan) throws(DictionaryError) {
    guard bytes.byteCount <= Self.maximumSize else {
      throw .tooLarge(size: bytes.byteCount, limit: Self.maximumSize)
    }
    var reader = ByteReader(bytes)
    do throws(DecodeError) {
      guard try reader.readUInt32(.little) == Self.magic else { throw DecodeError.unexpected(offset: 0) }
      targetSize = Int(try reader.readUInt32(.little))
      guard let reference = DictionaryHash(try reader.read(32)), let target = DictionaryHash(try reader.read(32)) else {
        throw DecodeError.unexpected(offset: 8)
      }
      self.reference = reference
      self.target = target
      body = [UInt8](copying: try reader.read(reader.remaining))
    } catch { throw .corruptDiff }
  }

  /// Header and frame.
  public var encoded: [UInt8] {
    [UInt8](capacity: Self.headerSize + body.count) { output in
      output.append(Self.magic, .little)
      output.append(UInt32(clamping: targetSize), .little)
      output.append(reference.bytes.bytes)
      output.append(target.bytes.bytes)
      output.append(body.bytes)
    }
  }

  /// The dictionary that comes out of `old`: verified by its hash.
  ///
  /// - Throws: `.wrongReference` when `old` is another one than the diff starts from; `.tooLarge` and `.tooSmall` for a size
  ///   that no dictionary has, before anything is allocated; `.corruptDiff`; `.wrongHash`; and what
  ///   ``ZstdDictionary`` finds wrong.
  public func apply(to old: ZstdDictionary) throws(DictionaryError) -> ZstdDictionary {
    guard old.hash == reference else { throw .wrongReference(expected: reference, found: old.hash) }
    guard targetSize <= ZstdDictionary.maximumSize else {
      throw .tooLarge(size: targetSize, limit: ZstdDictionary.maximumSize)
    }
    guard targetSize >= ZstdDictionary.minimumSize else {
      throw .tooSmall(size: targetSize, minimum: ZstdDictionary.minimumSize)
    }
    guard let scan = try? FrameScan(body.bytes, hasMagic: true), scan.length == body.count, scan.dictionaryID == 0,
      scan.contentSize == UInt64(targetSize), scan.minimum <= UInt64(targetSize)
    else { throw .corruptDiff }
    guard let context = unsafe ZSTD_createDCtx() else { throw .outOfMemory }
    defer { unsafe ZSTD_freeDCtx(context) }
    var bytes = [UInt8](repeating: 0, count: targetSize)
    let result = unsafe old.withBytes { prefix in
      _ = unsafe ZSTD_DCtx_refPrefix(context, prefix.baseAddress, prefix.count)
      return unsafe ZSTD_decompressDCtx(context, &bytes, bytes.count, body, body.count)
    }
    guard !Zstd.isError(result), result == targetSize else { throw .corruptDiff }
    return try ZstdDictionary(bytes.bytes, verifying: target)
  }
}
