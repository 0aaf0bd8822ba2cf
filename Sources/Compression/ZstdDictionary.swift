internal import CMeshZstd
internal import MeshPrimitives

/// A zstd dictionary (RFC 8878 §6) that was checked: its tables are sound, and its id and hash are known.
///
/// It never changes, so threads share it. Decompressors use it as it is; to compress, a ``PreparedDictionary`` is made of
/// it per level. It costs its size and some 30 KB.
@safe public final class ZstdDictionary: Sendable {
  /// No dictionary is smaller than that, as zstd trains none.
  public static let minimumSize = 256
  /// No dictionary is larger than that: 256 KiB.
  public static let maximumSize = 262_144

  /// zstd's id, which standard frames carry; never 0. Not unique: two dictionaries of one id may differ.
  public let id: UInt32
  /// BLAKE2b-256 of all bytes.
  public let hash: DictionaryHash
  /// In bytes.
  public let size: Int

  private nonisolated(unsafe) let content: UnsafeMutableRawPointer
  private nonisolated(unsafe) let decompression: OpaquePointer

  /// Copies and checks `bytes`.
  ///
  /// - Parameter expected: The hash that the bytes must have, when it is known: what came from elsewhere is verified.
  /// - Throws: `.tooSmall`, `.tooLarge`, `.notADictionary`, `.wrongHash`, `.corrupt`, `.outOfMemory`.
  public init(_ bytes: RawSpan, verifying expected: DictionaryHash? = nil) throws(DictionaryError) {
    size = bytes.byteCount
    guard size >= Self.minimumSize else { throw .tooSmall(size: size, minimum: Self.minimumSize) }
    guard size <= Self.maximumSize else { throw .tooLarge(size: size, limit: Self.maximumSize) }
    var reader = ByteReader(bytes)
    guard let magic = try? reader.readUInt32(.little), magic == ZSTD_MAGIC_DICTIONARY,
      let id = try? reader.readUInt32(.little)
    else { throw .notADictionary }
    hash = DictionaryHash(of: bytes)
    if let expected, expected != hash { throw .wrongHash(expected: expected, found: hash) }
    guard id != 0 else { throw .corrupt }
    self.id = id

    let copy = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 64)
    unsafe bytes.withUnsafeBytes { unsafe copy.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    // Fails for tables that are not sound: as a full dictionary, it is never taken for plain content.
    let prepared = unsafe ZSTD_createDDict_advanced(
      copy, size, ZSTD_dlm_byRef, ZSTD_dct_fullDict, ZSTD_customMem(customAlloc: nil, customFree: nil, opaque: nil))
    guard let prepared = unsafe prepared else {
      unsafe copy.deallocate()
      throw .corrupt
    }
    unsafe content = copy
    unsafe decompression = prepared
  }

  /// The same for bytes in an array.
  public convenience init(_ bytes: [UInt8], verifying expected: DictionaryHash? = nil) throws(DictionaryError) {
    try self.init(bytes.bytes, verifying: expected)
  }

  deinit {
    unsafe ZSTD_freeDDict(decompression)
    unsafe content.deallocate()
  }

  /// A copy of all bytes, as they are in the file that the `zstd` tool reads.
  public var bytes: [UInt8] {
    unsafe Array(UnsafeRawBufferPointer(start: content, count: size))
  }

  /// Lends the bytes.
  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    unsafe body(UnsafeRawBufferPointer(start: content, count: size))
  }

  /// Makes `context` decompress with this dictionary. The caller keeps the dictionary for as long.
  func reference(from context: OpaquePointer) -> Int { unsafe ZSTD_DCtx_refDDict(context, decompression) }

  /// Memory in bytes, all that belongs to it.
  public var memoryUse: Int { unsafe size + ZSTD_sizeof_DDict(decompression) }
}

extension ZstdDictionary: CustomStringConvertible {
  /// Its id and the beginning of its hash.
  public var description: String { "\(id)-\(hash.prefix)" }
}
