import MeshCompression
import MeshPrimitives
import MeshSimulation
import Testing

@Suite("Training") struct TrainingTests {
  static func train(
    _ samples: [[UInt8]], sizes: [Int] = [8192, 16_384, 32_768], seed: UInt64 = 1
  ) throws(DictionaryError) -> (dictionary: ZstdDictionary, report: TrainingReport) {
    var options = TrainingOptions()
    options.sizes = sizes
    var training = try DictionaryTraining(samples: samples, options: options, seed: seed)
    while try training.step() {}
    return try training.result()
  }

  @Test func `the same samples and seed give the same dictionary, another seed another one`() throws {
    var corpus = Corpus(seed: 1)
    let samples = corpus.messages(1500)
    let first = try Self.train(samples)
    #expect(try Self.train(samples).dictionary.bytes == first.dictionary.bytes)
    #expect(try Self.train(samples).report == first.report)
    #expect(try Self.train(samples, seed: 2).dictionary.hash != first.dictionary.hash)
  }

  @Test func `the report says what fresh messages confirm`() throws {
    var corpus = Corpus(seed: 1)
    let (dictionary, report) = try Self.train(corpus.messages(3000))
    #expect(report.samples == 3000 && report.holdOutSamples == 450 && report.level == 3)
    #expect(report.candidates.count == 3)
    let fresh = corpus.messages(1000)
    let bytes = fresh.reduce(0) { $0 + $1.count }
    let ratio = Double(bytes) / Double(try DictionaryTraining.measure(fresh, with: PreparedDictionary(dictionary)))
    #expect(abs(ratio / report.ratio - 1) < 0.05)
    #expect(report.ratio > 1.5 * report.plainRatio)
    #expect(report.savedPerMessage > 10)
    #expect(try #require(report.messagesToPayOff) < 2000)
  }

