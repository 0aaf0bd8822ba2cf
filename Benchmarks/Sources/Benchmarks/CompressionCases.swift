import MeshCompression
import MeshPrimitives
import MeshSimulation

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Messages one by one, with dictionaries of four sizes at three levels; a stream flushed per message; diffs.
let compressionCases: [Benchmark] =
  Records.allCases.flatMap { records in
    [1, 3, 9].flatMap { level in messageCases(records, level) }
  } + [
    Benchmark("compression/stream-json/write-and-read", bytes: 358, allocationFree: true) { stream() },
    Benchmark("compression/bypass/noise", bytes: 350, allocationFree: true) { bypassed() },
    Benchmark("compression/load/64KB") { load() },
    Benchmark("compression/prepare/64KB-level-3") { prepare() },
  ]
  + [(0, "same-traffic"), (12, "tenth-new"), (60, "half-new")].map { replaced, name in
    Benchmark("compression/diff-64KB/\(name)", figures: { diffFigures(replaced) }) { apply(replaced) }
  }

/// What is compressed. Dictionaries are trained on some of it, and measured on the rest.
enum Records: String, CaseIterable {
  case json, protobuf, packages, log

  /// Messages to train with and to measure on; empty when this machine has none.
  var messages: (training: [[UInt8]], fresh: [[UInt8]]) {
    switch self {
    case .json, .protobuf:
      let encoding: MessageCorpus.Encoding = self == .json ? .json : .protobuf
      var corpus = MessageCorpus()
      return (corpus.messages(20_000, encoding), corpus.messages(2048, encoding))
    case .packages: return Self.split(Self.file("/var/lib/dpkg/status"), by: [0x0A, 0x0A])
    case .log: return Self.split(Self.file("/var/log/dpkg.log"), by: [0x0A])
    }
  }

  private static func split(_ bytes: [UInt8], by separator: [UInt8]) -> (training: [[UInt8]], fresh: [[UInt8]]) {
    var pieces: [[UInt8]] = []
    var start = 0
    for index in bytes.indices where bytes[index...].starts(with: separator) {
      if index > start { pieces.append(Array(bytes[start..<index])) }
      start = index + separator.count
    }
    var random = SeededEntropy(seed: 5)
    pieces.shuffle(using: &random)
    let fresh = pieces.count / 4
    return (Array(pieces.dropFirst(fresh)), Array(pieces.prefix(fresh)))
  }

  private static func file(_ path: String) -> [UInt8] {
    guard let file = fopen(path, "rb") else { return [] }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 8 << 20)
    let count = fread(&bytes, 1, bytes.count, file)
    return Array(bytes.prefix(count))
  }
}

/// What is made once and used by several cases. Benchmarks run on one thread.
private enum Cache {
  nonisolated(unsafe) static var records: [Records: (training: [[UInt8]], fresh: [[UInt8]])] = [:]
  nonisolated(unsafe) static var dictionaries: [String: ZstdDictionary] = [:]

  static func messages(_ kind: Records) -> (training: [[UInt8]], fresh: [[UInt8]]) {
    if let known = records[kind] { return known }
    let made = kind.messages
    records[kind] = made
    return made
  }

  /// `nil` when there are too few samples for that size.
  static func dictionary(_ kind: Records, _ kilobytes: Int, level: Int) -> ZstdDictionary? {
    let key = "\(kind) \(kilobytes) \(level)"
    if let known = dictionaries[key] { return known }
    let made = train(messages(kind).training, kilobytes, level: level)
    dictionaries[key] = made
    return made
  }

  static func train(_ samples: [[UInt8]], _ kilobytes: Int, level: Int = 3, seed: UInt64 = 1) -> ZstdDictionary? {
    var options = TrainingOptions()
    options.sizes = [kilobytes * 1024]
    options.level = level
    options.holdOut = 0.02
    do {
      var training = try DictionaryTraining(samples: samples, options: options, seed: seed)
      while try training.step() {}
      return try training.result().dictionary
    } catch { return nil }
  }
}

private func messageCases(_ kind: Records, _ level: Int) -> [Benchmark] {
  func name(_ kilobytes: Int) -> String { kilobytes == 0 ? "none" : "\(kilobytes)KB" }
  let sizes = [0, 8, 64, 256]
  // The hot paths, at the usual level.
  let isGated = level == 3 && (kind == .json || kind == .protobuf)
  return sizes.map { size in
    Benchmark(
      "compression/\(kind)-level-\(level)/\(name(size))", against: size == 0 ? nil : "none",
      allocationFree: isGated && (size == 0 || size == 64), figures: { ratioFigures(kind, size, level) }
    ) { compress(kind, size, level) }
  }
    + sizes.map { size in
      Benchmark(
        "compression/\(kind)-level-\(level)-back/\(name(size))", against: size == 0 ? nil : "none",
        allocationFree: isGated && (size == 0 || size == 64)
      ) { decompress(kind, size, level) }
    }
}

