internal import CMeshZstd
internal import MeshPrimitives

/// Compresses one direction of a stream: one zstd frame with a bounded window, flushed as often as its caller wants.
///
/// What is written with ``Directive/flush`` can be decompressed up to its last byte by the other side, which is what a
/// conversation needs; each flush costs some bytes. One context of libzstd lives in memory of fixed size, taken at `init`;
/// nothing is allocated afterwards.
///
/// ```swift
/// import MeshCompression
/// import MeshPrimitives
///
/// var compressor = try StreamCompressor(windowLog: 17)
/// var rest = bytes[...]
/// var progress = StreamProgress()
/// while !progress.isComplete {
///   let chunk = try [UInt8](capacity: 1200) { (output: inout OutputRawSpan) throws(CompressionError) in
///     progress = try compressor.write(Array(rest).bytes, .flush, into: &output)
///   }
///   rest = rest.dropFirst(progress.consumed)
///   send(chunk)
/// }
/// ```
@safe public struct StreamCompressor: ~Copyable {
  /// What is to become of the input besides being taken.
  public enum Directive: Sendable {
    /// It may wait for more.
    case gather
    /// All of it goes out now.
    case flush
    /// All of it goes out, and the frame ends.
    case finish
  }

  /// log2 of the window in bytes. The other side needs as much memory.
  public let windowLog: Int
  private let memory: ContextMemory
  private let context: OpaquePointer
  private let dictionary: PreparedDictionary?
  private var isFinished = false
  /// Bytes taken so far.
  public private(set) var contentBytes: UInt64 = 0
  /// Bytes produced so far.
  public private(set) var compressedBytes: UInt64 = 0

  /// - Parameters:
  ///   - level: 1 to 19. With a dictionary, its level counts.
  ///   - windowLog: 10 (1 KiB) to 24 (16 MiB).
  ///   - options: The content size is not known beforehand: ``FrameOptions/contentSize`` has no effect.
  /// - Throws: `.outOfMemory`.
  public init(
    level: Int = 3, windowLog: Int = 17, dictionary: PreparedDictionary? = nil, options: FrameOptions = .compact
  ) throws(CompressionError) {
    precondition(Zstd.levels.contains(level), "a level is one of \(Zstd.levels)")
    precondition((10...24).contains(windowLog), "a window has 2^10 to 2^24 bytes")
    let memory = ContextMemory(
      Zstd.streamMemory(level: level, windowLog: windowLog, dictionaryLevel: dictionary?.level))
    guard let context = unsafe ZSTD_initStaticCStream(memory.address, memory.count) else { throw .outOfMemory }
    unsafe MessageCompressor.set(context, options, level: level)
    let parameters = Zstd.streamParameters(level: level, windowLog: windowLog)
    for (parameter, value) in [
      (ZSTD_c_windowLog, parameters.windowLog), (ZSTD_c_chainLog, parameters.chainLog),
      (ZSTD_c_hashLog, parameters.hashLog), (ZSTD_c_searchLog, parameters.searchLog),
      (ZSTD_c_minMatch, parameters.minMatch), (ZSTD_c_targetLength, parameters.targetLength),
      (ZSTD_c_strategy, parameters.strategy.rawValue),
    ] { unsafe ZSTD_CCtx_setParameter(context, parameter, Int32(value)) }
    if let dictionary {
      let result = unsafe dictionary.reference(from: context)
      guard !Zstd.isError(result) else { throw .outOfMemory }
    }
    self.windowLog = windowLog
    self.dictionary = dictionary
    self.memory = memory
    unsafe self.context = context
  }

  /// Bytes of memory, all of it taken at `init`.
  public var memoryUse: Int { memory.count }

  /// Takes of `input` and appends to `output`, until all is done or the output is full.
  ///
  /// - Parameter directive: The same until ``StreamProgress/isComplete``; with `.gather` that says only that all of the
  ///   input was taken.
  /// - Throws: `.ended` after the frame was finished; `.outOfMemory`.
  public mutating func write(
    _ input: RawSpan, _ directive: Directive = .flush, into output: inout OutputRawSpan
  ) throws(CompressionError) -> StreamProgress {
    guard !isFinished else { throw .ended }
    let context = unsafe context
    let operation =
      switch directive {
      case .gather: ZSTD_e_continue
      case .flush: ZSTD_e_flush
      case .finish: ZSTD_e_end
      }
    var consumed = 0
    var produced = 0
    let result = unsafe input.withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { target, count in
        var from = unsafe ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)
        var to = unsafe ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: count)
        let result = unsafe ZSTD_compressStream2(context, &to, &from, operation)
        unsafe consumed = from.pos
        unsafe produced = to.pos - count
        if !Zstd.isError(result) { unsafe count = to.pos }
        return result
      }
    }
    guard !Zstd.isError(result) else {
      isFinished = true
      throw .outOfMemory
    }
    contentBytes &+= UInt64(consumed)
    compressedBytes &+= UInt64(produced)
    let isComplete = consumed == input.byteCount && (directive == .gather || result == 0)
    if isComplete, directive == .finish { isFinished = true }
    return StreamProgress(consumed: consumed, produced: produced, isComplete: isComplete)
  }
}

// Its memory has one owner; the dictionary is never changed.
extension StreamCompressor: @unchecked Sendable {}
