internal import CMeshZstd
internal import MeshPrimitives

/// Decompresses one direction of a stream: one zstd frame, as ``StreamCompressor`` or the `zstd` tool makes it.
///
/// What comes out is bounded by the output that each call is given, so flow control of the application holds back a bomb;
/// besides, ``outputLimit`` ends a stream that becomes larger than its application wants. The memory is fixed at `init`: a
/// frame that asks for a larger window is refused.
@safe public struct StreamDecompressor: ~Copyable {
  /// log2 of the largest window in bytes.
  public let windowLog: Int
  /// Bytes that may come out, all in all. May be raised while the stream goes on, as the application reads.
  public var outputLimit: UInt64
  private let memory: ContextMemory
  private let context: OpaquePointer
  private let dictionary: ZstdDictionary?
  private var failure: CompressionError?
  /// Whether the frame has ended. A stream that stops before is truncated.
  public private(set) var isFinished = false
  /// Bytes produced so far.
  public private(set) var contentBytes: UInt64 = 0
  /// Bytes taken so far.
  public private(set) var compressedBytes: UInt64 = 0

  /// - Parameters:
  ///   - windowLog: 10 (1 KiB) to 24 (16 MiB).
  ///   - hasMagic: Whether the frame begins with zstd's magic number.
  /// - Throws: `.outOfMemory`.
  public init(
    windowLog: Int = 17, dictionary: ZstdDictionary? = nil, hasMagic: Bool = false, outputLimit: UInt64 = .max
  ) throws(CompressionError) {
    precondition((10...24).contains(windowLog), "a window has 2^10 to 2^24 bytes")
    let memory = ContextMemory(ZSTD_estimateDStreamSize(1 << windowLog))
    guard let context = unsafe ZSTD_initStaticDStream(memory.address, memory.count) else { throw .outOfMemory }
    let format = hasMagic ? ZSTD_f_zstd1 : ZSTD_f_zstd1_magicless
    unsafe ZSTD_DCtx_setParameter(context, mesh_zstd_d_format, Int32(format.rawValue))
    unsafe ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, Int32(windowLog))
    if let dictionary {
      let result = unsafe dictionary.reference(from: context)
      guard !Zstd.isError(result) else { throw .outOfMemory }
    }
    self.windowLog = windowLog
    self.dictionary = dictionary
    self.outputLimit = outputLimit
    self.memory = memory
    unsafe self.context = context
  }

  /// Bytes of memory, all of it taken at `init`.
  public var memoryUse: Int { memory.count }

  /// Takes of `input` and appends to `output`, until the input is used up, the output is full, or the frame has ended.
  ///
  /// When the output was filled there may be more to come, also without further input.
  ///
  /// - Throws: `.corrupt`, `.windowTooLarge`, `.outputTooLarge`, `.wrongDictionary`, `.wrongChecksum`, and from then on the
  ///   same again; `.trailing` for input behind the frame.
  public mutating func read(
    _ input: RawSpan, into output: inout OutputRawSpan
  ) throws(CompressionError) -> StreamProgress {
    if let failure { throw failure }
    guard !isFinished else {
      guard input.byteCount == 0 else { throw .trailing(count: input.byteCount) }
      return StreamProgress(isComplete: true)
    }
    guard output.freeCapacity > 0 else { return StreamProgress() }
    do throws(CompressionError) {
      let left = outputLimit > contentBytes ? outputLimit - contentBytes : 0
      let room = Int(min(UInt64(output.freeCapacity), left))
      let progress = try room > 0 ? step(input, room, &output) : stepAtLimit(input)
      contentBytes &+= UInt64(progress.produced)
      compressedBytes &+= UInt64(progress.consumed)
      isFinished = progress.isComplete
      return progress
    } catch {
      failure = error
      throw error
    }
  }

  /// - Throws: `.truncated` unless the frame has ended; the failure, if there was one. For when the stream has ended.
  public func checkEnd() throws(CompressionError) {
    if let failure { throw failure }
    guard isFinished else { throw .truncated }
  }

  private func step(
    _ input: RawSpan, _ room: Int, _ output: inout OutputRawSpan
  ) throws(CompressionError) -> StreamProgress {
    var consumed = 0
    var produced = 0
    let context = unsafe context
    let result = unsafe input.withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { target, count in
        var from = unsafe ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)
        var to = unsafe ZSTD_outBuffer(dst: target.baseAddress, size: count + room, pos: count)
        let result = unsafe ZSTD_decompressStream(context, &to, &from)
        unsafe consumed = from.pos
        unsafe produced = to.pos - count
        if !Zstd.isError(result) { unsafe count = to.pos }
        return result
      }
    }
    guard !Zstd.isError(result) else {
      throw Zstd.error(result, limit: outputLimit, windowLog: windowLog, dictionaryID: dictionary?.id ?? 0)
    }
    return StreamProgress(consumed: consumed, produced: produced, isComplete: result == 0)
  }

  /// The limit is reached: the frame may end, but not give one byte more.
  private func stepAtLimit(_ input: RawSpan) throws(CompressionError) -> StreamProgress {
    var progress = StreamProgress()
    let excess = try [UInt8](capacity: 1) { (output: inout OutputRawSpan) throws(CompressionError) in
      progress = try step(input, 1, &output)
    }
    guard excess.isEmpty else { throw .outputTooLarge(limit: outputLimit) }
    return progress
  }
}

// Its memory has one owner; the dictionary is never changed.
extension StreamDecompressor: @unchecked Sendable {}