/// Messages behind each other in memory.
private struct Packed {
  let memory: UnsafeMutableRawBufferPointer
  let ranges: [Range<Int>]

  init(_ messages: [[UInt8]]) {
    memory = MeshBenchmarks.memory(messages.reduce(1) { $0 + $1.count })
    var end = 0
    ranges = messages.map { message in
      let start = end
      end += message.count
      return start..<end
    }
    for (message, range) in zip(messages, ranges) { memory[range].copyBytes(from: message) }
  }

  @inline(__always) func message(_ index: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: memory[ranges[index]])
  }
}

/// A dictionary, or none by intention.
private struct Choice {
  let dictionary: PreparedDictionary?
}

/// What to compress with; `nil` when this machine cannot make it.
private func prepared(_ kind: Records, _ kilobytes: Int, _ level: Int) -> Choice? {
  guard kilobytes > 0 else { return Choice(dictionary: nil) }
  guard let dictionary = Cache.dictionary(kind, kilobytes, level: level) else { return nil }
  return (try? PreparedDictionary(dictionary, level: level)).map { Choice(dictionary: $0) }
}

private func compress(_ kind: Records, _ kilobytes: Int, _ level: Int) -> Benchmark.Work? {
  let messages = Packed(Cache.messages(kind).fresh)
  guard !messages.ranges.isEmpty, let choice = prepared(kind, kilobytes, level) else { return nil }
  let dictionary = choice.dictionary
  let compressor = Box(try! MessageCompressor(level: level))
  let target = memory(65_536)
  let next = Box(0)
  return .loop { count in
    var index = next.value
    for _ in 0..<count {
      let message = RawSpan(_unsafeBytes: messages.message(index))
      var output = OutputRawSpan(buffer: target, initializedCount: 0)
      do { _ = try compressor.value.compress(message, with: dictionary, into: &output) } catch {
        fatalError("\(error)")
      }
      use(UInt64(output.byteCount))
      index = index + 1 == messages.ranges.count ? 0 : index + 1
    }
    next.value = index
  }
}

private func decompress(_ kind: Records, _ kilobytes: Int, _ level: Int) -> Benchmark.Work? {
  let messages = Packed(Cache.messages(kind).fresh)
  guard !messages.ranges.isEmpty, let choice = prepared(kind, kilobytes, level) else { return nil }
  let dictionary = choice.dictionary
  var compressor = try! MessageCompressor(level: level)
  var frames: [[UInt8]] = []
  for index in messages.ranges.indices {
    var outcome = CompressionOutcome.bypassed
    let message = messages.message(index)
    let frame = try! [UInt8](capacity: message.count) { (output: inout OutputRawSpan) throws(CompressionError) in
      outcome = try compressor.compress(RawSpan(_unsafeBytes: message), with: dictionary, into: &output)
    }
    if case .compressed = outcome { frames.append(frame) }
  }
  let packed = Packed(frames)
  guard !packed.ranges.isEmpty else { return nil }
  let decompressor = Box(try! MessageDecompressor())
  let target = memory(65_536)
  let next = Box(0)
  let zstd = dictionary?.dictionary
  return .loop { count in
    var index = next.value
    for _ in 0..<count {
      let frame = RawSpan(_unsafeBytes: packed.message(index))
      var output = OutputRawSpan(buffer: target, initializedCount: 0)
      do { _ = try decompressor.value.decompress(frame, with: zstd, into: &output) } catch { fatalError("\(error)") }
      use(UInt64(output.byteCount))
      index = index + 1 == packed.ranges.count ? 0 : index + 1
    }
    next.value = index
  }
}

/// How many times smaller the messages become together; for made-up ones, what their entropy would allow.
private func ratioFigures(_ kind: Records, _ kilobytes: Int, _ level: Int) -> [(name: String, value: Double)] {
  let messages = Cache.messages(kind).fresh
  let bytes = messages.reduce(0) { $0 + $1.count }
  guard let choice = prepared(kind, kilobytes, level),
    let compressed = try? DictionaryTraining.measure(messages, with: choice.dictionary, level: level)
  else { return [] }
  var figures = [("ratio", Double(bytes) / Double(compressed))]
  guard kilobytes == 0, level == 3 else { return figures }
  figures += [("bytes", Double(bytes) / Double(messages.count)), ("bits-per-byte", byteEntropy(messages))]
  if kind == .json || kind == .protobuf {
    var corpus = MessageCorpus()
    _ = corpus.messages(10_000, .json)
    figures.append(("choice-bits", corpus.bits / 10_000))
  }
  return figures
}