  @Test func `the smallest dictionary that is nearly as good as the best is chosen`() throws {
    var corpus = Corpus(seed: 1)
    let report = try Self.train(corpus.messages(3000)).report
    let best = try #require(report.candidates.map(\.compressedBytes).min())
    for (index, candidate) in report.candidates.enumerated() {
      let isGood = Double(candidate.compressedBytes) <= Double(best) * 1.02
      if index < report.chosen { #expect(!isGood) }
      if index == report.chosen { #expect(isGood) }
    }
  }

  @Test func `a simple kind of message needs but a small dictionary`() throws {
    var random = SeededEntropy(seed: 4)
    let samples = (0..<4000).map { _ in
      Array("{\"event\":\"temperature\",\"sensor\":\(random.upTo(9)),\"value\":\(random.upTo(99)),\"unit\":\"C\"}".utf8)
    }
    #expect(try Self.train(samples).report.chosen == 0)
  }

  @Test func `new kinds of messages at the end of the list are learnt, too`() throws {
    var known = Corpus(seed: 1)
    var new = Corpus(seed: 50)
    let samples = known.messages(2700) + new.messages(300)
    let trained = try PreparedDictionary(Self.train(samples, sizes: [32_768]).dictionary)
    let without = try PreparedDictionary(Self.train(known.messages(2700), sizes: [32_768]).dictionary)
    let fresh = new.messages(300)
    let (with, before) = (
      try DictionaryTraining.measure(fresh, with: trained), try DictionaryTraining.measure(fresh, with: without)
    )
    #expect(Double(with) < 0.8 * Double(before))
  }

  @Test func `too few samples are a typed error`() throws {
    var corpus = Corpus(seed: 1)
    #expect(throws: DictionaryError.tooFewSamples(count: 31, minimum: 32)) { try Self.train(corpus.messages(31)) }
    #expect(throws: DictionaryError.tooFewSamples(count: 0, minimum: 32)) {
      try Self.train(Array(repeating: [1, 2, 3], count: 1000))
    }
    let few = corpus.messages(40)
    let error = #expect(throws: DictionaryError.self) { try Self.train(few) }
    guard case .tooFewSampleBytes(_, 16_384) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test func `samples without anything in common give an error or a useless dictionary, but no trap`() {
    for samples in [
      (0..<400).map { Corpus.noise(200, seed: UInt64($0)) },
      Array(repeating: Array(repeating: 0, count: 100), count: 1000),
      Array(repeating: Corpus.noise(1000, seed: 3), count: 100),
    ] {
      do throws(DictionaryError) {
        #expect(try Self.train(samples).report.holdOutSamples > 0)
      } catch { #expect(error == .trainingFailed) }
    }
  }
}

@Suite("Sample reservoir") struct SampleReservoirTests {
  @Test func `one contributor alone may fill it, and every message has the same chance`() {
    var reservoir = SampleReservoir(capacity: 800, byteCapacity: 1 << 20, sizes: 4...100, seed: 3)
    for number in 0..<8000 as Range<UInt32> {
      let message = [0, 0, UInt8(number >> 8), UInt8(number & 0xFF)] as [UInt8]
      reservoir.offer(message.bytes, from: 1)
    }
    #expect(reservoir.count == 800 && reservoir.byteCount == 3200 && reservoir.offered == 8000)
    let numbers = reservoir.samples.map { Int($0[2]) << 8 | Int($0[3]) }
    for eighth in 0..<8 {
      let count = numbers.count { $0 / 1000 == eighth }
      #expect((60...140).contains(count), "\(count) of the messages from \(eighth * 1000) on")
    }
  }

  @Test func `nobody holds more than an eighth of it once there are two`() {
    var reservoir = SampleReservoir(capacity: 400, byteCapacity: 40_000, sizes: 10...1000, seed: 4)
    var random = SeededEntropy(seed: 9)
    for index in 0..<20_000 {
      // Contributor 0 sends ten times as much as all others together.
      let contributor = index < 3000 || random.upTo(10) > 0 ? 0 : UInt64(1 + random.upTo(14))
      reservoir.offer(Corpus.noise(10 + Int(random.upTo(190)), seed: UInt64(index)).bytes, from: contributor)
      #expect(reservoir.count <= 400 && reservoir.byteCount <= 40_000)
    }
    #expect(reservoir.contributorCount == 16)
    for contributor in 0..<16 as Range<UInt64> {
      #expect(reservoir.share(of: contributor) * Double(reservoir.count) <= 60, "\(contributor)")
    }
    #expect(reservoir.share(of: 0) <= 0.15)
  }

  @Test func `the first keeps an eighth when a second one comes`() {
    var reservoir = SampleReservoir(capacity: 80, byteCapacity: 80_000, sizes: 1...100, seed: 4)
    for index in 0..<500 { reservoir.offer(Corpus.noise(50, seed: UInt64(index)).bytes, from: 7) }
    #expect(reservoir.count == 80 && reservoir.share(of: 7) == 1)
    for index in 0..<500 { reservoir.offer(Corpus.noise(50, seed: UInt64(index)).bytes, from: 8) }
    #expect(reservoir.count == 20 && reservoir.share(of: 7) == 0.5)
  }

  @Test func `a flood from one is bounded in places and in bytes, and so are strangers without end`() {
    var reservoir = SampleReservoir(capacity: 80, byteCapacity: 8000, sizes: 1...1000, seed: 4)
    reservoir.offer([1].bytes, from: 1)
    for index in 0..<2000 { reservoir.offer(Corpus.noise(1000, seed: UInt64(index)).bytes, from: 2) }
    #expect(reservoir.share(of: 2) * Double(reservoir.byteCount) <= 1000)
    for index in 0..<5000 { reservoir.offer(Corpus.noise(40, seed: UInt64(index)).bytes, from: UInt64(100 + index)) }
    #expect(reservoir.count <= 80 && reservoir.byteCount <= 8000 && reservoir.contributorCount <= reservoir.count)
  }

  @Test func `messages that are too small or too large are passed over`() {
    var reservoir = SampleReservoir(sizes: 16...100, seed: 1)
    var taken: [Bool] = []
    for size in [15, 101, 100] {
      let message = Corpus.noise(size, seed: 1)
      taken.append(reservoir.offer(message.bytes, from: 1))
    }
    #expect(taken == [false, false, true])
    reservoir.removeAll()
    #expect(reservoir.count == 0 && reservoir.byteCount == 0 && reservoir.contributorCount == 0)
  }

  @Test func `the same seed keeps the same samples`() {
    func samples(_ seed: UInt64) -> [[UInt8]] {
      var reservoir = SampleReservoir(capacity: 50, byteCapacity: 5000, sizes: 1...100, seed: seed)
      for index in 0..<2000 { reservoir.offer(Corpus.noise(30, seed: UInt64(index)).bytes, from: UInt64(index % 20)) }
      return reservoir.samples
    }
    #expect(samples(1) == samples(1))
    #expect(samples(1) != samples(2))
  }
}

@Suite("Ratio monitor") struct RatioMonitorTests {
  @Test func `it says nothing before there are enough messages`() {
    var monitor = RatioMonitor(baseline: 4, decay: 0.1, window: 10_000, minimumMessages: 50)
    for _ in 0..<49 { monitor.record(size: 200, compressed: 200) }
    #expect(monitor.ratio == nil && !monitor.needsRetraining)
    monitor.record(size: 200, compressed: 200)
    #expect(monitor.ratio == 1 && monitor.needsRetraining && monitor.loss == 0.75)
  }

  @Test func `a ratio that stays asks for nothing, one that decays by the set share does`() {
    var monitor = RatioMonitor(baseline: 4, decay: 0.15, window: 20_000, minimumMessages: 50)
    for _ in 0..<1000 { monitor.record(size: 400, compressed: 105) }
    #expect(!monitor.needsRetraining)
    for _ in 0..<1000 { monitor.record(size: 400, compressed: 116) }
    #expect(!monitor.needsRetraining)
    for _ in 0..<1000 { monitor.record(size: 400, compressed: 120) }
    #expect(monitor.needsRetraining)
    for _ in 0..<1000 { monitor.record(size: 400, compressed: 100) }
    #expect(!monitor.needsRetraining)
  }

  @Test func `traffic of a new kind triggers it, and a retrained dictionary ends it`() throws {
    var known = Corpus(seed: 1)
    var new = Corpus(seed: 60)
    let first = try TrainingTests.train(known.messages(2000), sizes: [16_384])
    var monitor = RatioMonitor(baseline: first.report.ratio, window: 50_000)
    var compressor = try MessageCompressor()
    var reservoir = SampleReservoir(capacity: 2000, seed: 1)
    let prepared = try PreparedDictionary(first.dictionary)
    func send(_ messages: [[UInt8]]) throws {
      for message in messages {
        let frame = try compressed(message, &compressor, with: prepared)
        monitor.record(size: message.count, compressed: frame?.count ?? message.count)
        reservoir.offer(message.bytes, from: 1)
      }
    }
    try send(known.messages(1000))
    #expect(!monitor.needsRetraining)
    try send(new.messages(2000))
    #expect(monitor.needsRetraining)
    let second = try TrainingTests.train(reservoir.samples, sizes: [16_384])
    #expect(second.report.ratio > 1.2 * (try #require(monitor.ratio)))
  }
}
