internal import CMeshZstd
public import MeshPrimitives

/// Decompresses what ``MessageCompressor`` made, and what the `zstd` tool makes, one frame at a time.
///
/// The headers of the frame and of its blocks are read first, so that a frame which says that it is larger than allowed is
/// refused before anything is decompressed, and what lies about it when the limit is reached. One context of libzstd is kept
/// in memory of fixed size; nothing is allocated after `init`, but by the methods that return arrays.
@safe public struct MessageDecompressor: ~Copyable {
  /// Bytes that a message may have.
  public let limit: Int
  /// Whether frames begin with zstd's magic number.
  public let hasMagic: Bool
  private let memory: ContextMemory
  private let context: OpaquePointer
  private var dictionary: ZstdDictionary?
  private var table = StatisticsTable()
  /// How often messages failed, by reason, with all dictionaries together.
  public private(set) var failures = ReasonCounters<DecompressionFailure>()

  /// - Parameters:
  ///   - limit: Bytes that a decompressed message may have, at least 1.
  ///   - hasMagic: Whether frames begin with zstd's magic number, as ``FrameOptions/standard`` ones do.
  /// - Throws: `.outOfMemory`.
  public init(limit: Int = 65_536, hasMagic: Bool = false) throws(CompressionError) {
    precondition(limit > 0, "a message may have at least one byte")
    self.limit = limit
    self.hasMagic = hasMagic
    memory = ContextMemory(ZSTD_estimateDCtxSize())
    guard let context = unsafe ZSTD_initStaticDCtx(memory.address, memory.count) else { throw .outOfMemory }
    unsafe self.context = context
    let format = hasMagic ? ZSTD_f_zstd1 : ZSTD_f_zstd1_magicless
    unsafe ZSTD_DCtx_setParameter(context, mesh_zstd_d_format, Int32(format.rawValue))
  }

  /// Bytes of memory, all of it taken at `init`.
  public var memoryUse: Int { memory.count }

  /// What was decompressed with each dictionary so far, in the order of first use; the first entry is for none.
  public var statistics: [(dictionary: DictionaryHash?, statistics: DictionaryStatistics)] {
    table.entries.map { ($0.hash, $0.statistics) }
  }

  /// What was decompressed with one dictionary, or with none.
  public func statistics(of dictionary: DictionaryHash?) -> DictionaryStatistics { table[dictionary] }

  /// Appends the content of the frame `message` to `output`.
  ///
  /// - Parameter dictionary: The one that it was compressed with, if any.
  /// - Returns: how many bytes were appended: at most ``limit``, and at most the output's free capacity.
  /// - Throws: `.truncated`, `.corrupt`, `.trailing`, `.outputTooLarge`, `.wrongDictionary`, `.wrongChecksum`. Then nothing
  ///   was appended.
  @discardableResult
  public mutating func decompress(
    _ message: RawSpan, with dictionary: ZstdDictionary? = nil, into output: inout OutputRawSpan
  ) throws(CompressionError) -> Int {
    try select(dictionary)
    let cap = min(limit, output.freeCapacity)
    do throws(CompressionError) {
      return try decompress(message, try scan(message, cap: cap), cap, &output)
    } catch {
      failed(error)
      throw error
    }
  }

  /// The content of the frame `message`. The array is allocated after the headers were checked, and not larger than they
  /// allow.
  ///
  /// - Throws: as ``decompress(_:with:into:)``.
  public mutating func decompress(
    _ message: RawSpan, with dictionary: ZstdDictionary? = nil
  ) throws(CompressionError) -> [UInt8] {
    try select(dictionary)
    do throws(CompressionError) {
      let scan = try scan(message, cap: limit)
      let capacity = Int(min(scan.bound, UInt64(limit)))
      return try [UInt8](capacity: capacity) { (output: inout OutputRawSpan) throws(CompressionError) in
        _ = try decompress(message, scan, limit, &output)
      }
    } catch {
      failed(error)
      throw error
    }
  }

  private mutating func failed(_ error: CompressionError) {
    table.update { $0.failures &+= 1 }
    failures.count(DecompressionFailure(error))
  }

  private mutating func select(_ other: ZstdDictionary?) throws(CompressionError) {
    guard other !== dictionary else { return }
    let result = unsafe other?.reference(from: context) ?? ZSTD_DCtx_refDDict(context, nil)
    guard !Zstd.isError(result) else { throw .outOfMemory }
    dictionary = other
    table.select(other?.hash)
    // libzstd decodes the first frame after a change by a way that forgives more damage. A frame of one byte takes that place,
    // so that what a frame gives does not depend on what came before it.
    if other != nil { decompressNothing() }
  }

  /// One raw block of one byte.
  private static let shortestCompactFrame: [UInt8] = [0x20, 1, 0x09, 0, 0, 0]
  private static let shortestFrame: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD] + shortestCompactFrame

  private func decompressNothing() {
    let frame = hasMagic ? Self.shortestFrame : Self.shortestCompactFrame
    var byte: UInt8 = 0
    unsafe ZSTD_decompressDCtx(context, &byte, 1, frame, frame.count)
  }

  /// Reads the headers. - Throws: what is wrong with them.
  private func scan(_ message: RawSpan, cap: Int) throws(CompressionError) -> FrameScan {
    let scan = try FrameScan(message, hasMagic: hasMagic)
    let trailing = message.byteCount - scan.length
    guard trailing == 0 else { throw .trailing(count: trailing) }
    guard scan.dictionaryID == 0 || scan.dictionaryID == dictionary?.id else {
      throw .wrongDictionary(id: scan.dictionaryID)
    }
    guard max(scan.contentSize ?? 0, scan.minimum) <= UInt64(cap) else { throw .outputTooLarge(limit: UInt64(cap)) }
    return scan
  }

  /// - Parameter cap: What is allowed; the output has room for it, or for all that the frame can give.
  private mutating func decompress(
    _ message: RawSpan, _ scan: FrameScan, _ cap: Int, _ output: inout OutputRawSpan
  ) throws(CompressionError) -> Int {
    let context = unsafe context
    let room = min(cap, output.freeCapacity)
    let result = unsafe message.withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { target, count in
        // libzstd takes no pointer to nothing.
        var nothing: UInt8 = 0
        let result =
          if let base = target.baseAddress, room > 0 {
            unsafe ZSTD_decompressDCtx(context, base + count, room, source.baseAddress, source.count)
          } else {
            unsafe ZSTD_decompressDCtx(context, &nothing, 0, source.baseAddress, source.count)
          }
        if !Zstd.isError(result) { count += result }
        return result
      }
    }
    guard !Zstd.isError(result) else {
      throw Zstd.error(result, limit: UInt64(cap), dictionaryID: scan.dictionaryID)
    }
    table.update {
      $0.messages &+= 1
      $0.contentBytes &+= UInt64(result)
      $0.compressedBytes &+= UInt64(message.byteCount)
    }
    return result
  }
}

// Its memory has one owner; the dictionary is never changed.
extension MessageDecompressor: @unchecked Sendable {}