private func stream() -> Benchmark.Work? {
  let messages = Packed(Cache.messages(.json).fresh)
  let compressor = Box(try! StreamCompressor())
  let decompressor = Box(try! StreamDecompressor())
  let (middle, target) = (memory(4096), memory(4096))
  let next = Box(0)
  return .loop { count in
    for _ in 0..<count {
      let message = RawSpan(_unsafeBytes: messages.message(next.value))
      next.value = (next.value + 1) % messages.ranges.count
      var frame = OutputRawSpan(buffer: middle, initializedCount: 0)
      var output = OutputRawSpan(buffer: target, initializedCount: 0)
      do {
        _ = try compressor.value.write(message, .flush, into: &frame)
        _ = try decompressor.value.read(frame.bytes, into: &output)
      } catch { fatalError("\(error)") }
      precondition(output.byteCount == message.byteCount, "a flush carries all")
    }
  }
}

private func bypassed() -> Benchmark.Work? {
  var random = SeededEntropy(seed: 1)
  let messages = Packed((0..<64).map { _ in (0..<350).map { _ in UInt8(truncatingIfNeeded: random.next()) } })
  let compressor = Box(try! MessageCompressor())
  let bypass = Box(AdaptiveBypass())
  let target = memory(4096)
  return .loop { count in
    for index in 0..<count {
      let message = RawSpan(_unsafeBytes: messages.message(index & 63))
      var output = OutputRawSpan(buffer: target, initializedCount: 0)
      do {
        if try compressor.value.compress(message, bypass: &bypass.value, into: &output) != .bypassed { use(1) }
      } catch { fatalError("\(error)") }
    }
  }
}

private func load() -> Benchmark.Work? {
  guard let bytes = Cache.dictionary(.json, 64, level: 3)?.bytes else { return nil }
  return .loop { count in
    for _ in 0..<count {
      do { use(UInt64(try ZstdDictionary(bytes).id)) } catch { fatalError("\(error)") }
    }
  }
}

private func prepare() -> Benchmark.Work? {
  guard let dictionary = Cache.dictionary(.json, 64, level: 3) else { return nil }
  return .loop { count in
    for _ in 0..<count {
      do { use(UInt64(try PreparedDictionary(dictionary).memoryUse)) } catch { fatalError("\(error)") }
    }
  }
}

/// A dictionary of 64 KB, and one that was trained anew on later traffic, in which some schemas are other ones.
private func retrained(_ replaced: Int) -> (ZstdDictionary, ZstdDictionary)? {
  guard let old = Cache.dictionary(.json, 64, level: 3) else { return nil }
  let key = "retrained \(replaced)"
  if let new = Cache.dictionaries[key] { return (old, new) }
  var corpus = MessageCorpus(stream: 2, replaced: replaced)
  guard let new = Cache.train(corpus.messages(20_000, .json), 64, seed: 2) else { return nil }
  Cache.dictionaries[key] = new
  return (old, new)
}

private func apply(_ replaced: Int) -> Benchmark.Work? {
  guard let (old, new) = retrained(replaced), let diff = try? DictionaryDiff(from: old, to: new) else { return nil }
  return .loop { count in
    for _ in 0..<count {
      do { use(UInt64(try diff.apply(to: old).id)) } catch { fatalError("\(error)") }
    }
  }
}

/// The diff's share of the dictionary, and what the old and the new one do to the new traffic.
private func diffFigures(_ replaced: Int) -> [(name: String, value: Double)] {
  guard let (old, new) = retrained(replaced), let diff = try? DictionaryDiff(from: old, to: new) else { return [] }
  var corpus = MessageCorpus(stream: 3, replaced: replaced)
  let fresh = corpus.messages(2000, .json)
  let bytes = Double(fresh.reduce(0) { $0 + $1.count })
  func ratio(_ dictionary: ZstdDictionary) -> Double {
    guard let prepared = try? PreparedDictionary(dictionary),
      let compressed = try? DictionaryTraining.measure(fresh, with: prepared)
    else { return 0 }
    return bytes / Double(compressed)
  }
  return [("share", Double(diff.encoded.count) / Double(new.size)), ("old", ratio(old)), ("new", ratio(new))]
}
