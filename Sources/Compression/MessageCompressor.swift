internal import CMeshZstd
internal import MeshPrimitives

/// Compresses messages one by one, with a dictionary or without.
///
/// Small messages have little in them that repeats; what they have in common with each other is in a dictionary, which
/// makes them several times smaller, and their compression faster. A compressor keeps one context of libzstd in memory of
/// fixed size and allocates nothing after `init`. It may be used for any number of flows and dictionaries: have one per
/// thread.
///
/// ```swift
/// import MeshCompression
/// import MeshPrimitives
///
/// func roundTrip(_ messages: [[UInt8]], _ dictionaryBytes: [UInt8]) throws {
///   let dictionary = try ZstdDictionary(dictionaryBytes.bytes)
///   let prepared = try PreparedDictionary(dictionary, level: 3)
///   var compressor = try MessageCompressor()
///   var decompressor = try MessageDecompressor(limit: 65_536)
///   var bypass = AdaptiveBypass()
///   for message in messages {
///     var outcome = CompressionOutcome.bypassed
///     let packet = try [UInt8](capacity: message.count) { (output: inout OutputRawSpan) throws(CompressionError) in
///       outcome = try compressor.compress(message.bytes, with: prepared, bypass: &bypass, into: &output)
///     }
///     guard case .compressed = outcome else { continue }  // The message travels as it is.
///     let same = try decompressor.decompress(packet.bytes, with: dictionary)
///     print(message.count, "bytes in", packet.count, same == message)
///   }
/// }
/// ```
///
/// It leaves to its caller: to tell the other side whether a message is compressed, and with which dictionary (in a
/// ``FrameOptions/compact`` frame nothing says so); to hold on to dictionaries; and never to mix secrets with what an
/// attacker chooses in one message, since lengths leak what repeats.
@safe public struct MessageCompressor: ~Copyable {
  /// zstd's level for messages without a dictionary; with one, that of the ``PreparedDictionary`` counts.
  public let level: Int
  /// Bytes of the largest message.
  public let maximumSize: Int
  public let options: FrameOptions
  private let memory: ContextMemory
  private let context: OpaquePointer
  private var dictionary: PreparedDictionary?
  private var table = StatisticsTable()

  /// The largest ``maximumSize``: 16 MiB.
  public static let largestMessage = 1 << 24

  /// - Parameters:
  ///   - level: 1 to 19.
  ///   - maximumSize: Bytes of the largest message, 1 to ``largestMessage``.
  ///   - highestLevel: The highest level of the dictionaries that will be used, at least `level`; 0: `level`.
  /// - Throws: `.outOfMemory`.
  public init(
    level: Int = 3, maximumSize: Int = 65_536, options: FrameOptions = .compact, highestLevel: Int = 0
  ) throws(CompressionError) {
    precondition(Zstd.levels.contains(level), "a level is one of \(Zstd.levels)")
    precondition((1...Self.largestMessage).contains(maximumSize), "messages have 1 to \(Self.largestMessage) bytes")
    self.level = level
    self.maximumSize = maximumSize
    self.options = options
    let highest = max(level, min(highestLevel, Zstd.levels.upperBound))
    let needed = (level...highest).map { Zstd.messageMemory(level: $0, size: maximumSize) }.max() ?? 0
    memory = ContextMemory(needed)
    guard let context = unsafe ZSTD_initStaticCCtx(memory.address, memory.count) else { throw .outOfMemory }
    unsafe self.context = context
    unsafe Self.set(context, options, level: level)
  }

  /// Sets what stays the same for all frames.
  static func set(_ context: OpaquePointer, _ options: FrameOptions, level: Int) {
    let settings: [(ZSTD_cParameter, Bool)] = [
      (ZSTD_c_contentSizeFlag, options.contentSize), (ZSTD_c_checksumFlag, options.checksum),
      (ZSTD_c_dictIDFlag, options.dictionaryID),
    ]
    for (parameter, value) in settings { unsafe ZSTD_CCtx_setParameter(context, parameter, value ? 1 : 0) }
    let format = options.magic ? ZSTD_f_zstd1 : ZSTD_f_zstd1_magicless
    unsafe ZSTD_CCtx_setParameter(context, mesh_zstd_c_format, Int32(format.rawValue))
    unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level))
  }

  /// Bytes of memory, all of it taken at `init`.
  public var memoryUse: Int { memory.count }

  /// What was compressed with each dictionary so far, in the order of first use; the first entry is for none.
  public var statistics: [(dictionary: DictionaryHash?, statistics: DictionaryStatistics)] {
    table.entries.map { ($0.hash, $0.statistics) }
  }

  /// What was compressed with one dictionary, or with none.
  public func statistics(of dictionary: DictionaryHash?) -> DictionaryStatistics { table[dictionary] }

  /// Appends the frame that `message` becomes to `output`, or nothing when that is not smaller than the message, or does
  /// not fit. Give the output as much room as the message has bytes: libzstd needs some bytes more than the frame has, and
  /// never more than the message.
  ///
  /// - Throws: `.messageTooLarge`; `.outOfMemory` when the level of `dictionary` is above the `highestLevel` of `init`.
  public mutating func compress(
    _ message: RawSpan, with dictionary: PreparedDictionary? = nil, into output: inout OutputRawSpan
  ) throws(CompressionError) -> CompressionOutcome {
    let size = message.byteCount
    guard size <= maximumSize else { throw .messageTooLarge(size: size, limit: maximumSize) }
    try select(dictionary)
    let room = min(output.freeCapacity, size &- 1)
    let written = room > 0 ? compress(message, room, &output) : 0
    if Zstd.isError(written), ZSTD_getErrorCode(written) == ZSTD_error_memory_allocation { throw .outOfMemory }
    guard written > 0, !Zstd.isError(written) else {
      table.update {
        $0.incompressible &+= 1
        $0.incompressibleBytes &+= UInt64(size)
      }
      return .incompressible
    }
    table.update {
      $0.messages &+= 1
      $0.contentBytes &+= UInt64(size)
      $0.compressedBytes &+= UInt64(written)
    }
    return .compressed(written)
  }

  /// The same for a flow whose messages are left as they are while compressing them does not pay.
  public mutating func compress(
    _ message: RawSpan, with dictionary: PreparedDictionary? = nil, bypass: inout AdaptiveBypass,
    into output: inout OutputRawSpan
  ) throws(CompressionError) -> CompressionOutcome {
    guard bypass.shouldTry() else {
      try select(dictionary)
      let size = UInt64(message.byteCount)
      table.update {
        $0.bypassed &+= 1
        $0.bypassedBytes &+= size
      }
      return .bypassed
    }
    let outcome = try compress(message, with: dictionary, into: &output)
    if case .compressed(let written) = outcome {
      bypass.record(size: message.byteCount, compressed: written)
    } else {
      bypass.record(size: message.byteCount, compressed: message.byteCount)
    }
    return outcome
  }

  private mutating func select(_ other: PreparedDictionary?) throws(CompressionError) {
    guard other !== dictionary else { return }
    // A frame that did not fit is still open.
    unsafe ZSTD_CCtx_reset(context, ZSTD_reset_session_only)
    let result = unsafe other?.reference(from: context) ?? ZSTD_CCtx_refCDict(context, nil)
    guard !Zstd.isError(result) else { throw .outOfMemory }
    dictionary = other
    table.select(other?.dictionary.hash)
  }

  /// - Returns: bytes written, or libzstd's error.
  private func compress(_ message: RawSpan, _ room: Int, _ output: inout OutputRawSpan) -> Int {
    let context = unsafe context
    return unsafe message.withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { target, count in
        let written = unsafe ZSTD_compress2(
          context, target.baseAddress! + count, room, source.baseAddress, source.count)
        if !Zstd.isError(written) { count += written }
        return written
      }
    }
  }
}

// Its memory has one owner; the dictionary is never changed.
extension MessageCompressor: @unchecked Sendable {}
